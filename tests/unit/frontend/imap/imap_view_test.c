/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/imap/list_names.h"
#include "frontend/imap/view.h"

static struct uidset set_of(const char *text)
{
    struct uidset s = { 0 };

    assert_int_equal(uidset_parse(slice_str(text), &s), OK);
    return s;
}

static void assert_set(const struct uidset *s, const char *text)
{
    struct buf out = { 0 };

    uidset_format(s, &out);
    assert_string_equal(buf_cstr(&out), text);
    buf_fini(&out);
}

/* --- views --- */

static void open_view(struct imap_view *v, const char *uids, uint32_t recent_uid)
{
    struct slice keywords[] = { SLICE_LIT("one"), SLICE_LIT("two") };
    struct mailbox m = {
        .id = 1, .uidnext = 100, .recent_uid = recent_uid, .keywords = keywords, .keyword_count = 2
    };
    struct uidset set = set_of(uids);

    imap_view_init(v, &m, &set, false);
    uidset_fini(&set);
}

static void test_recent(void **state)
{
    static const struct {
        uint32_t recent_uid;
        uint32_t count;
    } rows[] = {
        { 0, 5 }, { 2, 4 }, { 9, 3 }, { 10, 2 }, { 19, 2 }, { 20, 1 }, { 30, 0 }, { UINT32_MAX, 0 }
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct imap_view v;

        open_view(&v, "2,5,10,20,30", rows[i].recent_uid);
        assert_int_equal(imap_view_recent_count(&v), rows[i].count);
        imap_view_fini(&v);
    }
}

static void test_resolve(void **state)
{
    struct arena arena = { 0 };
    struct uidset saved = set_of("5,7,30"), got = { 0 };
    struct imap_view v;
    struct imap_set set = { 0 };

    open_view(&v, "2,5,10,20,30", 0);
    assert_int_equal(seqset_parse(SLICE_LIT("2,4:*"), &arena, &set.set), OK);
    assert_int_equal(imap_view_resolve(&v, &set, false, &saved, &got), OK);
    assert_set(&got, "5,20,30");
    assert_int_equal(imap_view_resolve(&v, &set, true, &saved, &got), OK);
    assert_set(&got, "2,5,10,20,30");
    assert_int_equal(seqset_parse(SLICE_LIT("6"), &arena, &set.set), OK);
    assert_int_equal(imap_view_resolve(&v, &set, false, &saved, &got), ERR_INVALID);
    set.saved = true;
    assert_int_equal(imap_view_resolve(&v, &set, false, &saved, &got), OK);
    assert_set(&got, "5,30"); /* 7 has been expunged */
    imap_view_fini(&v);
    uidset_fini(&saved);
    uidset_fini(&got);
    arena_fini(&arena);
}

static void test_keywords(void **state)
{
    struct slice grown[] = { SLICE_LIT("one"), SLICE_LIT("two"), SLICE_LIT("three") };
    struct imap_view v;

    open_view(&v, "1", 0);
    assert_int_equal(v.keywords.count, 2);
    assert_false(imap_view_set_keywords(&v, grown, 2));
    assert_true(imap_view_set_keywords(&v, grown, 3));
    assert_string_equal(v.keywords.names[2], "three");
    imap_view_fini(&v);
}

/* --- names of LIST --- */

static const struct imap_list_name *name_in(const struct imap_list_names *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++) {
        if (slice_eq_str(all->names[i].name, name))
            return &all->names[i];
    }
    return NULL;
}

static void test_list_names(void **state)
{
    struct mailbox boxes[] = { { .name = SLICE_LIT("INBOX") },
                               { .name = SLICE_LIT("a") },
                               { .name = SLICE_LIT("a b") }, /* sorts between "a" and "a/..." */
                               { .name = SLICE_LIT("a/b/c") },
                               { .name = SLICE_LIT("a/b") } };
    struct slice subscribed[] = { SLICE_LIT("a/b/c"), SLICE_LIT("ghost/deep/er"), SLICE_LIT("INBOX") };
    const struct mailbox_list list = { boxes, 5, subscribed, 3 };
    const struct slice patterns[] = { SLICE_LIT("%"), SLICE_LIT("a/%") };
    struct arena arena = { 0 };
    struct imap_list_names all = imap_list_names_of(&list, patterns, 2, &arena);
    const struct imap_list_name *n;

    assert_int_equal(all.count, 8);
    assert_true(slice_eq_str(all.names[0].name, "INBOX"));
    assert_true(all.names[0].subscribed);
    assert_non_null(all.names[0].mailbox);

    n = name_in(&all, "a");
    assert_true(n->matches && n->has_children && n->subscribed_below && n->hidden_below && !n->subscribed);
    n = name_in(&all, "a b");
    assert_true(n->matches && !n->has_children);
    n = name_in(&all, "a/b/c");
    assert_true(!n->matches && n->subscribed && n->mailbox != NULL);
    n = name_in(&all, "ghost");
    assert_true(n->matches && n->mailbox == NULL && !n->has_children && n->hidden_below);
    n = name_in(&all, "ghost/deep");
    assert_true(!n->matches && n->subscribed_below);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recent),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_list_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
