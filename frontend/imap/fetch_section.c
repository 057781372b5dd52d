/* SPDX-License-Identifier: Apache-2.0 */
/* BODY[...] of FETCH: from a section to a literal (RFC 9051 6.4.5.1). */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/fetch.h"
#include "lib/mail/header.h"
#include "lib/mail/section.h"

enum { HEADER_READ_MAX = 4 << 20 }; /* octets of a header that HEADER.FIELDS looks at */

static bool is_whole_message(const struct imap_section *section)
{
    return section->part_count == 0;
}

uint32_t imap_section_parts(const struct imap_section *section, bool alone)
{
    bool binary = section->kind == IMAP_SECTION_BINARY || section->kind == IMAP_SECTION_BINARY_SIZE;

    if (is_whole_message(section) && !binary) {
        switch (section->text) {
        case IMAP_TEXT_ALL:
            return alone && section->partial ? 0 : ROW_BODY;
        case IMAP_TEXT_HEADER:
        case IMAP_TEXT_HEADER_FIELDS_NOT:
            return ROW_HEADER;
        case IMAP_TEXT_HEADER_FIELDS:
            return ROW_SUMMARY; /* mostly; else the header is asked for when that turns out */
        case IMAP_TEXT_TEXT:
            return alone && section->partial ? ROW_SUMMARY : ROW_SUMMARY | ROW_BODY;
        case IMAP_TEXT_MIME:
            break;
        }
    }
    /* Of one message, read only the part; of many, a request each would cost more than bodies that are not
     * needed (and large ones do not travel in pages). */
    return alone ? ROW_SUMMARY : ROW_SUMMARY | ROW_BODY;
}

static enum section_kind kind_of(enum imap_section_text text)
{
    switch (text) {
    case IMAP_TEXT_ALL:
        return SECTION_BODY;
    case IMAP_TEXT_HEADER:
        return SECTION_HEADER;
    case IMAP_TEXT_HEADER_FIELDS:
        return SECTION_HEADER_FIELDS;
    case IMAP_TEXT_HEADER_FIELDS_NOT:
        return SECTION_HEADER_FIELDS_NOT;
    case IMAP_TEXT_TEXT:
        return SECTION_TEXT;
    case IMAP_TEXT_MIME:
        return SECTION_MIME;
    }
    return SECTION_BODY;
}

enum err imap_section_find(struct imap_fetching *f, const struct imap_section *section, struct section *out)
{
    const struct row *row = f->message.row;
    const struct summary *summary;
    bool of_header = section->text == IMAP_TEXT_HEADER || section->text == IMAP_TEXT_HEADER_FIELDS ||
                     section->text == IMAP_TEXT_HEADER_FIELDS_NOT;

    *out = (struct section){ .encoding = DECODE_NONE };
    if (is_whole_message(section) && section->text == IMAP_TEXT_ALL) {
        out->len = row->size;
        return OK;
    }
    if (is_whole_message(section) && of_header && (row->parts & ROW_HEADER) != 0) {
        out->len = row->header.len;
        return OK;
    }
    TRY(imap_message_summary(&f->message, is_whole_message(section) ? 0 : SUMMARY_HAS_TREE, &summary));
    if (is_whole_message(section)) {
        out->offset = of_header ? 0 : summary->header_len;
        out->len = of_header ? summary->header_len : summary->size - summary->header_len;
        return OK;
    }
    return section_resolve(summary, section->part, section->part_count, kind_of(section->text), out);
}

bool imap_section_cut(const struct imap_section *section, uint64_t *from, uint64_t *len)
{
    *from = 0;
    if (!section->partial)
        return *len > 0;
    if (section->offset >= *len) {
        *len = 0;
        return false;
    }
    *from = section->offset;
    *len -= section->offset;
    if (*len > section->length)
        *len = section->length;
    return true;
}

void imap_section_write_octets(struct imap_fetching *f, struct slice bytes, bool raw)
{
    struct imap_session *s = f->s;
    bool has_nul = !raw && bytes.len > 0 && memchr(bytes.data, 0, bytes.len) != NULL;

    if (!has_nul && bytes.len >= IMAP_BODY_DIRECT_MIN) {
        f->sent_part = true;
        imap_session_write_direct(s, bytes);
        return;
    }
    size_t start = s->out.len;

    buf_add_slice(&s->out, bytes);
    for (size_t i = start; has_nul && i < s->out.len; i++) {
        if (s->out.data[i] == 0)
            s->out.data[i] = 0x80;
    }
    if (s->out.len >= IMAP_OUTPUT_HIGH) {
        f->sent_part = true;
        imap_session_relieve(s);
    }
}

/* A literal of octets that are in memory, cut as asked. */
static void write_bytes(struct imap_fetching *f, const struct imap_section *section, struct slice bytes)
{
    uint64_t from, len = bytes.len;

    (void)imap_section_cut(section, &from, &len);
    imap_write_literal_head(&f->s->out, len, false);
    imap_section_write_octets(f, slice_sub(bytes, (size_t)from, (size_t)(from + len)), false);
}

static enum err write_range(struct imap_fetching *f, const struct imap_section *section,
                            const struct section *range)
{
    uint64_t from, len = range->len;

    (void)imap_section_cut(section, &from, &len);
    imap_write_literal_head(&f->s->out, len, false);
    for (uint64_t at = range->offset + from; len > 0;) {
        struct slice bytes;

        if (f->s->broken)
            return OK;
        TRY(imap_message_read(&f->message, at, len, &bytes));
        imap_section_write_octets(f, bytes, false);
        at += bytes.len;
        len -= bytes.len;
    }
    return OK;
}

/* The header a section means, in one piece: borrowed from the row, or read into the scratch buffer. */
static enum err read_header(struct imap_fetching *f, const struct section *range, struct slice *out)
{
    uint64_t left = range->len < HEADER_READ_MAX ? range->len : HEADER_READ_MAX;
    uint64_t at = range->offset;

    *out = SLICE_LIT("");
    if (left == 0)
        return OK;
    TRY(imap_message_read(&f->message, at, left, out));
    if (out->len == left)
        return OK;
    buf_clear(&f->scratch);
    while (left > 0) {
        TRY(imap_message_read(&f->message, at, left, out));
        buf_add_slice(&f->scratch, *out);
        at += out->len;
        left -= out->len;
    }
    *out = buf_slice(&f->scratch);
    return OK;
}

static enum err write_fields(struct imap_fetching *f, const struct imap_section *section,
                             const struct section *range)
{
    bool except = section->text == IMAP_TEXT_HEADER_FIELDS_NOT;
    struct buf kept = { 0 };
    struct slice header;

    TRY(read_header(f, range, &header));
    header_filter(header, section->fields, section->field_count, except, &kept);
    write_bytes(f, section, buf_slice(&kept));
    buf_fini(&kept);
    return OK;
}

/* HEADER.FIELDS of the message from its summary. False: the header has to be read. */
static enum err write_popular_fields(struct imap_fetching *f, const struct imap_section *section,
                                     bool *done_out)
{
    const struct summary *summary;

    *done_out = false;
    if ((f->message.row->parts & ROW_HEADER) != 0 || !is_whole_message(section) ||
        section->text != IMAP_TEXT_HEADER_FIELDS)
        return OK;
    TRY(imap_message_summary(&f->message, 0, &summary));
    buf_clear(&f->scratch);
    *done_out = summary_header_fields(summary, section->fields, section->field_count, &f->scratch);
    if (*done_out)
        write_bytes(f, section, buf_slice(&f->scratch));
    else if ((f->parts & ROW_BODY) == 0)
        f->parts |= ROW_HEADER; /* the next pages bring it along */
    return OK;
}

enum err imap_section_fetch(struct imap_fetching *f, const struct imap_section *section)
{
    bool of_fields = section->text == IMAP_TEXT_HEADER_FIELDS || section->text == IMAP_TEXT_HEADER_FIELDS_NOT;
    struct section range;
    bool done;
    enum err err;

    imap_write_section(&f->s->out, section);
    buf_add_byte(&f->s->out, ' ');
    TRY(write_popular_fields(f, section, &done));
    if (done)
        return OK;
    err = imap_section_find(f, section, &range);
    if (err == ERR_NOT_FOUND) {
        buf_add_str(&f->s->out, "NIL");
        return OK;
    }
    TRY(err);
    return of_fields ? write_fields(f, section, &range) : write_range(f, section, &range);
}
