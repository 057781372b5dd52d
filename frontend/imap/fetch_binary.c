/* SPDX-License-Identifier: Apache-2.0 */
/* BINARY[...] and BINARY.SIZE[...] of FETCH (RFC 9051 6.4.5, RFC 3516): parts with their transfer encoding
 * undone.
 *
 * The size must be known before the first octet goes out, so a part is decoded twice: once to count, once to
 * send. A part whose decoded form is small is kept from the first time. */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/fetch.h"
#include "lib/mail/section.h"

enum { BINARY_KEPT_MAX = 1 << 20 };

/* What is done with decoded octets. */
struct binary {
    struct imap_fetching *f;
    const struct section *range;
    uint64_t size; /* decoded so far */
    bool has_nul;
    bool is_whole;       /* all of it is in f->scratch */
    uint64_t from, left; /* while sending: to skip, and to send after that */
};

static void take_count(struct binary *b, struct slice bytes)
{
    b->size += bytes.len;
    b->has_nul |= bytes.len > 0 && memchr(bytes.data, 0, bytes.len) != NULL;
    if (b->size > BINARY_KEPT_MAX)
        b->is_whole = false;
    if (b->is_whole)
        buf_add_slice(&b->f->scratch, bytes);
}

static void take_send(struct binary *b, struct slice bytes)
{
    size_t skipped = b->from < bytes.len ? (size_t)b->from : bytes.len;

    bytes = slice_sub(bytes, skipped, bytes.len);
    b->from -= skipped;
    if (bytes.len > b->left)
        bytes.len = (size_t)b->left;
    b->left -= bytes.len;
    imap_section_write_octets(b->f, bytes, true);
}

/* Decode the range and hand the octets on. ERR_SYNTAX: it is not in the encoding it claims. */
static enum err decode(struct binary *b, void (*take)(struct binary *b, struct slice bytes))
{
    struct decoder decoder;
    struct buf decoded = { 0 };
    enum err err = OK;
    uint64_t at = b->range->offset, left = b->range->len;

    decoder_init(&decoder, b->range->encoding, true);
    while (left > 0 && !b->f->s->broken) {
        struct slice bytes;

        TRY_GOTO(imap_message_read(&b->f->message, at, left, &bytes), out);
        at += bytes.len;
        left -= bytes.len;
        buf_clear(&decoded);
        decoder_push(&decoder, bytes, &decoded);
        take(b, buf_slice(&decoded));
    }
    buf_clear(&decoded);
    err = decoder_finish(&decoder, &decoded);
    take(b, buf_slice(&decoded));
out:
    buf_fini(&decoded);
    return err;
}

static enum err write_decoded(struct binary *b, const struct imap_section *section)
{
    struct imap_fetching *f = b->f;
    uint64_t len = b->size;

    (void)imap_section_cut(section, &b->from, &len);
    imap_write_literal_head(&f->s->out, len, b->has_nul);
    if (b->is_whole) {
        imap_section_write_octets(
            f, slice_sub(buf_slice(&f->scratch), (size_t)b->from, (size_t)(b->from + len)), true);
        return OK;
    }
    b->left = len;
    return decode(b, take_send);
}

enum err imap_binary_fetch(struct imap_fetching *f, const struct imap_section *section)
{
    struct section range;
    struct binary b = { .f = f, .range = &range, .is_whole = true };
    enum err err = imap_section_find(f, section, &range);

    imap_write_section(&f->s->out, section);
    buf_add_byte(&f->s->out, ' ');
    if (err == ERR_NOT_FOUND) {
        buf_add_str(&f->s->out, section->kind == IMAP_SECTION_BINARY_SIZE ? "0" : "NIL");
        return OK;
    }
    TRY(err);
    buf_clear(&f->scratch);
    err = range.encoding == DECODE_UNKNOWN ? ERR_SYNTAX : decode(&b, take_count);
    if (err == ERR_SYNTAX) { /* RFC 3516 4.3: NO [UNKNOWN-CTE] when the rest has been told */
        f->unknown_cte = true;
        buf_add_str(&f->s->out, section->kind == IMAP_SECTION_BINARY_SIZE ? "0" : "NIL");
        return OK;
    }
    TRY(err);
    if (section->kind == IMAP_SECTION_BINARY_SIZE) {
        buf_add_u64(&f->s->out, b.size);
        return OK;
    }
    return write_decoded(&b, section);
}
