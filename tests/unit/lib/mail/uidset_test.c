/* SPDX-License-Identifier: Apache-2.0 */
/* uidset, seqset and uidmap: tables, and random operations against a plain array of bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mail/seqset.h"
#include "lib/mail/uidmap.h"
#include "lib/mail/uidset.h"

enum { MODEL_MAX = 200, ROUNDS = 20000 };

static uint64_t seed = 42;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static const char *text_of(const struct uidset *s, struct buf *b)
{
    buf_clear(b);
    uidset_format(s, b);
    return buf_cstr(b);
}

static void assert_well_formed(const struct uidset *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        assert_true(s->ranges[i].first >= 1 && s->ranges[i].first <= s->ranges[i].last);
        if (i > 0)
            assert_true(s->ranges[i].first > s->ranges[i - 1].last + 1);
    }
}

static void assert_is_model(const struct uidset *s, const bool *model)
{
    uint64_t count = 0;
    assert_well_formed(s);
    for (uint32_t uid = 1; uid <= MODEL_MAX; uid++) {
        assert_int_equal(uidset_contains(s, uid), model[uid]);
        if (model[uid])
            assert_int_equal(uidset_at(s, count), uid);
        count += model[uid];
    }
    assert_int_equal(uidset_count(s), count);
    struct uidset_iter it = uidset_iter(s);
    for (uint32_t uid; uidset_next(&it, &uid); count--)
        assert_true(model[uid]);
    assert_int_equal(count, 0);
}

static void random_change(struct uidset *s, bool *model)
{
    uint32_t first = 1 + random_below(MODEL_MAX), last = first + random_below(8);
    bool add = random_below(2) == 0;
    last = last > MODEL_MAX ? MODEL_MAX : last;
    if (add)
        uidset_add_range(s, first, last);
    else
        uidset_remove_range(s, first, last);
    for (uint32_t uid = first; uid <= last; uid++)
        model[uid] = add;
}

static void test_random(void **state)
{
    struct uidset a = { 0 }, b = { 0 }, out = { 0 };
    bool in_a[MODEL_MAX + 1] = { 0 }, in_b[MODEL_MAX + 1] = { 0 }, want[MODEL_MAX + 1] = { 0 };
    for (int round = 0; round < ROUNDS; round++) {
        random_change(&a, in_a);
        random_change(&b, in_b);
        assert_is_model(&a, in_a);
        if (round % 50 != 0)
            continue;
        for (uint32_t i = 1; i <= MODEL_MAX; i++)
            want[i] = in_a[i] && in_b[i];
        uidset_intersect(&a, &b, &out);
        assert_is_model(&out, want);
        for (uint32_t i = 1; i <= MODEL_MAX; i++)
            want[i] = in_a[i] && !in_b[i];
        uidset_subtract(&a, &b, &out);
        assert_is_model(&out, want);
        for (uint32_t i = 1; i <= MODEL_MAX; i++)
            want[i] = in_a[i] || in_b[i];
        uidset_copy(&a, &out);
        uidset_add_set(&out, &b);
        assert_is_model(&out, want);

        struct buf wire = { 0 };
        uidset_encode(&a, &wire);
        struct cursor c = cursor_of(buf_slice(&wire));
        assert_int_equal(uidset_decode(&c, &out), OK);
        assert_true(cursor_done(&c) && uidset_eq(&a, &out));
        buf_clear(&wire);
        uidset_format(&a, &wire);
        if (a.count > 0)
            assert_int_equal(uidset_parse(buf_slice(&wire), &out), OK);
        assert_true(a.count == 0 || uidset_eq(&a, &out));
        buf_fini(&wire);
    }
    uidset_fini(&a);
    uidset_fini(&b);
    uidset_fini(&out);
}

static void test_edges(void **state)
{
    struct uidset s = { 0 }, all = { 0 }, out = { 0 };
    struct buf b = { 0 };
    uidset_add_range(&all, 1, UINT32_MAX);
    assert_int_equal(uidset_count(&all), UINT32_MAX);
    uidset_add(&all, UINT32_MAX);
    assert_string_equal(text_of(&all, &b), "1:4294967295");
    uidset_add(&s, UINT32_MAX);
    uidset_subtract(&all, &s, &out);
    assert_string_equal(text_of(&out, &b), "1:4294967294");
    uidset_subtract(&all, &all, &out);
    assert_true(uidset_is_empty(&out));
    uidset_remove_range(&all, 5, UINT32_MAX);
    assert_string_equal(text_of(&all, &b), "1:4");

    /* A borrowed set is copied before it changes. */
    struct uid_range borrowed[2] = { { 1, 2 }, { 5, 6 } };
    struct uidset view = { borrowed, 2, 0 };
    uidset_add_range(&view, 3, 4);
    assert_string_equal(text_of(&view, &b), "1:6");
    assert_int_equal(borrowed[0].last, 2);
    uidset_fini(&view);
    uidset_fini(&s);
    uidset_fini(&all);
    uidset_fini(&out);
    buf_fini(&b);
}

static void test_bad_wire(void **state)
{
    static const struct slice bad[] = {
        { (const uint8_t *)"", 0 },                             /* no count */
        { (const uint8_t *)"\x01", 1 },                         /* no range */
        { (const uint8_t *)"\x01\x00\x00", 3 },                 /* starts at 0 */
        { (const uint8_t *)"\x02\x01\x00\x01\x00", 5 },         /* touches the one before */
        { (const uint8_t *)"\x01\xff\xff\xff\xff\x0f\x01", 7 }, /* runs beyond 32 bits */
        { (const uint8_t *)"\x01\xff\xff\xff\xff\xff\xff\x01\x00", 9 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct uidset s = { 0 };
        struct cursor c = cursor_of(bad[i]);
        assert_int_equal(uidset_decode(&c, &s), ERR_CORRUPT);
        uidset_fini(&s);
    }
}

static void test_seqset(void **state)
{
    static const struct {
        const char *text;
        uint32_t max;
        const char *want;
        bool within;
    } rows[] = {
        { "1", 5, "1", true },           { "1:3,5", 5, "1:3,5", true }, { "*", 5, "5", true },
        { "3:*", 5, "3:5", true },       { "*:3", 5, "3:5", true },     { "7:*", 5, "5", false },
        { "5:1", 5, "1:5", true },       { "2,4,3", 5, "2:4", true },   { "1:4294967295", 5, "1:5", false },
        { "6,7", 5, "", false },         { "*", 0, "", false },         { "1:*", 0, "", false },
        { "1,*,1:2", 9, "1:2,9", true }, { "*:*", 4, "4", true },
    };
    struct arena arena = { 0 };
    struct uidset out = { 0 };
    struct buf b = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct seqset s;
        assert_int_equal(seqset_parse(slice_str(rows[i].text), &arena, &s), OK);
        seqset_resolve(&s, rows[i].max, &out);
        assert_string_equal(text_of(&out, &b), rows[i].want);
        assert_int_equal(seqset_is_within(&s, rows[i].max), rows[i].within);
        for (uint32_t n = 1; n <= rows[i].max; n++)
            assert_int_equal(seqset_contains(&s, n, rows[i].max), uidset_contains(&out, n));
        buf_clear(&b);
        seqset_format(&s, &b);
        if (strcmp(rows[i].text, "*:*") != 0)
            assert_string_equal(buf_cstr(&b), rows[i].text);
    }
    static const char *const bad[] = { "",  "0",     "01", "1:", ":1",         "1,", ",1", "1,,2",
                                       "a", "1:2:3", "-1", "**", "4294967296", "1 ", "$" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct seqset s;
        assert_int_equal(seqset_parse(slice_str(bad[i]), &arena, &s), ERR_SYNTAX);
    }
    arena_fini(&arena);
    uidset_fini(&out);
    buf_fini(&b);
}

/* The map against an array of UIDs in order. */
static void assert_map(const struct uidmap *m, const uint32_t *uids, uint32_t count)
{
    assert_int_equal(m->count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(uidmap_uid(m, i + 1), uids[i]);
        assert_int_equal(uidmap_seq(m, uids[i]), i + 1);
        uint32_t below = i == 0 ? 0 : uids[i - 1];
        if (below + 1 < uids[i]) {
            assert_int_equal(uidmap_seq(m, uids[i] - 1), 0);
            assert_int_equal(uidmap_seq_from(m, uids[i] - 1), i + 1);
        }
    }
    assert_int_equal(uidmap_uid(m, 0), 0);
    assert_int_equal(uidmap_uid(m, count + 1), 0);
    assert_int_equal(uidmap_seq(m, 0), 0);
    assert_int_equal(uidmap_seq(m, uidmap_uid_max(m) + 1), 0);
    assert_int_equal(uidmap_seq_from(m, uidmap_uid_max(m) + 1), count + 1);
}

static void remove_at(uint32_t *uids, uint32_t *count, uint32_t at)
{
    memmove(uids + at, uids + at + 1, (*count - at - 1) * sizeof *uids);
    (*count)--;
}

static void test_map_random(void **state)
{
    struct uidmap m = { 0 };
    uint32_t uids[MODEL_MAX], count = 0, next = 1;
    for (int round = 0; round < ROUNDS; round++) {
        if (count < MODEL_MAX && random_below(5) < 3) {
            next += random_below(3) == 0 ? random_below(4) : 0;
            uidmap_append(&m, next);
            uids[count++] = next++;
        } else if (count > 0) {
            uint32_t at = random_below(count);
            assert_int_equal(uidmap_expunge(&m, uids[at]), at + 1);
            assert_int_equal(uidmap_expunge(&m, uids[at]), 0);
            remove_at(uids, &count, at);
        }
        if (round % 10 == 0)
            assert_map(&m, uids, count);
    }
    /* Many at once: numbers reported from the highest down are right one after another. */
    struct uidset gone = { 0 }, seqs = { 0 };
    for (uint32_t i = 0; i < count; i += 1 + random_below(4))
        uidset_add(&gone, uids[i]);
    uidset_add(&gone, next + 10);
    uidmap_expunge_set(&m, &gone, &seqs);
    for (uint32_t i = seqs.count; i-- > 0;) {
        for (uint32_t seq = seqs.ranges[i].last; seq >= seqs.ranges[i].first; seq--)
            remove_at(uids, &count, seq - 1);
    }
    assert_map(&m, uids, count);
    uidset_fini(&gone);
    uidset_fini(&seqs);
    uidmap_fini(&m);
}

static void test_map_sets(void **state)
{
    struct uidmap m = { 0 };
    struct uidset s = { 0 }, out = { 0 };
    struct buf b = { 0 };
    struct arena arena = { 0 };
    struct seqset set;
    assert_int_equal(uidset_parse(SLICE_LIT("10:19,30,40:49"), &s), OK);
    uidmap_load(&m, &s);
    assert_int_equal(m.count, 21);
    assert_int_equal(uidset_parse(SLICE_LIT("10:12,21:99"), &s), OK);
    uidmap_uids_of(&m, &s, &out);
    assert_string_equal(text_of(&out, &b), "19,30,40,49");
    assert_int_equal(uidset_parse(SLICE_LIT("1:10,12"), &s), OK);
    uidmap_uids_of(&m, &s, &out);
    assert_string_equal(text_of(&out, &b), "10:19,40");
    assert_int_equal(uidset_parse(SLICE_LIT("1:10,15:35,49:4294967295"), &s), OK);
    uidmap_seqs_of(&m, &s, &out);
    assert_string_equal(text_of(&out, &b), "1,6:11,21");
    uidmap_uids(&m, &out);
    assert_string_equal(text_of(&out, &b), "10:19,30,40:49");
    assert_int_equal(uidset_parse(SLICE_LIT("45:52,60"), &s), OK);
    assert_int_equal(uidmap_append_set(&m, &s), 4);
    assert_int_equal(uidmap_uid_max(&m), 60);

    assert_int_equal(seqset_parse(SLICE_LIT("2,*"), &arena, &set), OK);
    assert_int_equal(uidmap_select(&m, &set, false, &out), OK);
    assert_string_equal(text_of(&out, &b), "11,60");
    assert_int_equal(seqset_parse(SLICE_LIT("100:*"), &arena, &set), OK);
    assert_int_equal(uidmap_select(&m, &set, false, &out), ERR_INVALID);
    assert_int_equal(uidmap_select(&m, &set, true, &out), OK);
    assert_string_equal(text_of(&out, &b), "60");
    uidmap_fini(&m);
    uidset_fini(&s);
    uidset_fini(&out);
    buf_fini(&b);
    arena_fini(&arena);
}

static void test_map_memory(void **state)
{
    struct uidmap m = { 0 };
    for (uint32_t uid = 1; uid <= 1000; uid++)
        uidmap_append(&m, uid);
    assert_true(m.run_cap * sizeof *m.runs + sizeof m <= 48);
    uidmap_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),     cmocka_unit_test(test_edges),      cmocka_unit_test(test_bad_wire),
        cmocka_unit_test(test_seqset),     cmocka_unit_test(test_map_random), cmocka_unit_test(test_map_sets),
        cmocka_unit_test(test_map_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
