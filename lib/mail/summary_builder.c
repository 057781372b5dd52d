/* SPDX-License-Identifier: Apache-2.0 */
/* Building: the scanner finds the parts; each message header is turned into an encoded envelope as it goes
 * by, the first readable text into a preview. What fits is put together at the end. */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/downgrade.h"
#include "lib/mail/header.h"
#include "lib/mail/preview.h"
#include "lib/mail/summary_priv.h"

enum {
    NESTED_ENVELOPES_MAX = 2 * 1024 * 1024, /* of messages inside; more are left empty (SUMMARY_TRUNCATED) */
    HEAD_MAX = 96,                          /* the fixed fields and six lengths */
};

/* The encoded envelope of the message inside part `index`, in `nested`. */
struct nested {
    uint32_t index;
    size_t offset, len;
};

struct summary_builder {
    size_t size_max;
    struct mime_scanner *scanner;
    struct arena scratch;
    struct buf envelope; /* of the message itself */
    struct buf nested;   /* of the messages inside */
    struct nested *nested_items;
    size_t nested_count, nested_cap;
    struct buf headers, other_names;
    uint64_t left_out;
    bool other_names_overflow;
    struct mail_date sent;
    bool has_sent;
    bool truncated;
    bool came_international, has_international; /* said by the caller; seen in the header */
    struct preview preview;
    bool in_preview, has_preview;
};

/* --- what headers give ---------------------------------------------------------------------- */

static void keep_popular(struct summary_builder *b, int popular, const struct header_field *field)
{
    bool ended = field->raw.data[field->raw.len - 1] == '\n';
    if (b->headers.len + field->raw.len + 2 > SUMMARY_HEADERS_MAX) {
        b->left_out |= UINT64_C(1) << popular;
        return;
    }
    buf_add_slice(&b->headers, field->raw);
    if (!ended)
        buf_add_str(&b->headers, "\r\n");
}

static void keep_name(struct summary_builder *b, struct slice name)
{
    uint16_t hash = summary_name_hash(name);
    for (size_t i = 0; i + 1 < b->other_names.len; i += 2) {
        if ((b->other_names.data[i] << 8 | b->other_names.data[i + 1]) == hash)
            return;
    }
    if (b->other_names.len >= 2 * SUMMARY_OTHER_NAMES_MAX)
        b->other_names_overflow = true;
    else
        buf_add_be16(&b->other_names, hash);
}

static void take_root_header(struct summary_builder *b, struct slice block)
{
    struct header_field field;
    summary_put_envelope(&b->envelope, &b->scratch, block);
    b->has_international = downgrade_is_international(block);
    while (header_next(&block, &field)) {
        int popular = summary_popular_find(field.name);
        if (popular < 0)
            keep_name(b, field.name);
        else
            keep_popular(b, popular, &field);
        if (!b->has_sent && slice_eq_nocase_str(field.name, "Date"))
            b->has_sent = date_parse_rfc5322(field.value, &b->sent) == OK;
    }
}

static void take_nested_header(struct summary_builder *b, uint32_t index, struct slice block)
{
    if (b->nested.len >= NESTED_ENVELOPES_MAX) {
        b->truncated = true;
        return;
    }
    if (b->nested_count == b->nested_cap) {
        b->nested_cap = b->nested_cap == 0 ? 4 : b->nested_cap * 2;
        b->nested_items = xrealloc(b->nested_items, b->nested_cap * sizeof *b->nested_items);
    }
    size_t from = b->nested.len;
    summary_put_envelope(&b->nested, &b->scratch, block);
    b->nested_items[b->nested_count++] = (struct nested){ index, from, b->nested.len - from };
}

/* --- the scanner's sink ---------------------------------------------------------------------- */

static bool on_header(void *ctx, uint32_t index, const struct mime_part *part, struct slice block)
{
    struct summary_builder *b = ctx;
    const struct mime_part *parts;
    size_t count;
    if (index == 0) {
        take_root_header(b, block);
    } else {
        parts = mime_scanner_parts(b->scanner, &count);
        if (parts[part->parent].kind == MIME_MESSAGE)
            take_nested_header(b, part->parent, block);
    }
    if (b->has_preview || part->kind != MIME_LEAF || !preview_is_text(&part->info))
        return false;
    b->has_preview = b->preview.text.len > 0; /* a text before this one had words */
    if (b->has_preview || !preview_is_possible(&part->info))
        return false;
    preview_init(&b->preview, &part->info);
    return true;
}

static bool on_body(void *ctx, uint32_t index, struct slice bytes)
{
    struct summary_builder *b = ctx;
    (void)index;
    return preview_push(&b->preview, bytes);
}

/* --- the object ---------------------------------------------------------------------- */

struct summary_builder *summary_builder_new(size_t size_max)
{
    assert(size_max >= 256);
    struct summary_builder *b = NEW(struct summary_builder);
    b->size_max = size_max;
    struct mime_sink sink = { .ctx = b, .header = on_header, .body = on_body };
    b->scanner = mime_scanner_new(&sink);
    return b;
}

void summary_builder_free(struct summary_builder **b)
{
    struct summary_builder *old = *b;
    if (old == NULL)
        return;
    mime_scanner_free(&old->scanner);
    arena_fini(&old->scratch);
    buf_fini(&old->envelope);
    buf_fini(&old->nested);
    free(old->nested_items);
    buf_fini(&old->headers);
    buf_fini(&old->other_names);
    preview_fini(&old->preview);
    free(old);
    *b = NULL;
}

void summary_builder_push(struct summary_builder *b, struct slice bytes)
{
    mime_scanner_push(b->scanner, bytes);
}

void summary_builder_international(struct summary_builder *b)
{
    b->came_international = true;
}

/* Items are in the order of their parts. */
static struct slice nested_envelope(void *ctx, uint32_t index)
{
    const struct summary_builder *b = ctx;
    size_t low = 0, high = b->nested_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->nested_items[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < b->nested_count && b->nested_items[low].index == index)
        return slice_of(b->nested.data + b->nested_items[low].offset, b->nested_items[low].len);
    static const uint8_t nothing[10]; /* NIL and empty lists */
    return slice_of(nothing, sizeof nothing);
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

/* A section that fits is counted in, another one is emptied and its mark taken off. */
static void fit(struct summary_builder *b, struct slice *section, unsigned mark, size_t *used, unsigned *has)
{
    if (section->len > b->size_max - *used) {
        *section = SLICE_NULL;
        *has &= ~mark;
        return;
    }
    *used += section->len;
}

static unsigned flags_of(const struct summary_builder *b, const struct mime_totals *totals)
{
    return (totals->header_8bit ? SUMMARY_HEADER_8BIT : 0u) | (totals->body_8bit ? SUMMARY_BODY_8BIT : 0u) |
           (totals->has_nul ? SUMMARY_NUL : 0u) | (totals->bare_eol ? SUMMARY_BARE_EOL : 0u) |
           (totals->truncated || b->truncated ? SUMMARY_TRUNCATED : 0u) |
           (b->came_international && b->has_international ? SUMMARY_INTERNATIONAL : 0u);
}

void summary_builder_finish(struct summary_builder *b, struct buf *out)
{
    size_t count;
    struct buf tree = { 0 };
    mime_scanner_finish(b->scanner);
    const struct mime_part *parts = mime_scanner_parts(b->scanner, &count);
    const struct mime_totals *totals = mime_scanner_totals(b->scanner);
    summary_put_tree(&tree, parts, count, nested_envelope, b);

    unsigned has = SUMMARY_HAS_ENVELOPE | SUMMARY_HAS_TREE | SUMMARY_HAS_HEADERS;
    has |= b->has_sent ? SUMMARY_HAS_DATE : 0u;
    has |= b->preview.text.len > 0 ? SUMMARY_HAS_PREVIEW : 0u;
    struct slice envelope = buf_slice(&b->envelope), structure = buf_slice(&tree);
    struct slice headers = buf_slice(&b->headers), names = buf_slice(&b->other_names);
    struct slice preview = buf_slice(&b->preview.text);
    size_t used = HEAD_MAX;
    bool tree_first = structure.len < envelope.len; /* a huge one shall not push the other out */
    if (tree_first)
        fit(b, &structure, SUMMARY_HAS_TREE, &used, &has);
    fit(b, &envelope, SUMMARY_HAS_ENVELOPE, &used, &has);
    if (!tree_first)
        fit(b, &structure, SUMMARY_HAS_TREE, &used, &has);
    fit(b, &preview, SUMMARY_HAS_PREVIEW, &used, &has);
    bool names_whole = !b->other_names_overflow && names.len <= b->size_max - used;
    if (!names_whole)
        names = SLICE_NULL;
    used += names.len;
    fit(b, &headers, SUMMARY_HAS_HEADERS, &used, &has);

    buf_add_byte(out, SUMMARY_VERSION);
    buf_add_varint(out, has);
    buf_add_varint(out, flags_of(b, totals));
    buf_add_varint(out, totals->size);
    buf_add_varint(out, parts[0].header_len);
    buf_add_varint(out, zigzag(b->has_sent ? b->sent.seconds : 0));
    buf_add_varint(out, zigzag(b->has_sent ? b->sent.zone_minutes : 0));
    buf_add_varint(out, b->left_out);
    buf_add_varbytes(out, preview);
    buf_add_varbytes(out, headers);
    buf_add_byte(out, names_whole);
    buf_add_varbytes(out, names);
    buf_add_varbytes(out, envelope);
    buf_add_varbytes(out, structure);
    buf_fini(&tree);
}
