/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mail/search.h"

/* Counts what the expensive parts are asked. */
struct asked {
    int header, body, text;
    bool answer;
    enum err err;
};

static enum err match_header(void *ctx, struct slice name, struct slice text, bool *match_out)
{
    struct asked *a = ctx;
    a->header++;
    *match_out = a->answer;
    return a->err;
}

static enum err match_body(void *ctx, struct slice text, bool *match_out)
{
    struct asked *a = ctx;
    a->body++;
    *match_out = a->answer;
    return a->err;
}

static enum err match_text(void *ctx, struct slice text, bool *match_out)
{
    struct asked *a = ctx;
    a->text++;
    *match_out = a->answer;
    return a->err;
}

static const struct search_source source = { match_header, match_body, match_text };

static struct search_message message(struct asked *asked)
{
    return (struct search_message){
        .uid = 7,
        .modseq = 50,
        .size = 1000,
        .flags = { MAIL_SEEN | MAIL_FLAGGED, 2 },
        .internal_date = { 86400 * 100 + 3600, 0 },
        .sent = { 86400 * 90 + 3600, -120 }, /* its own zone says day 89 */
        .has_sent = true,
        .email_id = SLICE_LIT("M1"),
        .thread_id = SLICE_LIT("T1"),
        .source = &source,
        .ctx = asked,
    };
}

static struct search_node *leaf(struct arena *arena, enum search_op op, uint64_t number)
{
    struct search_node *n = search_node_new(arena, op);
    n->number = number;
    n->day = (int32_t)number;
    n->text = SLICE_LIT("x");
    return n;
}

static bool eval(struct search_node *n)
{
    struct asked asked = { 0 };
    struct search_message m = message(&asked);
    bool match;
    assert_int_equal(search_eval(n, &m, &match), OK);
    return match;
}

static void test_leaves(void **state)
{
    static const struct {
        enum search_op op;
        uint64_t number;
        bool match;
    } rows[] = {
        { SEARCH_ALL, 0, true },
        { SEARCH_NONE, 0, false },
        { SEARCH_FLAG, MAIL_SEEN, true },
        { SEARCH_FLAG, MAIL_DRAFT, false },
        { SEARCH_FLAG, MAIL_SEEN | MAIL_DRAFT, false },
        { SEARCH_BEFORE, 100, false },
        { SEARCH_BEFORE, 101, true },
        { SEARCH_ON, 100, true },
        { SEARCH_ON, 99, false },
        { SEARCH_SINCE, 100, true },
        { SEARCH_SINCE, 101, false },
        { SEARCH_SENTBEFORE, 90, true },
        { SEARCH_SENTON, 89, true },
        { SEARCH_SENTSINCE, 90, false },
        { SEARCH_LARGER, 1000, false },
        { SEARCH_LARGER, 999, true },
        { SEARCH_SMALLER, 1000, false },
        { SEARCH_SMALLER, 1001, true },
        { SEARCH_MODSEQ, 50, true },
        { SEARCH_MODSEQ, 51, false },
        { SEARCH_ARRIVED_FROM, 86400 * 100 + 3600, true },
        { SEARCH_ARRIVED_FROM, 86400 * 100 + 3601, false },
        { SEARCH_ARRIVED_TO, 86400 * 100 + 3600, true },
        { SEARCH_ARRIVED_TO, 86400 * 100 + 3599, false },
        { SEARCH_EMAILID, 0, false },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("op %d number %d\n", rows[i].op, (int)rows[i].number);
        assert_int_equal(eval(leaf(&arena, rows[i].op, rows[i].number)), rows[i].match);
    }
    struct asked asked = { 0 };
    struct search_message undated = message(&asked);
    undated.has_sent = false;
    assert_int_equal(search_eval_row(leaf(&arena, SEARCH_SENTBEFORE, 1000), &undated), SEARCH_NO);
    arena_fini(&arena);
}

/* Cheap keys decide first; a dear one is asked only if the answer hangs on it, the header before the body. */
static void test_cost(void **state)
{
    struct arena arena = { 0 };
    struct asked asked = { 0 };
    struct search_message m = message(&asked);
    bool match;
    struct search_node *all = search_node_new(&arena, SEARCH_AND);
    search_node_add(all, leaf(&arena, SEARCH_BODY, 0));
    search_node_add(all, leaf(&arena, SEARCH_HEADER, 0));
    search_node_add(all, leaf(&arena, SEARCH_FLAG, MAIL_DRAFT));
    search_order(all);
    assert_int_equal(all->child->op, SEARCH_FLAG);
    assert_int_equal(all->child->next->op, SEARCH_HEADER);
    assert_int_equal(search_cost_of(all), SEARCH_COST_BODY);
    assert_int_equal(search_eval(all, &m, &match), OK);
    assert_true(!match && asked.body == 0 && asked.header == 0);

    all->child->number = MAIL_SEEN;
    assert_int_equal(search_eval_row(all, &m), SEARCH_OPEN);
    assert_int_equal(search_eval(all, &m, &match), OK);
    assert_true(!match && asked.header == 1 && asked.body == 0);
    asked = (struct asked){ .answer = true };
    assert_int_equal(search_eval(all, &m, &match), OK);
    assert_true(match && asked.header == 1 && asked.body == 1);

    all->op = SEARCH_OR;
    asked = (struct asked){ 0 };
    assert_int_equal(search_eval(all, &m, &match), OK);
    assert_true(match && asked.header == 0);
    all->child->number = MAIL_DRAFT;
    struct search_node *not = search_node_new(&arena, SEARCH_NOT);
    search_node_add(not, all);
    assert_int_equal(search_eval(not, &m, &match), OK);
    assert_true(match && asked.header == 1 && asked.body == 1);
    asked.err = ERR_IO;
    assert_int_equal(search_eval(not, &m, &match), ERR_IO);
    arena_fini(&arena);
}

static void test_resolve(void **state)
{
    struct arena arena = { 0 };
    struct uidmap map = { 0 };
    struct uidset uids = { 0 }, bound;
    struct buf b = { 0 };
    assert_int_equal(uidset_parse(SLICE_LIT("5,7,9"), &uids), OK);
    uidmap_load(&map, &uids);
    struct search_view view = { &map, NULL, &uids, 1000 };

    struct search_node *n = search_node_new(&arena, SEARCH_SEQS), *out;
    assert_int_equal(seqset_parse(SLICE_LIT("2:*"), &arena, &n->seqs), OK);
    assert_int_equal(search_resolve(n, &view, &arena, &out), OK);
    assert_true(search_uids_bound(out, &bound));
    uidset_format(&bound, &b);
    assert_string_equal(buf_cstr(&b), "7,9");
    n->op = SEARCH_SEQS;
    assert_int_equal(seqset_parse(SLICE_LIT("4"), &arena, &n->seqs), OK);
    assert_int_equal(search_resolve(n, &view, &arena, &out), ERR_INVALID);
    n->op = SEARCH_UID_SEQS;
    assert_int_equal(seqset_parse(SLICE_LIT("99:*"), &arena, &n->seqs), OK);
    assert_int_equal(search_resolve(n, &view, &arena, &out), OK);
    assert_int_equal(uidset_min(&out->uids), 9);
    n->op = SEARCH_SAVED;
    assert_int_equal(search_resolve(n, &view, &arena, &out), OK);
    assert_int_equal(out->op, SEARCH_NONE);
    n->op = SEARCH_RECENT;
    assert_int_equal(search_resolve(n, &view, &arena, &out), OK);
    assert_true(uidset_eq(&out->uids, &uids));
    n->op = SEARCH_YOUNGER;
    n->number = 100;
    assert_int_equal(search_resolve(n, &view, &arena, &out), OK);
    assert_true(out->op == SEARCH_ARRIVED_FROM && out->number == 900);
    n->op = SEARCH_OLDER;
    n->number = 2000;
    assert_int_equal(search_resolve(n, &view, &arena, &out), OK);
    assert_true(out->op == SEARCH_ARRIVED_TO && (int64_t)out->number == -1000);
    uidset_fini(&uids);
    uidmap_fini(&map);
    buf_fini(&b);
    arena_fini(&arena);
}

static struct search_node *sample(struct arena *arena)
{
    struct search_node *all = search_node_new(arena, SEARCH_AND);
    struct search_node * or = search_node_new(arena, SEARCH_OR);
    struct search_node *not = search_node_new(arena, SEARCH_NOT);
    struct uidset uids = { 0 };
    uidset_add_range(&uids, 3, 9);
    for (enum search_op op = SEARCH_FLAG; op <= SEARCH_THREADID; op++) {
        struct search_node *n = leaf(arena, op, 1);
        n->name = SLICE_LIT("Subject");
        n->uids = uidset_in_arena(&uids, arena);
        search_node_add(op % 2 == 0 ? all : or, n);
    }
    uidset_fini(&uids);
    search_node_add(not, or);
    search_node_add(all, not );
    search_node_add(all, search_node_new(arena, SEARCH_ALL));
    search_node_add(all, search_node_new(arena, SEARCH_NONE));
    return all;
}

/* There and back gives the same bytes; every prefix and every changed byte is refused or decoded without
 * harm. */
static void test_wire(void **state)
{
    struct arena arena = { 0 };
    struct search_node *tree = sample(&arena), *back;
    struct buf first = { 0 }, second = { 0 };
    search_order(tree);
    assert_int_equal(search_encode(tree, &first), OK);
    assert_int_equal(search_decode(buf_slice(&first), &arena, &back), OK);
    assert_int_equal(search_encode(back, &second), OK);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
    for (size_t len = 0; len < first.len; len++)
        assert_int_not_equal(search_decode(slice_of(first.data, len), &arena, &back), OK);
    for (size_t i = 0; i < first.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            first.data[i] ^= (uint8_t)(1u << bit);
            if (search_decode(buf_slice(&first), &arena, &back) == OK)
                (void)eval(back);
            first.data[i] ^= (uint8_t)(1u << bit);
        }
        arena_clear(&arena);
    }
    buf_fini(&first);
    buf_fini(&second);
    arena_fini(&arena);
}

static void test_bounds(void **state)
{
    struct arena arena = { 0 };
    struct buf b = { 0 };
    struct search_node *n = search_node_new(&arena, SEARCH_ALL), *wide, *out;
    for (int depth = 1; depth < SEARCH_DEPTH_MAX; depth++) {
        struct search_node *not = search_node_new(&arena, SEARCH_NOT);
        search_node_add(not, n);
        n = not ;
    }
    assert_int_equal(search_encode(n, &b), OK);
    assert_int_equal(search_decode(buf_slice(&b), &arena, &out), OK);
    struct search_node *deeper = search_node_new(&arena, SEARCH_NOT);
    search_node_add(deeper, n);
    buf_clear(&b);
    assert_int_equal(search_encode(deeper, &b), ERR_TOO_BIG);
    assert_int_equal(b.len, 0);
    buf_add_byte(&b, 1);
    for (int i = 0; i < 100000; i++)
        buf_add_byte(&b, SEARCH_NOT);
    assert_int_equal(search_decode(buf_slice(&b), &arena, &out), ERR_TOO_BIG);
    buf_clear(&b);
    wide = search_node_new(&arena, SEARCH_AND);
    for (int i = 0; i < SEARCH_NODES_MAX - 1; i++)
        search_node_add(wide, search_node_new(&arena, SEARCH_ALL));
    assert_int_equal(search_encode(wide, &b), OK);
    search_node_add(wide, search_node_new(&arena, SEARCH_ALL));
    assert_int_equal(search_encode(wide, &b), ERR_TOO_BIG);
    assert_int_equal(search_encode(search_node_new(&arena, SEARCH_SEQS), &b), ERR_INVALID);
    buf_fini(&b);
    arena_fini(&arena);
}

static void test_bind(void **state)
{
    struct arena arena = { 0 };
    struct keyword_table table = { 0 };
    unsigned index;
    assert_int_equal(keyword_table_add(&table, SLICE_LIT("a"), &index), OK);
    assert_int_equal(keyword_table_add(&table, SLICE_LIT("b"), &index), OK);
    struct search_node *n = leaf(&arena, SEARCH_KEYWORD, 0);
    search_bind(n, &table);
    assert_false(eval(n));
    n->text = SLICE_LIT("B");
    search_bind(n, &table);
    assert_true(eval(n));
    n->text = SLICE_LIT("a");
    search_bind(n, &table);
    assert_false(eval(n));
    keyword_table_fini(&table);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves), cmocka_unit_test(test_cost),   cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_wire),   cmocka_unit_test(test_bounds), cmocka_unit_test(test_bind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
