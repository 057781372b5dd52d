/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH: programs as a front-end encodes them, over stored messages. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "lib/mail/search.h"
#include "lib/mail/summary.h"
#include "storage-node/mailbox/search/search_segments.h"

static uint32_t append_mail(struct fixture *f, uint64_t account, uint64_t mailbox, const char *text,
                            bool summary)
{
    struct buf bytes = { 0 };
    if (summary) {
        struct summary_builder *b = summary_builder_new(SUMMARY_STORED_MAX);
        summary_builder_push(b, slice_str(text));
        summary_builder_finish(b, &bytes);
        summary_builder_free(&b);
    }
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.size = strlen(text);
    message.summary = (ProtobufCBinaryData){ bytes.len, bytes.data };
    Tern__NewMessage *messages[] = { &message };
    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.messages = messages;
    request.n_messages = 1;
    f->body = slice_str(text);
    assert_int_equal(fixture_write(f, METHOD_APPEND, &request.base), OK);
    buf_fini(&bytes);
    Tern__AppendResponse *r = fixture_unpack(f, &tern__append_response__descriptor, &f->result.response);
    return (uint32_t)strtoul(fixture_uids_text(f, r->uids), NULL, 10);
}

struct box {
    struct fixture *f;
    uint64_t account, id;
};

static const char *search_view(struct box *b, struct search_node *tree, const char *view)
{
    struct buf program = { 0 };
    assert_int_equal(search_encode(tree, &program), OK);
    Tern__SearchRequest request = TERN__SEARCH_REQUEST__INIT;
    request.account = b->account;
    request.mailbox = b->id;
    request.program = (ProtobufCBinaryData){ program.len, program.data };
    if (view != NULL)
        request.view_uids = fixture_uids(b->f, view);
    request.work_ms = 2000;
    struct buf text = { 0 };
    do {
        assert_int_equal(fixture_read(b->f, METHOD_SEARCH, &request.base), OK);
        Tern__SearchResponse *r = fixture_unpack(b->f, &tern__search_response__descriptor, &b->f->response);
        buf_addf(&text, "%s%s", text.len > 0 && r->uids.len > 1 ? "," : "", fixture_uids_text(b->f, r->uids));
        request.from_uid = r->next_uid;
    } while (request.from_uid != 0);
    buf_fini(&program);
    const char *out = arena_strdup(&b->f->arena, buf_slice(&text));
    buf_fini(&text);
    return out;
}

static const char *search(struct box *b, struct search_node *tree)
{
    return search_view(b, tree, NULL);
}

static struct search_node *node(struct box *b, enum search_op op, const char *text)
{
    struct search_node *n = search_node_new(&b->f->arena, op);
    n->text = slice_str(text);
    return n;
}

static struct search_node *header(struct box *b, const char *name, const char *text)
{
    struct search_node *n = node(b, SEARCH_HEADER, text);
    n->name = slice_str(name);
    return n;
}

static struct search_node *number(struct box *b, enum search_op op, uint64_t value)
{
    struct search_node *n = search_node_new(&b->f->arena, op);
    n->number = value;
    return n;
}

static struct box make_box(struct fixture *f)
{
    struct box b = { f, create_account(f, "a@example.test", 0), 0 };
    b.id = open_mailbox(f, b.account, "INBOX")->id;
    append_mail(
        f, b.account, b.id,
        "From: Alice <alice@x.test>\r\nSubject: the minutes\r\nDate: Mon, 23 Nov 2020 10:00:00 +0000\r\n"
        "X-Odd: strange value\r\n\r\nWe met on Monday.\r\n",
        true);
    append_mail(f, b.account, b.id,
                "From: Bob\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello from the sea.\r\n", true);
    append_mail(f, b.account, b.id, "Subject: without summary\r\n\r\nA Monday again.\r\n", false);
    store_flags(f, b.account, b.id, "2", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN);
    return b;
}

static void test_keys(void **state)
{
    struct box b = make_box(*state);
    struct arena *arena = &b.f->arena;
    assert_string_equal(search(&b, search_node_new(arena, SEARCH_ALL)), "1:3");
    assert_string_equal(search(&b, number(&b, SEARCH_FLAG, MAIL_SEEN)), "2");
    struct search_node *not = search_node_new(arena, SEARCH_NOT);
    search_node_add(not, number(&b, SEARCH_FLAG, MAIL_SEEN));
    assert_string_equal(search(&b, not ), "1,3");
    assert_string_equal(search(&b, header(&b, "subject", "MINUTES")), "1");
    assert_string_equal(search(&b, header(&b, "Subject", "gr\xc3\xbc\xc3\x9f")), "2");
    assert_string_equal(search(&b, header(&b, "X-Odd", "value")), "1");
    assert_string_equal(search(&b, header(&b, "X-Odd", "")), "1");
    assert_string_equal(search(&b, header(&b, "Subject", "without")), "3");
    assert_string_equal(search(&b, node(&b, SEARCH_BODY, "monday")), "1,3");
    assert_string_equal(search(&b, node(&b, SEARCH_BODY, "minutes")), "");
    assert_string_equal(search(&b, node(&b, SEARCH_TEXT, "minutes")), "1");
    assert_string_equal(search(&b, node(&b, SEARCH_TEXT, "sea")), "2");
    struct search_node *sent = search_node_new(arena, SEARCH_SENTBEFORE);
    sent->day = 20000; /* 2024 */
    assert_string_equal(search(&b, sent), "1");
    assert_string_equal(search(&b, number(&b, SEARCH_SMALLER, 60)), "3");
}

static void test_view_and_sets(void **state)
{
    struct box b = make_box(*state);
    struct arena *arena = &b.f->arena;
    assert_string_equal(search_view(&b, search_node_new(arena, SEARCH_ALL), "2:9"), "2:3");
    assert_string_equal(search_view(&b, search_node_new(arena, SEARCH_ALL), ""), "");
    struct search_node *uids = search_node_new(arena, SEARCH_UIDS);
    uidset_add_range(&uids->uids, 1, 2);
    assert_string_equal(search_view(&b, uids, "2:9"), "2");
    uidset_fini(&uids->uids);
}

static void test_object_id_and_modseq(void **state)
{
    struct box b = make_box(*state);
    uint64_t modseq = open_mailbox(b.f, b.account, "INBOX")->modseq;
    assert_string_equal(search(&b, number(&b, SEARCH_MODSEQ, modseq)), "2");
    fetch_flags(b.f, b.account, b.id, "3", 0);
    struct cursor c = cursor_of(buf_slice(&b.f->rows));
    struct row row;
    assert_int_equal(row_next(&c, &row), OK);
    struct row_email_id id = row_email_id(row.body_id);
    assert_string_equal(search(&b, node(&b, SEARCH_EMAILID, id.text)), "3");
}

static void test_keywords(void **state)
{
    struct box b = make_box(*state);
    char *names[] = { (char *)"Work" };
    Tern__StoreFlagsRequest store = TERN__STORE_FLAGS_REQUEST__INIT;
    store.account = b.account;
    store.mailbox = b.id;
    store.uids = fixture_uids(b.f, "1,3");
    store.mode = TERN__STORE_MODE__STORE_ADD;
    store.keywords = names;
    store.n_keywords = 1;
    assert_int_equal(fixture_write(b.f, METHOD_STORE_FLAGS, &store.base), OK);
    assert_string_equal(search(&b, node(&b, SEARCH_KEYWORD, "work")), "1,3");
    assert_string_equal(search(&b, node(&b, SEARCH_KEYWORD, "play")), "");
}

static void test_rubbish_program(void **state)
{
    struct box b = make_box(*state);
    Tern__SearchRequest request = TERN__SEARCH_REQUEST__INIT;
    request.account = b.account;
    request.mailbox = b.id;
    assert_int_equal(fixture_read(b.f, METHOD_SEARCH, &request.base), ERR_INVALID);
    request.program = (ProtobufCBinaryData){ 3, (uint8_t *)"\xff\xff\xff" };
    assert_int_equal(fixture_read(b.f, METHOD_SEARCH, &request.base), ERR_INVALID);
}

/* ---- segments and rows give the same answer */

static struct search_node *random_tree(struct box *b, unsigned *seed, unsigned depth)
{
    static const enum search_op leaves[] = { SEARCH_ALL,  SEARCH_NONE, SEARCH_UIDS,  SEARCH_FLAG,
                                             SEARCH_FLAG, SEARCH_UIDS, SEARCH_LARGER };
    static const enum search_op inner[] = { SEARCH_AND, SEARCH_OR, SEARCH_NOT };
    if (depth == 0 || rand_r(seed) % 4 == 0) {
        struct search_node *n = search_node_new(&b->f->arena, leaves[(unsigned)rand_r(seed) % 7]);
        uint32_t first = 1 + (uint32_t)rand_r(seed) % 60;
        n->number = n->op == SEARCH_LARGER  ? (unsigned)rand_r(seed) % 10
                    : rand_r(seed) % 4 == 0 ? MAIL_FLAGGED
                                            : MAIL_SEEN;
        if (n->op == SEARCH_UIDS) {
            struct uidset set = { 0 };
            uidset_add_range(&set, first, first + (uint32_t)rand_r(seed) % 20);
            n->uids = uidset_in_arena(&set, &b->f->arena);
            uidset_fini(&set);
        }
        return n;
    }
    struct search_node *n = search_node_new(&b->f->arena, inner[(unsigned)rand_r(seed) % 3]);
    unsigned children = n->op == SEARCH_NOT ? 1 : 2 + (unsigned)rand_r(seed) % 2;
    for (unsigned i = 0; i < children; i++)
        search_node_add(n, random_tree(b, seed, depth - 1));
    return n;
}

static void test_segments_and_rows_agree(void **state)
{
    struct fixture *f = *state;
    struct box b = { f, create_account(f, "a@example.test", 0), 0 };
    unsigned seed = 5, found = 0;
    b.id = open_mailbox(f, b.account, "INBOX")->id;
    for (unsigned i = 0; i < 80; i++)
        append_text(f, b.account, b.id, &"ten octets"[rand_r(&seed) % 10], (unsigned)rand_r(&seed) % 8);
    expunge(f, b.account, b.id, "7:9,20,44:50", false);
    for (unsigned i = 0; i < 2000; i++) {
        arena_clear(&f->arena);
        struct search_node *tree = random_tree(&b, &seed, 3);
        /* The key in front is never true and makes rows be read. */
        struct search_node *by_rows = search_node_new(&f->arena, SEARCH_OR);
        search_node_add(by_rows, number(&b, SEARCH_LARGER, 1000000));
        struct search_node *copy = search_node_new(&f->arena, tree->op);
        *copy = *tree;
        copy->next = NULL;
        search_node_add(by_rows, copy);
        const char *view = i % 2 == 0 ? NULL : "3:60,70";
        const char *expected = search_view(&b, by_rows, view);
        assert_string_equal(search_view(&b, tree, view), expected);
        found += *expected != '\0';
    }
    assert_true(found > 500);
}

static uint64_t max_modseq_of(struct box *b)
{
    Tern__SearchResponse *r = fixture_unpack(b->f, &tern__search_response__descriptor, &b->f->response);
    return r->max_modseq;
}

/* A program of very many keys is answered row by row, where a page ends in time. */
static void test_many_keys_are_left_to_the_rows(void **state)
{
    struct box b = make_box(*state);
    struct arena *arena = &b.f->arena;
    for (unsigned keys = 1; keys <= SEARCH_SEGMENT_NODES_MAX + 5; keys++) {
        struct search_node *any = search_node_new(arena, SEARCH_OR),
                           *all = search_node_new(arena, SEARCH_AND);
        for (unsigned i = 1; i <= keys; i++)
            search_node_add(any, number(&b, SEARCH_FLAG, MAIL_SEEN));
        search_node_add(all, search_node_new(arena, SEARCH_ALL));
        for (unsigned i = 1; i < keys; i++)
            search_node_add(all, number(&b, SEARCH_FLAG, MAIL_SEEN));
        search_node_add(all, number(&b, SEARCH_SMALLER, 1000));
        assert_string_equal(search(&b, any), "2");
        assert_int_equal(max_modseq_of(&b) == 0, 1 + keys <= SEARCH_SEGMENT_NODES_MAX);
        assert_string_equal(search(&b, all), keys == 1 ? "1:3" : "2");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),
        TEST(test_view_and_sets),
        TEST(test_object_id_and_modseq),
        TEST(test_keywords),
        TEST(test_rubbish_program),
        TEST(test_segments_and_rows_agree),
        TEST(test_many_keys_are_left_to_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
