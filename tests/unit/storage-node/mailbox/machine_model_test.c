/* SPDX-License-Identifier: Apache-2.0 */
/* Random commands against a simple model in memory, with a session that follows each mailbox through CHANGES
 * alone. After every command: counters agree with rows, UIDs and modseqs only grow, the session sees what the
 * model has. At the end the log is applied again to an empty database, and every row must be the same. */
#include "lib/base/alloc.h"
#include "tests/unit/storage-node/mailbox/model.h"

/* ---- the same log gives the same rows */

static void expect_same_rows(struct kv *a, struct kv *b, enum kv_family family)
{
    struct kv_iter *x = kv_iter_new(a, NULL, family, SLICE_NULL, SLICE_NULL);
    struct kv_iter *y = kv_iter_new(b, NULL, family, SLICE_NULL, SLICE_NULL);
    bool on_x = kv_iter_seek(x, SLICE_NULL), on_y = kv_iter_seek(y, SLICE_NULL);
    for (; on_x && on_y; on_x = kv_iter_next(x), on_y = kv_iter_next(y)) {
        assert_true(slice_eq(kv_iter_key(x), kv_iter_key(y)));
        assert_true(slice_eq(kv_iter_value(x), kv_iter_value(y)));
    }
    assert_false(on_x || on_y);
    kv_iter_free(&x);
    kv_iter_free(&y);
}

static void replay(struct fixture *f)
{
    struct fixture again;
    fixture_open(&again);
    struct cursor c = cursor_of(buf_slice(&f->log));
    while (c.rest.len > 0) {
        struct slice entry = cursor_varbytes(&c);
        assert_int_equal(fixture_apply(&again, entry, cursor_varbytes(&c)), OK);
    }
    expect_same_rows(f->kv, again.kv, KV_STATE);
    expect_same_rows(f->kv, again.kv, KV_BODY);
    fixture_close(&again);
}

/* With every message gone and swept nothing of a body is left: references are counted right. */
static void empty_all(struct model *m)
{
    for (size_t b = 0; b < BOXES; b++) {
        struct model_box *box = &m->boxes[b];
        while (box->live && open_mailbox(m->f, m->account, box->name)->messages > 0) {
            char span[32];
            uint32_t first =
                (uint32_t)strtoul(fetch_flags(m->f, m->account, box->id, "1:4294967295", 0), NULL, 10);
            snprintf(span, sizeof span, "%u:%u", first, first + 500);
            expunge(m->f, m->account, box->id, span, false);
        }
    }
    uint64_t other_inbox = open_mailbox(m->f, m->other, "INBOX")->id;
    while (open_mailbox(m->f, m->other, "INBOX")->messages > 0) {
        uint32_t first =
            (uint32_t)strtoul(fetch_flags(m->f, m->other, other_inbox, "1:4294967295", 0), NULL, 10);
        char span[32];
        snprintf(span, sizeof span, "%u:%u", first, first + 500);
        expunge(m->f, m->other, other_inbox, span, false);
    }
    for (int i = 0; i < 20; i++) {
        m->f->time_ms += 3700 * 1000;
        fixture_sweep(m->f);
    }
    assert_int_equal(count_rows(m->f, KV_BODY), 0);
}

static void test_model(void **state)
{
    for (unsigned seed = 1; seed <= 3; seed++) {
        struct fixture f;
        fixture_open(&f);
        struct model *m = NEW(struct model);
        model_begin(m, &f, seed);
        for (int step = 0; step < STEPS; step++) {
            model_step(m);
            if (step % 5 == 0)
                model_check(m, step % 100 == 0);
            arena_clear(&f.arena);
        }
        for (size_t i = 0; i < sizeof m->applied / sizeof m->applied[0]; i++)
            assert_true(m->applied[i] > 0);
        model_check(m, true);
        replay(&f);
        empty_all(m);
        free(m);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_model) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
