/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what lib/mail finds in message files, one line a fact, for mime_corpus.py to compare:
 *
 *   FILE <path> <size> <has> <flags>
 *   PART <depth> <kind> <type/subtype> <header offset> <header len> <body len> <lines> <encoding> <charset or
 * -> ENVELOPE ... and STRUCTURE ... as IMAP would be sent them (literals with their line ends made visible)
 *
 * Every file is read with CRLF line ends: once whole, once byte by byte; both summaries must be equal. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/mail/imap_format.h"
#include "lib/mail/section.h"

enum { READ_MAX = 64 << 20 };

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    int c, last = 0;
    while ((c = getc(f)) != EOF && out->len < READ_MAX) {
        if (c == '\n' && last != '\r')
            buf_add_byte(out, '\r');
        buf_add_byte(out, (uint8_t)c);
        last = c;
    }
    fclose(f);
    return true;
}

static void summarise(struct slice message, size_t step, struct buf *out)
{
    struct summary_builder *b = summary_builder_new(SUMMARY_FULL_MAX);
    for (size_t i = 0; i < message.len; i += step)
        summary_builder_push(b, slice_sub(message, i, i + step));
    summary_builder_finish(b, out);
    summary_builder_free(&b);
}

static void print_visible(const char *label, enum err err, const struct buf *text)
{
    printf("%s %s ", label, err_name(err));
    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->data[i];
        if (c < 0x20 || c == '\\' || c >= 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('\n');
}

static void print_parts(const struct summary *s)
{
    struct summary_parts it;
    struct summary_part part;
    if (summary_parts_start(s, &it) != OK)
        return;
    static uint32_t open[MIME_DEPTH_MAX + 2];
    unsigned depth = 0;
    while (summary_parts_next(&it, &part)) {
        struct slice charset = summary_param_get(part.params, "charset");
        printf("PART %u %d %.*s/%.*s %lu %lu %lu %lu %.*s %.*s\n", depth, (int)part.kind,
               SLICE_FMT(part.type), SLICE_FMT(part.subtype), (unsigned long)part.header_offset,
               (unsigned long)part.header_len, (unsigned long)part.body_len, (unsigned long)part.body_lines,
               part.encoding.data == NULL ? 1 : (int)part.encoding.len,
               part.encoding.data == NULL ? "-" : (const char *)part.encoding.data,
               charset.data == NULL ? 1 : (int)charset.len,
               charset.data == NULL ? "-" : (const char *)charset.data);
        if (part.child_count > 0)
            open[++depth] = part.child_count;
        else
            while (depth > 0 && --open[depth] == 0)
                depth--;
    }
}

static int dump(const char *path)
{
    struct buf message = { 0 }, whole = { 0 }, bytewise = { 0 }, text = { 0 };
    if (!read_file(path, &message)) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    summarise(buf_slice(&message), SIZE_MAX / 2, &whole);
    summarise(buf_slice(&message), 1, &bytewise);
    struct summary s;
    enum err err = summary_open(buf_slice(&whole), &s);
    int status = err != OK || !slice_eq(buf_slice(&whole), buf_slice(&bytewise));
    if (status != 0)
        fprintf(stderr, "%s: the summary is damaged or depends on how the bytes came\n", path);
    printf("FILE %s %lu %x %x\n", path, (unsigned long)s.size, s.has, s.flags);
    struct imap_format how = { .utf8 = false };
    err = imap_format_envelope(&s, &how, &text);
    print_visible("ENVELOPE", err, &text);
    buf_clear(&text);
    err = imap_format_bodystructure(&s, &how, &text);
    print_visible("STRUCTURE", err, &text);
    printf("PREVIEW %.*s\n", SLICE_FMT(s.preview));
    print_parts(&s);
    buf_fini(&message);
    buf_fini(&whole);
    buf_fini(&bytewise);
    buf_fini(&text);
    return status;
}

int main(int argc, char **argv)
{
    int status = 0;
    for (int i = 1; i < argc; i++)
        status |= dump(argv[i]);
    return status;
}
