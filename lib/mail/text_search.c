/* SPDX-License-Identifier: Apache-2.0 */
/* A part's bytes go through up to three steps, each skipped where it would change nothing:
 *
 *   transfer decoding -> conversion to UTF-8 -> comparison
 *
 * Pieces overlap: the end of each is kept and put before the next one, so that no occurrence is cut. */
#include <stdlib.h>

#include "lib/mail/charset.h"
#include "lib/mail/decode.h"
#include "lib/mail/text_search_priv.h"
#include "lib/mail/utf8.h"

enum {
    PIECE_MAX = 64 * 1024,        /* decoded and converted at a time */
    HEADER_READ_MAX = 256 * 1024, /* of one header; as much as the scanner looks at */
    FOLD_OVERLAP_FACTOR = 3,      /* text before folding may be so much longer than after it */
};

struct part_scan {
    const struct text_key *key;
    struct decoder decoder;
    struct charset_conv *conv; /* NULL: the decoded bytes are searched as they are */
    bool ascii_superset;       /* of the charset: ASCII bytes need no conversion */
    struct buf decoded, text;
    bool found;
};

/* The key in `text`, of which the last `keep` bytes may go on in the next piece. */
static size_t overlap_of(const struct part_scan *scan)
{
    size_t len = scan->key->folded.len;
    return scan->key->ascii ? len - 1 : len * FOLD_OVERLAP_FACTOR + 16;
}

/* Begin where a character does. */
static size_t character_start(struct slice text, size_t at)
{
    while (at > 0 && at < text.len && (text.data[at] & 0xc0) == 0x80)
        at--;
    return at;
}

/* Search what was gathered in `text`, then keep only the overlap. A character cut at the end stays as well.
 */
static void search_text(struct part_scan *scan, bool last)
{
    struct slice text = buf_slice(&scan->text);
    if (scan->key->ascii) {
        scan->found = text_find_ascii(scan->key, text);
    } else if (!utf8_is_ascii(text)) {
        size_t end = last ? text.len : character_start(text, text.len == 0 ? 0 : text.len - 1);
        scan->found = text_find_folded(scan->key, slice_sub(text, 0, end));
    }
    size_t keep = overlap_of(scan);
    if (text.len > keep)
        buf_consume(&scan->text, character_start(text, text.len - keep));
}

/* The fast way: ASCII in bytes that need no decoding is looked for in place. */
static void search_in_place(struct part_scan *scan, struct slice bytes)
{
    size_t keep = overlap_of(scan);
    size_t seam = bytes.len < keep ? bytes.len : keep;
    if (scan->text.len > 0) {
        buf_add(&scan->text, bytes.data, seam);
        scan->found = text_find_ascii(scan->key, buf_slice(&scan->text));
        if (scan->found)
            return;
    }
    scan->found = text_find_ascii(scan->key, bytes);
    if (bytes.len >= keep) {
        buf_clear(&scan->text);
        buf_add_slice(&scan->text, slice_sub(bytes, bytes.len - keep, bytes.len));
    } else {
        if (scan->text.len == 0)
            buf_add_slice(&scan->text, bytes);
        if (scan->text.len > keep)
            buf_consume(&scan->text, scan->text.len - keep);
    }
}

/* ASCII cannot hold a key that is not ASCII, but its ends can belong to one. */
static void pass_ascii(struct part_scan *scan, struct slice bytes)
{
    size_t keep = overlap_of(scan);
    buf_add_slice(&scan->text, slice_sub(bytes, 0, keep));
    search_text(scan, false);
    if (bytes.len > keep) {
        buf_clear(&scan->text);
        buf_add_slice(&scan->text, slice_sub(bytes, bytes.len - keep, bytes.len));
    }
}

/* Bytes without their transfer encoding. */
static void convert(struct part_scan *scan, struct slice bytes)
{
    if (!scan->key->ascii && scan->ascii_superset && charset_conv_is_whole(scan->conv) &&
        utf8_is_ascii(bytes)) {
        charset_conv_finish(scan->conv, &scan->text); /* ASCII composes with nothing */
        pass_ascii(scan, bytes);
        return;
    }
    charset_conv_push(scan->conv, bytes, &scan->text);
    search_text(scan, false);
}

static void scan_push(struct part_scan *scan, struct slice bytes)
{
    bool decodes = scan->decoder.kind == DECODE_BASE64 || scan->decoder.kind == DECODE_QUOTED_PRINTABLE;
    if (!decodes && scan->conv == NULL) {
        search_in_place(scan, bytes);
        return;
    }
    while (bytes.len > 0 && !scan->found) {
        struct slice piece = slice_sub(bytes, 0, PIECE_MAX);
        bytes = slice_sub(bytes, piece.len, bytes.len);
        if (scan->conv == NULL) {
            decoder_push(&scan->decoder, piece, &scan->text);
            search_text(scan, false);
        } else if (decodes) {
            buf_clear(&scan->decoded);
            decoder_push(&scan->decoder, piece, &scan->decoded);
            convert(scan, buf_slice(&scan->decoded));
        } else {
            convert(scan, piece);
        }
    }
}

static void scan_finish(struct part_scan *scan)
{
    if (scan->found)
        return;
    struct buf *to = scan->conv == NULL ? &scan->text : &scan->decoded;
    buf_clear(&scan->decoded);
    if (decoder_finish(&scan->decoder, to) != OK)
        return; /* not strict: cannot be */
    if (scan->conv != NULL) {
        charset_conv_push(scan->conv, buf_slice(&scan->decoded), &scan->text);
        charset_conv_finish(scan->conv, &scan->text);
    }
    search_text(scan, true);
}

static void scan_fini(struct part_scan *scan)
{
    charset_conv_free(&scan->conv);
    buf_fini(&scan->decoded);
    buf_fini(&scan->text);
}

static enum err read_range(const struct text_source *source, uint64_t offset, uint64_t len,
                           struct part_scan *scan)
{
    while (len > 0 && !scan->found) {
        struct slice bytes;
        TRY(source->read(source->ctx, offset, len, &bytes));
        if (bytes.len == 0 || bytes.len > len)
            return ERR_CORRUPT;
        scan_push(scan, bytes);
        offset += bytes.len;
        len -= bytes.len;
    }
    return OK;
}

/* Is conversion needed? ASCII keys are found in the bytes of most charsets; others need valid UTF-8. */
static enum err choose_conversion(struct part_scan *scan, struct slice charset)
{
    scan->ascii_superset = charset_is_ascii_superset(charset);
    if (scan->key->ascii && scan->ascii_superset)
        return OK;
    mail_init();
    if (charset_conv_new(charset, &scan->conv) == OK)
        return OK;
    /* An unknown charset is searched as if it were UTF-8. */
    return scan->key->ascii ? OK : charset_conv_new(SLICE_NULL, &scan->conv);
}

static enum err search_body(const struct text_key *key, const struct summary_part *part,
                            const struct text_source *source, bool *found_out)
{
    struct part_scan scan = { .key = key };
    decoder_init(&scan.decoder, decode_kind_of(part->encoding), false);
    enum err err = choose_conversion(&scan, summary_param_get(part->params, "charset"));
    if (err == OK)
        err = read_range(source, part->header_offset + part->header_len, part->body_len, &scan);
    if (err == OK)
        scan_finish(&scan);
    *found_out = scan.found;
    scan_fini(&scan);
    return err;
}

static enum err search_header(const struct text_key *key, const struct summary_part *part,
                              const struct text_source *source, bool *found_out)
{
    struct buf block = { 0 };
    uint64_t offset = part->header_offset, len = part->header_len;
    if (len > HEADER_READ_MAX)
        len = HEADER_READ_MAX;
    while (len > 0) {
        struct slice bytes;
        enum err err = source->read(source->ctx, offset, len, &bytes);
        if (err == OK && (bytes.len == 0 || bytes.len > len))
            err = ERR_CORRUPT;
        if (err != OK) {
            buf_fini(&block);
            return err;
        }
        /* Most headers come in one piece and need no copy. */
        if (block.len == 0 && bytes.len == len) {
            *found_out = text_key_match_header(key, bytes, SLICE_NULL);
            return OK;
        }
        buf_add_slice(&block, bytes);
        offset += bytes.len;
        len -= bytes.len;
    }
    *found_out = text_key_match_header(key, buf_slice(&block), SLICE_NULL);
    buf_fini(&block);
    return OK;
}

/* Headers of messages inside belong to the body; those of the message and of other parts only to its text. */
static bool is_header_in_scope(enum text_scope scope, bool first, bool in_message)
{
    return scope == TEXT_SCOPE_TEXT || (in_message && !first);
}

static bool is_text(const struct summary_part *part)
{
    return part->kind == MIME_LEAF && slice_eq_nocase_str(part->type, "text");
}

enum err text_search_message(const struct text_key *key, const struct summary *s, enum text_scope scope,
                             const struct text_source *source, bool *found_out)
{
    struct summary_parts it;
    struct summary_part part;
    bool first = true, in_message = false;
    *found_out = key->folded.len == 0;
    if (*found_out)
        return OK;
    if (summary_parts_start(s, &it) != OK)
        return ERR_UNSUPPORTED;
    while (!*found_out && summary_parts_next(&it, &part)) {
        uint64_t end = part.header_offset + part.header_len + part.body_len;
        if (end > s->size)
            return ERR_CORRUPT;
        if (is_header_in_scope(scope, first, in_message))
            TRY(search_header(key, &part, source, found_out));
        if (!*found_out && is_text(&part))
            TRY(search_body(key, &part, source, found_out));
        in_message = part.kind == MIME_MESSAGE;
        first = false;
    }
    return it.at.bad ? ERR_CORRUPT : OK;
}
