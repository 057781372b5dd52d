/* SPDX-License-Identifier: Apache-2.0 */
/* Any message: its summary must not depend on how the bytes come, what is stored must be readable, every part
 * must lie in its parent, every section in the message, and what IMAP is sent must be well-formed. The first
 * byte chooses the step. */
#include <assert.h>
#include <stdlib.h>

#include "lib/mail/imap_format.h"
#include "lib/mail/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void summarise(struct slice message, size_t step, size_t size_max, struct buf *out)
{
    struct summary_builder *b = summary_builder_new(size_max);
    for (size_t i = 0; i < message.len; i += step)
        summary_builder_push(b, slice_sub(message, i, i + step));
    summary_builder_finish(b, out);
    summary_builder_free(&b);
}

/* Parentheses must match outside of strings, and literals must be as long as they say. */
static void check_syntax(struct slice text)
{
    int depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"') {
            for (i++; require(i < text.len), text.data[i] != '"'; i++) {
                require(text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0');
                i += text.data[i] == '\\';
            }
        } else if (c == '{') {
            size_t len = 0;
            for (i++; require(i < text.len), text.data[i] != '}'; i++)
                len = len * 10 + (text.data[i] - '0');
            i += 2 + len;
            require(i < text.len);
        } else {
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            require(depth >= 0 && (depth > 0 || i + 1 == text.len));
            require(c >= ' ' && c < 0x7f);
        }
    }
    require(depth == 0);
}

static void check_formats(const struct summary *s, bool utf8)
{
    struct imap_format how = { .utf8 = utf8, .rev2 = utf8 };
    struct buf out = { 0 };
    require(imap_format_envelope(s, &how, &out) == OK);
    check_syntax(buf_slice(&out));
    buf_clear(&out);
    require(imap_format_body(s, &how, &out) == OK);
    check_syntax(buf_slice(&out));
    buf_clear(&out);
    require(imap_format_bodystructure(s, &how, &out) == OK);
    check_syntax(buf_slice(&out));
    buf_fini(&out);
}

static void check_parts(const struct summary *s)
{
    struct summary_parts it;
    struct summary_part part;
    uint64_t ends[MIME_DEPTH_MAX + 2] = { s->size };
    uint32_t children[MIME_DEPTH_MAX + 2] = { 1 };
    unsigned depth = 0;
    require(summary_parts_start(s, &it) == OK);
    while (summary_parts_next(&it, &part)) {
        uint64_t end = part.header_offset + part.header_len + part.body_len;
        require(end <= ends[depth]);
        if (part.child_count > 0) {
            require(++depth < MIME_DEPTH_MAX + 2);
            ends[depth] = end;
            children[depth] = part.child_count;
        } else {
            while (--children[depth] == 0 && depth > 0)
                depth--;
        }
    }
    require(!it.at.bad && depth == 0 && children[0] == 0);
}

static void check_sections(const struct summary *s)
{
    uint32_t path[4];
    for (uint32_t i = 0; i < 256; i++) {
        size_t depth = i & 3;
        for (size_t d = 0; d < depth; d++)
            path[d] = 1 + (i >> (2 + 2 * d) & 3);
        for (int kind = SECTION_BODY; kind <= SECTION_MIME; kind++) {
            struct section section;
            enum err err = section_resolve(s, path, depth, (enum section_kind)kind, &section);
            require(err == OK || err == ERR_NOT_FOUND);
            require(err != OK || (section.offset <= s->size && section.len <= s->size - section.offset));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice message = slice_of(data + 1, size - 1);
    struct buf whole = { 0 }, pieces = { 0 }, stored = { 0 };
    summarise(message, SIZE_MAX / 2, SUMMARY_FULL_MAX, &whole);
    summarise(message, 1 + data[0] % 64, SUMMARY_FULL_MAX, &pieces);
    require(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    summarise(message, SIZE_MAX / 2, 256 + data[0] * 4, &stored);
    require(stored.len <= 256u + data[0] * 4u);
    struct summary s;
    require(summary_open(buf_slice(&stored), &s) == OK);
    require(summary_open(buf_slice(&whole), &s) == OK);
    require(s.size == message.len && (s.has & SUMMARY_HAS_TREE) && (s.has & SUMMARY_HAS_ENVELOPE));
    check_parts(&s);
    check_formats(&s, false);
    check_formats(&s, true);
    check_sections(&s);
    buf_fini(&whole);
    buf_fini(&pieces);
    buf_fini(&stored);
    return 0;
}
