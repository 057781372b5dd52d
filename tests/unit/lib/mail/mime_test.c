/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/mime.h"
#include "tests/unit/lib/mail/message_util.h"

/* "depth:type/subtype header+body lines|" for each part; the offsets are checked against the text. */
static void show_parts(const struct mime_scanner *m, struct slice message, struct buf *out)
{
    size_t count;
    const struct mime_part *parts = mime_scanner_parts(m, &count);
    for (size_t i = 0; i < count; i++) {
        const struct mime_part *p = &parts[i];
        size_t body = p->header_offset + p->header_len;
        assert_true(body + p->body_len <= message.len);
        buf_addf(out, "%u:%.*s/%.*s[%.*s]%u|", p->depth, SLICE_FMT(p->info.type), SLICE_FMT(p->info.subtype),
                 SLICE_FMT(slice_sub(message, body, body + p->body_len)), (unsigned)p->body_lines);
    }
}

static void scan(struct slice message, size_t step, struct buf *out)
{
    struct mime_scanner *m = mime_scanner_new(NULL);
    for (size_t i = 0; i < message.len; i += step)
        mime_scanner_push(m, slice_sub(message, i, i + step));
    mime_scanner_finish(m);
    assert_int_equal(mime_scanner_totals(m)->size, message.len);
    show_parts(m, message, out);
    mime_scanner_free(&m);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n"

static const struct {
    const char *message;
    const char *parts;
} structures[] = {
    { "", "0:text/plain[]0|" },
    { "\n", "0:text/plain[]0|" },
    { "A: 1", "0:text/plain[]0|" },
    { "A: 1\n", "0:text/plain[]0|" },
    { "A: 1\n\nbody", "0:text/plain[body]0|" },
    { "A: 1\r\n\r\nbody\r\n", "0:text/plain[body\r\n]1|" },
    { "no header at all\nin here", "0:text/plain[]0|" },
    { "\nno header", "0:text/plain[no header]0|" },
    { MIXED "--b\n\none\n--b\n\ntwo\n--b--\n",
      "0:multipart/mixed[--b\n\none\n--b\n\ntwo\n--b--\n]7|1:text/plain[one]0|1:text/plain[two]0|" },
    { "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n\r\n--b--",
      "0:multipart/mixed[--b\r\n\r\none\r\n\r\n--b--]4|1:text/plain[one\r\n]1|" },
    /* preamble, epilogue, blanks behind the boundary */
    { MIXED "pre\n--b  \nA: 1\n\none\n--b-- \npost\n--b\nno\n",
      "0:multipart/mixed[pre\n--b  \nA: 1\n\none\n--b-- \npost\n--b\nno\n]9|1:text/plain[one]0|" },
    /* no closing delimiter */
    { MIXED "--b\n\none", "0:multipart/mixed[--b\n\none]2|1:text/plain[one]0|" },
    { MIXED "--b\nA: 1", "0:multipart/mixed[--b\nA: 1]1|1:text/plain[]0|" },
    { MIXED "--b", "0:multipart/mixed[--b]0|1:text/plain[]0|" },
    { MIXED "--b--", "0:multipart/mixed[--b--]0|1:text/plain[]0|" },
    { MIXED "-", "0:multipart/mixed[-]0|1:text/plain[]0|" },
    { MIXED "nothing", "0:multipart/mixed[nothing]0|1:text/plain[]0|" },
    /* no boundary: not a multipart */
    { "Content-Type: multipart/mixed\n\n--b\n\none\n--b--\n", "0:text/plain[--b\n\none\n--b--\n]4|" },
    /* a part without empty line ends at the delimiter */
    { MIXED "--b\nA: 1\n--b\n\ntwo\n--b--\n",
      "0:multipart/mixed[--b\nA: 1\n--b\n\ntwo\n--b--\n]6|1:text/plain[]0|1:text/plain[two]0|" },
    { MIXED "--b\n--b\n\ntwo\n--b--\n",
      "0:multipart/mixed[--b\n--b\n\ntwo\n--b--\n]5|1:text/plain[]0|1:text/plain[two]0|" },
    /* the inner boundary begins with the outer one */
    { MIXED "--b\nContent-Type: multipart/alternative; boundary=bc\n\n--bc\n\nx\n--bc--\n--b\n\ny\n--b--\n",
      "0:multipart/mixed[--b\nContent-Type: multipart/alternative; "
      "boundary=bc\n\n--bc\n\nx\n--bc--\n--b\n\ny\n"
      "--b--\n]11|1:multipart/alternative[--bc\n\nx\n--bc--]3|2:text/plain[x]0|1:text/plain[y]0|" },
    /* the inner multipart is not closed */
    { MIXED "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--b\n\ny\n--b--\n",
      "0:multipart/mixed[--b\nContent-Type: multipart/alternative; "
      "boundary=c\n\n--c\n\nx\n--b\n\ny\n--b--\n]10|"
      "1:multipart/alternative[--c\n\nx]2|2:text/plain[x]0|1:text/plain[y]0|" },
    /* a line longer than the boundary still matches (RFC 2046 5.1.1), other hyphens do not */
    { MIXED "--b junk\n\none\n-- \n--\n---b\n--b--junk\n",
      "0:multipart/mixed[--b junk\n\none\n-- \n--\n---b\n--b--junk\n]7|1:text/plain[one\n-- \n--\n---b]3|" },
    /* messages inside */
    { "Content-Type: message/rfc822\n\nSubject: x\n\nhi\n",
      "0:message/rfc822[Subject: x\n\nhi\n]3|1:text/plain[hi\n]1|" },
    { MIXED "--b\nContent-Type: message/rfc822\n\nA: 1\n--b\n\ny\n--b--",
      "0:multipart/mixed[--b\nContent-Type: message/rfc822\n\nA: 1\n--b\n\ny\n--b--]7|1:message/rfc822[A: "
      "1\n]1|"
      "2:text/plain[]0|1:text/plain[y]0|" },
    { MIXED "--b\nContent-Type: message/global\n--b\n\ny\n--b--",
      "0:multipart/mixed[--b\nContent-Type: message/global\n--b\n\ny\n--b--]5|1:message/global[]0|"
      "2:text/plain[]0|1:text/plain[y]0|" },
    { "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: x\n\nhi\n--d--\n",
      "0:multipart/digest[--d\n\nSubject: x\n\nhi\n--d--\n]6|1:message/rfc822[Subject: "
      "x\n\nhi]2|2:text/plain[hi]0|" },
};

static void structures_are_found_however_bytes_come(void **state)
{
    (void)state;
    static const size_t steps[] = { SIZE_MAX / 2, 1, 2, 3, 5, 11 };
    for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++) {
        for (size_t j = 0; j < sizeof steps / sizeof steps[0]; j++) {
            struct buf got = { 0 };
            scan(slice_str(structures[i].message), steps[j], &got);
            if (!slice_eq_str(buf_slice(&got), structures[i].parts))
                fail_msg("step %zu of %s\n  gives  %.*s\n  wanted %s", steps[j], structures[i].message,
                         SLICE_FMT(buf_slice(&got)), structures[i].parts);
            buf_fini(&got);
        }
    }
}

static void totals_are_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        size_t len;
        bool header_8bit, body_8bit, nul, bare;
    } table[] = {
        { "A: 1\r\n\r\nx\r\n", 11, false, false, false, false },
        { "A: \xe4\r\n\r\nx\r\n", 11, true, false, false, false },
        { "A: 1\r\n\r\n\xe4\r\n", 11, false, true, false, false },
        { "A: 1\r\n\r\n\0\r\n", 11, false, false, true, false },
        { "A: 1\r\n\r\nx\n", 10, false, false, false, true },
        { "A: 1\n\r\nx\r\n", 10, false, false, false, true },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (size_t step = 1; step < 12; step += 10) {
            struct mime_scanner *m = mime_scanner_new(NULL);
            for (size_t at = 0; at < table[i].len; at += step)
                mime_scanner_push(m, slice_sub(slice_of(table[i].message, table[i].len), at, at + step));
            mime_scanner_finish(m);
            const struct mime_totals *totals = mime_scanner_totals(m);
            assert_int_equal(totals->header_8bit, table[i].header_8bit);
            assert_int_equal(totals->body_8bit, table[i].body_8bit);
            assert_int_equal(totals->has_nul, table[i].nul);
            assert_int_equal(totals->bare_eol, table[i].bare);
            assert_false(totals->truncated);
            mime_scanner_free(&m);
        }
    }
}

static size_t count_parts(const struct buf *message, bool *truncated_out, unsigned *depth_out)
{
    struct mime_scanner *m = mime_scanner_new(NULL);
    size_t count;
    mime_scanner_push(m, buf_slice(message));
    mime_scanner_finish(m);
    const struct mime_part *parts = mime_scanner_parts(m, &count);
    *depth_out = 0;
    for (size_t i = 0; i < count; i++)
        *depth_out = parts[i].depth > *depth_out ? parts[i].depth : *depth_out;
    *truncated_out = mime_scanner_totals(m)->truncated;
    mime_scanner_free(&m);
    return count;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct buf message = { 0 };
    bool truncated;
    unsigned depth;
    for (int i = 0; i < 5000; i++)
        buf_addf(&message, "Content-Type: multipart/mixed; boundary=b%d.\n\n--b%d.\n", i, i);
    assert_int_equal(count_parts(&message, &truncated, &depth), MIME_DEPTH_MAX + 1);
    assert_int_equal(depth, MIME_DEPTH_MAX);
    assert_true(truncated);
    buf_clear(&message);
    for (int i = 0; i < 5000; i++)
        buf_add_str(&message, "Content-Type: message/rfc822\n\n");
    assert_int_equal(count_parts(&message, &truncated, &depth), MIME_DEPTH_MAX + 1);
    assert_true(truncated);
    buf_fini(&message);
}

static void parts_are_bounded(void **state)
{
    (void)state;
    struct buf message = { 0 };
    bool truncated;
    unsigned depth;
    buf_add_str(&message, MIXED);
    for (int i = 0; i < MIME_PARTS_MAX + 5; i++)
        buf_add_str(&message, "--b\n\n\n");
    size_t count = count_parts(&message, &truncated, &depth);
    assert_true(truncated);
    assert_true(count > MIME_PARTS_MAX / 100 && count <= MIME_PARTS_MAX);
    buf_fini(&message);
}

static void headers_are_bounded(void **state)
{
    (void)state;
    struct buf message = { 0 };
    bool truncated;
    unsigned depth;
    buf_add_str(&message, "X: ");
    for (int i = 0; i < MIME_HEADER_KEPT_MAX; i++)
        buf_add_byte(&message, 'x');
    buf_add_str(&message, "\nContent-Type: message/rfc822\n\nbody");
    assert_int_equal(count_parts(&message, &truncated, &depth), 1);
    assert_true(truncated);
    buf_fini(&message);
}

struct seen {
    struct buf body;
    unsigned headers;
};

static bool see_header(void *ctx, uint32_t index, const struct mime_part *part, struct slice block)
{
    struct seen *seen = ctx;
    (void)index;
    seen->headers++;
    assert_true(block.len <= part->header_len);
    return true;
}

static bool see_body(void *ctx, uint32_t index, struct slice bytes)
{
    struct seen *seen = ctx;
    buf_addf(&seen->body, "%u", index);
    buf_add_slice(&seen->body, bytes);
    return true;
}

static void sink_sees_leaves(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    struct mime_sink sink = { .ctx = &seen, .header = see_header, .body = see_body };
    struct mime_scanner *m = mime_scanner_new(&sink);
    mime_scanner_push(m, slice_str(MIXED "pre\n--b\n\none\nline\n--b\n\ntwo\n--b--\npost\n"));
    mime_scanner_finish(m);
    assert_int_equal(seen.headers, 3);
    assert_slice(buf_slice(&seen.body), "1one\nline\n2two\n");
    mime_scanner_free(&m);
    buf_fini(&seen.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures_are_found_however_bytes_come),
        cmocka_unit_test(totals_are_noticed),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(parts_are_bounded),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(sink_sees_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
