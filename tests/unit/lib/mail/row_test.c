/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of FETCH answers: there and back, cut short anywhere, and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mail/row.h"

static const struct row rows[] = {
    { .uid = 1, .modseq = 2, .size = 3 },
    { .uid = UINT32_MAX,
      .modseq = INT64_MAX,
      .flags = UINT32_MAX,
      .keywords = UINT64_MAX,
      .internaldate_ms = UINT64_MAX,
      .internaldate_zone = 14 * 60,
      .size = UINT64_MAX,
      .body_id = UINT64_MAX,
      .parts = ROW_SUMMARY | ROW_HEADER | ROW_BODY,
      .summary = SLICE_LIT("summary"),
      .header = SLICE_LIT("header"),
      .body = SLICE_LIT("body") },
    { .uid = 7, .internaldate_zone = -12 * 60, .parts = ROW_HEADER, .header = SLICE_LIT("") },
    { .uid = 8, .internaldate_zone = -24 * 60, .parts = ROW_BODY, .body = SLICE_LIT("only\0body") },
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static void encode_all(struct buf *out)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        row_encode(&rows[i], out);
}

static void assert_same(const struct row *a, const struct row *b)
{
    assert_true(a->uid == b->uid && a->modseq == b->modseq && a->flags == b->flags);
    assert_true(a->keywords == b->keywords && a->internaldate_ms == b->internaldate_ms);
    assert_int_equal(a->internaldate_zone, b->internaldate_zone);
    assert_true(a->size == b->size && a->body_id == b->body_id && a->parts == b->parts);
    assert_true(slice_eq(a->summary, b->summary) && slice_eq(a->header, b->header));
    assert_true(slice_eq(a->body, b->body));
}

static void rows_come_back(void **state)
{
    (void)state;
    struct buf bytes = { 0 };
    struct row row;
    encode_all(&bytes);
    struct cursor c = cursor_of(buf_slice(&bytes));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        assert_int_equal(row_next(&c, &row), OK);
        assert_same(&row, &rows[i]);
    }
    assert_int_equal(row_next(&c, &row), ERR_NOT_FOUND);
    assert_int_equal(row_next(&c, &row), ERR_NOT_FOUND);
    buf_fini(&bytes);
}

static void body_behind_the_rest(void **state)
{
    (void)state;
    struct buf whole = { 0 }, parts = { 0 };
    for (size_t i = 0; i < ROW_COUNT; i++) {
        row_encode(&rows[i], &whole);
        if ((rows[i].parts & ROW_BODY) == 0) {
            row_encode(&rows[i], &parts);
            continue;
        }
        row_encode_to_body(&rows[i], rows[i].body.len, &parts);
        buf_add_slice(&parts, rows[i].body);
    }
    assert_true(slice_eq(buf_slice(&whole), buf_slice(&parts)));
    buf_fini(&whole);
    buf_fini(&parts);
}

/* Read until the end or an error; what a row borrows must lie inside the bytes. */
static enum err read_all(const uint8_t *bytes, size_t len)
{
    struct cursor c = cursor_of(slice_of(bytes, len));
    struct row row;
    enum err err;
    size_t count = 0;
    while ((err = row_next(&c, &row)) == OK) {
        assert_true(row.internaldate_zone >= -24 * 60 && row.internaldate_zone <= 24 * 60);
        assert_true(row.body.len == 0 || row.body.data + row.body.len <= bytes + len);
        assert_true(count++ < len);
    }
    return err;
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct buf bytes = { 0 };
    size_t ends[ROW_COUNT];
    for (size_t i = 0; i < ROW_COUNT; i++) {
        row_encode(&rows[i], &bytes);
        ends[i] = bytes.len;
    }
    for (size_t len = 0; len < bytes.len; len++) {
        bool whole = len == 0;
        for (size_t i = 0; i < ROW_COUNT; i++)
            whole |= ends[i] == len;
        uint8_t *exact = malloc(len == 0 ? 1 : len);
        memcpy(exact, bytes.data, len);
        assert_int_equal(read_all(exact, len), whole ? ERR_NOT_FOUND : ERR_PROTOCOL);
        free(exact);
    }
    buf_fini(&bytes);
}

static void damage_stays_inside(void **state)
{
    (void)state;
    struct buf bytes = { 0 };
    encode_all(&bytes);
    uint8_t *exact = malloc(bytes.len);
    for (size_t at = 0; at < bytes.len; at++) {
        for (int value = 0; value < 256; value += 15) {
            memcpy(exact, bytes.data, bytes.len);
            exact[at] = (uint8_t)value;
            enum err err = read_all(exact, bytes.len);
            assert_true(err == ERR_NOT_FOUND || err == ERR_PROTOCOL);
        }
    }
    free(exact);
    buf_fini(&bytes);
}

static void email_ids(void **state)
{
    (void)state;
    assert_string_equal(row_email_id(0).text, "M0000000000000000");
    assert_string_equal(row_email_id(UINT64_MAX).text, "Mffffffffffffffff");
    assert_int_equal(strlen(row_email_id(0x123).text), ROW_EMAIL_ID_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(body_behind_the_rest),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(damage_stays_inside),
        cmocka_unit_test(email_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
