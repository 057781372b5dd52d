/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/header.h"
#include "lib/mail/summary_priv.h"

static bool is_plain(struct slice s)
{
    if (s.len > SUMMARY_QUOTED_MAX)
        return false;
    bool plain = true;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        plain = plain && c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    }
    return plain;
}

void summary_put_string(struct buf *out, struct slice s)
{
    if (s.data == NULL) {
        buf_add_byte(out, 0);
        return;
    }
    buf_reserve(out, 10 + s.len);
    buf_add_varint(out, 1 + ((uint64_t)s.len << 1 | is_plain(s)));
    memcpy(out->data + out->len, s.data, s.len);
    out->len += s.len;
}

/* A run of bytes is written after room for its length, which is then put in front of it. */
static void put_length_before(struct buf *out, size_t from)
{
    uint8_t digits[10];
    struct buf length = { .data = digits, .cap = sizeof digits };
    size_t len = out->len - from;
    buf_add_varint(&length, len);
    buf_reserve(out, length.len);
    memmove(out->data + from + length.len, out->data + from, len);
    memcpy(out->data + from, digits, length.len);
    out->len += length.len;
}

static void put_addrs(struct buf *out, const struct addrlist *list)
{
    size_t from = out->len;
    for (size_t i = 0; i < list->count; i++) {
        const struct mail_addr *addr = &list->items[i];
        summary_put_string(out, addr->name);
        summary_put_string(out, addr->route);
        summary_put_string(out, addr->mailbox);
        summary_put_string(out, addr->host);
    }
    put_length_before(out, from);
}

void summary_put_envelope(struct buf *out, struct arena *scratch, struct slice block)
{
    struct envelope env;
    envelope_parse(scratch, block, &env);
    summary_put_string(out, env.date);
    summary_put_string(out, env.subject);
    put_addrs(out, &env.from);
    put_addrs(out, &env.sender);
    put_addrs(out, &env.reply_to);
    put_addrs(out, &env.to);
    put_addrs(out, &env.cc);
    put_addrs(out, &env.bcc);
    summary_put_string(out, env.in_reply_to);
    summary_put_string(out, env.message_id);
    arena_clear(scratch);
}

static void put_params(struct buf *out, const struct mime_params *params)
{
    size_t from = out->len;
    for (size_t i = 0; i < params->count; i++) {
        summary_put_string(out, params->items[i].name);
        summary_put_string(out, params->items[i].value);
    }
    put_length_before(out, from);
}

static void put_languages(struct buf *out, const struct mime_info *info)
{
    size_t from = out->len;
    for (size_t i = 0; i < info->language_count; i++)
        summary_put_string(out, info->languages[i]);
    put_length_before(out, from);
}

static unsigned bits_of(const struct mime_part *part)
{
    const struct mime_info *info = &part->info;
    return (unsigned)part->kind | (info->params.count > 0 ? PART_HAS_PARAMS : 0u) |
           (info->id.data != NULL ? PART_HAS_ID : 0u) |
           (info->description.data != NULL ? PART_HAS_DESCRIPTION : 0u) |
           (info->encoding.data != NULL ? PART_HAS_ENCODING : 0u) |
           (info->md5.data != NULL ? PART_HAS_MD5 : 0u) |
           (info->disposition.data != NULL || info->language_count > 0 || info->location.data != NULL
                ? PART_HAS_EXTENSION
                : 0u);
}

static void put_info(struct buf *out, unsigned bits, const struct mime_info *info)
{
    summary_put_string(out, info->type);
    summary_put_string(out, info->subtype);
    if (bits & PART_HAS_PARAMS)
        put_params(out, &info->params);
    if (bits & PART_HAS_ID)
        summary_put_string(out, info->id);
    if (bits & PART_HAS_DESCRIPTION)
        summary_put_string(out, info->description);
    if (bits & PART_HAS_ENCODING)
        summary_put_string(out, info->encoding);
    if (bits & PART_HAS_MD5)
        summary_put_string(out, info->md5);
    if (bits & PART_HAS_EXTENSION) {
        summary_put_string(out, info->disposition);
        put_params(out, &info->disposition_params);
        put_languages(out, info);
        summary_put_string(out, info->location);
    }
}

void summary_put_tree(struct buf *out, const struct mime_part *parts, size_t count,
                      summary_envelope_fn envelopes, void *ctx)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const struct mime_part *part = &parts[i];
        unsigned bits = bits_of(part);
        buf_add_byte(out, (uint8_t)bits);
        buf_add_varint(out, part->header_offset - offset);
        buf_add_varint(out, part->header_len);
        buf_add_varint(out, part->body_len);
        buf_add_varint(out, part->body_lines);
        if (part->kind == MIME_MULTIPART)
            buf_add_varint(out, part->child_count);
        put_info(out, bits, &part->info);
        if (part->kind == MIME_MESSAGE)
            buf_add_varbytes(out, envelopes(ctx, (uint32_t)i));
        offset = part->header_offset;
    }
}
