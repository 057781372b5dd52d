/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/addrlist.h"
#include "tests/unit/lib/mail/message_util.h"

/* "name/route/mailbox/host" an address, "-" for what is missing, each followed by ";". */
static void show(const struct addrlist *list, struct buf *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct mail_addr *a = &list->items[i];
        const struct slice parts[] = { a->name, a->route, a->mailbox, a->host };
        for (size_t p = 0; p < 4; p++) {
            if (parts[p].data == NULL)
                buf_add_byte(out, '-');
            buf_add_slice(out, parts[p]);
            buf_add_byte(out, p < 3 ? '/' : ';');
        }
    }
}

static void lists_are_parsed(void **state)
{
    static const struct {
        const char *value;
        const char *list;
    } table[] = {
        { "", "" },
        { " \r\n ", "" },
        { ",,;", "" },
        { "a@b.org", "-/-/a/b.org;" },
        { "<a@b.org>", "-/-/a/b.org;" },
        { "A B <a@b.org>", "A B/-/a/b.org;" },
        { "\"A, B\" <a@b.org>", "A, B/-/a/b.org;" },
        { "\"A \\\"x\\\" B\" <a@b.org>", "A \"x\" B/-/a/b.org;" },
        { "John Q. Public <a@b.org>", "John Q. Public/-/a/b.org;" },
        { "a@b.org (Name)", "Name/-/a/b.org;" },
        { "a@b.org (Name (in it))", "Name (in it)/-/a/b.org;" },
        { "(before) a@b.org", "before/-/a/b.org;" },
        { "Foo (comment) Bar <a@b.org>", "Foo Bar/-/a/b.org;" },
        { "a@b.org, c@d.org,\r\n\te@f.org", "-/-/a/b.org;-/-/c/d.org;-/-/e/f.org;" },
        { "a@b.org <a@b.org>", "a@b.org/-/a/b.org;" },
        { "\"a@b.org\" <a@b.org>", "a@b.org/-/a/b.org;" },
        { "<@x.org,@y.org:a@b.org>", "-/@x.org,@y.org/a/b.org;" },
        { "Group: a@b.org, C <c@d.org>;", "-/-/Group/-;-/-/a/b.org;C/-/c/d.org;-/-/-/-;" },
        { "undisclosed-recipients:;", "-/-/undisclosed-recipients/-;-/-/-/-;" },
        { "Group: a@b.org", "-/-/Group/-;-/-/a/b.org;-/-/-/-;" },
        { "One: a@b.org; Two: c@d.org;", "-/-/One/-;-/-/a/b.org;-/-/-/-;-/-/Two/-;-/-/c/d.org;-/-/-/-;" },
        { "user", "-/-/user/;" },
        { "Foo, Bar <a@b.org>", "-/-/Foo/;Bar/-/a/b.org;" },
        { "=?utf-8?Q?Foo,_Bar?= <a@b.org>", "=?utf-8?Q?Foo,_Bar?=/-/a/b.org;" },
        { "=?x?Q?broken, <a@b.org>", "-/-/=?x?Q?broken/;-/-/a/b.org;" },
        { "\"a b\"@c.org", "-/-/a b/c.org;" },
        { "john . doe @ example . org", "-/-/john.doe/example.org;" },
        { "a@[192.0.2.1]", "-/-/a/[192.0.2.1];" },
        { "a@b.org c@d.org", "-/-/a/b.org;-/-/c/d.org;" },
        { "<>", "-/-//;" },
        { "Name <>", "Name/-//;" },
        { "Name <a@b.org", "Name/-/a/b.org;" },
        { "\"unclosed <a@b.org>", "-/-/unclosed <a@b.org>/;" },
        { "(unclosed a@b.org", "" },
        { "[List] Name <a@b.org>", "[List] Name/-/a/b.org;" },
        { "J\xc3\xb6rg <j\xc3\xb6rg@d\xc3\xb6.org>", "J\xc3\xb6rg/-/j\xc3\xb6rg/d\xc3\xb6.org;" },
        { "@", "" },
        { "@b.org", "-/-//b.org;" },
        { "a@@b.org", "-/-/a/;-/-//b.org;" },
        { "<<a@b.org>>", "-/-//;" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct arena arena = { 0 };
        struct addrlist list = { 0 };
        struct buf got = { 0 };
        addrlist_parse(&arena, slice_str(table[i].value), &list);
        show(&list, &got);
        if (!slice_eq_str(buf_slice(&got), table[i].list))
            fail_msg("%s\n  gives  %.*s\n  wanted %s", table[i].value, SLICE_FMT(buf_slice(&got)),
                     table[i].list);
        buf_fini(&got);
        arena_fini(&arena);
    }
}

static void lists_are_bounded(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct addrlist list = { 0 };
    struct buf value = { 0 };
    for (int i = 0; i < ADDRLIST_MAX + 10; i++)
        buf_add_str(&value, "a@b,");
    addrlist_parse(&arena, buf_slice(&value), &list);
    assert_int_equal(list.count, ADDRLIST_MAX);
    buf_clear(&value);
    for (int i = 0; i < 100000; i++)
        buf_add_byte(&value, '(');
    addrlist_parse(&arena, buf_slice(&value), &list);
    buf_fini(&value);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_parsed),
        cmocka_unit_test(lists_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
