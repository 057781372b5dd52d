/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for tests that start from a message: its summary, and its IMAP texts. */
#ifndef TESTS_UNIT_LIB_MAIL_MESSAGE_UTIL_H
#define TESTS_UNIT_LIB_MAIL_MESSAGE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/mail/imap_format.h"
#include "lib/mail/section.h"

/* Append the summary of a message that comes in pieces of `step` bytes. */
static inline void summarise_by(struct slice message, size_t step, size_t size_max, struct buf *out)
{
    struct summary_builder *b = summary_builder_new(size_max);
    for (size_t i = 0; i < message.len; i += step)
        summary_builder_push(b, slice_sub(message, i, i + step));
    summary_builder_finish(b, out);
    summary_builder_free(&b);
    assert_null(b);
}

/* The summary of a message, the same however it comes; `encoded` keeps the bytes. */
static inline struct summary summarise(struct slice message, struct buf *encoded)
{
    struct summary s;
    struct buf again = { 0 };
    buf_clear(encoded);
    summarise_by(message, SIZE_MAX / 2, SUMMARY_FULL_MAX, encoded);
    static const size_t steps[] = { 1, 2, 3, 7, 64 };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        buf_clear(&again);
        summarise_by(message, steps[i], SUMMARY_FULL_MAX, &again);
        assert_int_equal(again.len, encoded->len);
        assert_memory_equal(again.data, encoded->data, again.len);
    }
    buf_fini(&again);
    assert_int_equal(summary_open(buf_slice(encoded), &s), OK);
    return s;
}

static inline void assert_slice(struct slice got, const char *wanted)
{
    if (!slice_eq_str(got, wanted))
        fail_msg("got      \"%.*s\"\n  wanted \"%s\"", SLICE_FMT(got), wanted);
}

#endif
