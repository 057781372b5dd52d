/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/summary.h"

#include "lib/mail/header.h"
#include "lib/mail/summary_priv.h"

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

enum err summary_open(struct slice bytes, struct summary *out)
{
    struct cursor c = cursor_of(bytes);
    *out = (struct summary){ 0 };
    uint8_t version = cursor_u8(&c);
    if (c.bad)
        return ERR_CORRUPT;
    if (version != SUMMARY_VERSION)
        return ERR_UNSUPPORTED;
    out->has = (unsigned)cursor_varint(&c);
    out->flags = (unsigned)cursor_varint(&c);
    out->size = cursor_varint(&c);
    out->header_len = cursor_varint(&c);
    out->sent.seconds = unzigzag(cursor_varint(&c));
    out->sent.zone_minutes = (int16_t)unzigzag(cursor_varint(&c));
    out->left_out = cursor_varint(&c);
    out->preview = cursor_varbytes(&c);
    out->headers = cursor_varbytes(&c);
    out->other_names_whole = cursor_u8(&c) != 0;
    out->other_names = cursor_varbytes(&c);
    out->envelope = cursor_varbytes(&c);
    out->tree = cursor_varbytes(&c);
    if (!cursor_done(&c) || out->header_len > out->size)
        return ERR_CORRUPT;
    return OK;
}

/* cursor_varint, with the short way for the one-byte numbers that most are. */
static inline uint64_t take_number(struct cursor *c)
{
    if (!c->bad && c->rest.len > 0 && c->rest.data[0] < 0x80) {
        uint64_t number = c->rest.data[0];
        c->rest.data++;
        c->rest.len--;
        return number;
    }
    return cursor_varint(c);
}

struct nstring summary_take_string(struct cursor *c)
{
    uint64_t tag = take_number(c);
    if (tag == 0)
        return (struct nstring){ SLICE_NULL, true };
    uint64_t len = (tag - 1) >> 1;
    if (len > c->rest.len) {
        c->bad = true;
        return (struct nstring){ SLICE_NULL, true };
    }
    struct slice text = { c->rest.data, (size_t)len };
    c->rest.data += len;
    c->rest.len -= len;
    return (struct nstring){ text, ((tag - 1) & 1) != 0 };
}

/* --- envelope ---------------------------------------------------------------------- */

enum err summary_envelope_decode(struct slice encoded, struct summary_envelope *out)
{
    struct cursor c = cursor_of(encoded);
    out->date = summary_take_string(&c).text;
    out->subject = summary_take_string(&c).text;
    out->from = cursor_varbytes(&c);
    out->sender = cursor_varbytes(&c);
    out->reply_to = cursor_varbytes(&c);
    out->to = cursor_varbytes(&c);
    out->cc = cursor_varbytes(&c);
    out->bcc = cursor_varbytes(&c);
    out->in_reply_to = summary_take_string(&c).text;
    out->message_id = summary_take_string(&c).text;
    return cursor_done(&c) ? OK : ERR_CORRUPT;
}

enum err summary_envelope_get(const struct summary *s, struct summary_envelope *out)
{
    if (!(s->has & SUMMARY_HAS_ENVELOPE))
        return ERR_NOT_FOUND;
    return summary_envelope_decode(s->envelope, out);
}

bool summary_addr_next(struct slice *list, struct mail_addr *out)
{
    struct cursor c = cursor_of(*list);
    if (list->len == 0)
        return false;
    out->name = summary_take_string(&c).text;
    out->route = summary_take_string(&c).text;
    out->mailbox = summary_take_string(&c).text;
    out->host = summary_take_string(&c).text;
    *list = c.bad ? SLICE_NULL : c.rest;
    return !c.bad;
}

/* --- parts ---------------------------------------------------------------------- */

enum err summary_parts_start(const struct summary *s, struct summary_parts *it)
{
    if (!(s->has & SUMMARY_HAS_TREE))
        return ERR_NOT_FOUND;
    *it = (struct summary_parts){ .at = cursor_of(s->tree) };
    return OK;
}

static void take_place(struct summary_parts *it, struct summary_part *part)
{
    it->offset += take_number(&it->at);
    part->header_offset = it->offset;
    part->header_len = take_number(&it->at);
    part->body_len = take_number(&it->at);
    part->body_lines = take_number(&it->at);
    if (part->kind == MIME_MULTIPART)
        part->child_count = (uint32_t)take_number(&it->at);
    else
        part->child_count = part->kind == MIME_MESSAGE;
    /* Damage must not become an offset that wraps around. */
    uint64_t max = UINT64_MAX / 8;
    if (part->header_offset > max || part->header_len > max || part->body_len > max ||
        (part->kind == MIME_MULTIPART && part->child_count == 0))
        it->at.bad = true;
}

bool summary_parts_next(struct summary_parts *it, struct summary_part *out)
{
    struct cursor *c = &it->at;
    if (c->bad || c->rest.len == 0)
        return false;
    unsigned bits = cursor_u8(c);
    *out = (struct summary_part){ .kind = (enum mime_kind)(bits & PART_KIND_MASK) };
    if (out->kind > MIME_MESSAGE)
        c->bad = true;
    take_place(it, out);
    out->type = summary_take_string(c).text;
    out->subtype = summary_take_string(c).text;
    if (bits & PART_HAS_PARAMS)
        out->params = cursor_varbytes(c);
    if (bits & PART_HAS_ID)
        out->id = summary_take_string(c).text;
    if (bits & PART_HAS_DESCRIPTION)
        out->description = summary_take_string(c).text;
    if (bits & PART_HAS_ENCODING)
        out->encoding = summary_take_string(c).text;
    if (bits & PART_HAS_MD5)
        out->md5 = summary_take_string(c).text;
    if (bits & PART_HAS_EXTENSION) {
        out->disposition = summary_take_string(c).text;
        out->disposition_params = cursor_varbytes(c);
        out->languages = cursor_varbytes(c);
        out->location = summary_take_string(c).text;
    }
    if (out->kind == MIME_MESSAGE)
        out->envelope = cursor_varbytes(c);
    return !c->bad;
}

bool summary_param_next(struct slice *list, struct mime_param *out)
{
    struct cursor c = cursor_of(*list);
    if (list->len == 0)
        return false;
    out->name = summary_take_string(&c).text;
    out->value = summary_take_string(&c).text;
    *list = c.bad ? SLICE_NULL : c.rest;
    return !c.bad;
}

bool summary_language_next(struct slice *list, struct slice *out)
{
    struct cursor c = cursor_of(*list);
    if (list->len == 0)
        return false;
    *out = summary_take_string(&c).text;
    *list = c.bad ? SLICE_NULL : c.rest;
    return !c.bad;
}

struct slice summary_param_get(struct slice list, const char *name)
{
    struct mime_param param;
    while (summary_param_next(&list, &param)) {
        if (slice_eq_nocase_str(param.name, name))
            return param.value;
    }
    return SLICE_NULL;
}

/* --- header fields ---------------------------------------------------------------------- */

bool summary_knows_field(const struct summary *s, struct slice name)
{
    if (name.len == 0)
        return true;
    int popular = summary_popular_find(name);
    if (popular >= 0)
        return (s->has & SUMMARY_HAS_HEADERS) && !(s->left_out >> popular & 1);
    if (!s->other_names_whole)
        return false;
    uint16_t hash = summary_name_hash(name);
    for (size_t i = 0; i + 1 < s->other_names.len; i += 2) {
        if ((s->other_names.data[i] << 8 | s->other_names.data[i + 1]) == hash)
            return false;
    }
    return true;
}

bool summary_header_fields(const struct summary *s, const struct slice *names, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (!summary_knows_field(s, names[i]))
            return false;
    }
    header_filter(s->headers, names, count, false, out);
    return true;
}
