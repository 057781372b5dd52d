/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/imap_format.h"

#include "lib/mail/summary_priv.h"
#include "lib/mail/utf8.h"

/* Most of what is written is a character or two, so these are inlined where buf's are calls. */
static inline void put(struct buf *out, char c)
{
    if (out->len == out->cap)
        buf_reserve(out, 1);
    out->data[out->len++] = (uint8_t)c;
}

static inline void put_text(struct buf *out, const char *text, size_t len)
{
    if (out->cap - out->len < len)
        buf_reserve(out, len);
    memcpy(out->data + out->len, text, len);
    out->len += len;
}

#define PUT_LIT(out, lit) put_text((out), "" lit, sizeof(lit) - 1)

/* --- strings ---------------------------------------------------------------------- */

enum quoting { QUOTE_AS_IS, QUOTE_ESCAPED, QUOTE_LITERAL };

static enum quoting quoting_of(struct slice s, bool utf8)
{
    bool special = false, high = false;
    if (s.len > IMAP_QUOTED_MAX)
        return QUOTE_LITERAL;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '\r' || c == '\n' || c == '\0')
            return QUOTE_LITERAL;
        special = special || c == '"' || c == '\\';
        high = high || c >= 0x80;
    }
    if (high && (!utf8 || !utf8_is_valid(s)))
        return QUOTE_LITERAL;
    return special ? QUOTE_ESCAPED : QUOTE_AS_IS;
}

static void add_quoted(struct buf *out, struct slice s)
{
    uint8_t *at = buf_reserve(out, s.len + 2);
    at[0] = '"';
    if (s.len > 0)
        memcpy(at + 1, s.data, s.len);
    at[s.len + 1] = '"';
    out->len += s.len + 2;
}

static void add_escaped(struct buf *out, struct slice s)
{
    put(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\')
            put(out, '\\');
        put(out, s.data[i]);
    }
    put(out, '"');
}

void imap_format_string(struct buf *out, struct slice s, bool utf8)
{
    switch (quoting_of(s, utf8)) {
    case QUOTE_AS_IS:
        add_quoted(out, s);
        break;
    case QUOTE_ESCAPED:
        add_escaped(out, s);
        break;
    case QUOTE_LITERAL:
        put(out, '{');
        buf_add_u64(out, s.len);
        PUT_LIT(out, "}\r\n");
        buf_add_slice(out, s);
        break;
    }
}

void imap_format_nstring(struct buf *out, struct slice s, bool utf8)
{
    if (s.data == NULL)
        PUT_LIT(out, "NIL");
    else
        imap_format_string(out, s, utf8);
}

void imap_format_astring(struct buf *out, struct slice s, bool utf8)
{
    bool atom = s.len > 0 && s.len <= IMAP_QUOTED_MAX && !slice_eq_nocase_str(s, "NIL");
    for (size_t i = 0; atom && i < s.len; i++)
        atom = s.data[i] > ' ' && s.data[i] < 0x7f && strchr("(){%*\"\\", s.data[i]) == NULL;
    if (atom)
        buf_add_slice(out, s);
    else
        imap_format_string(out, s, utf8);
}

/* A string of the summary, whose builder has looked already whether it may be quoted. */
static void add_nstring(struct buf *out, struct nstring s, bool utf8)
{
    if (s.text.data != NULL && s.plain)
        add_quoted(out, s.text);
    else
        imap_format_nstring(out, s.text, utf8);
}

static void copy_nstring(struct buf *out, struct cursor *c, bool utf8)
{
    add_nstring(out, summary_take_string(c), utf8);
}

/* --- envelope ---------------------------------------------------------------------- */

/* An encoded list of addresses; `fallback` is used if it is empty. */
static void add_addrs(struct buf *out, struct slice list, struct slice fallback, bool utf8, bool *bad)
{
    struct cursor c = cursor_of(list.len > 0 ? list : fallback);
    if (c.rest.len == 0) {
        PUT_LIT(out, "NIL");
        return;
    }
    put(out, '(');
    while (c.rest.len > 0 && !c.bad) {
        put(out, '(');
        for (int i = 0; i < 4; i++) {
            if (i > 0)
                put(out, ' ');
            copy_nstring(out, &c, utf8);
        }
        put(out, ')');
    }
    put(out, ')');
    *bad = *bad || c.bad;
}

/* RFC 9051 7.5.2: sender and reply-to that are not there are the same as from. */
static bool add_envelope(struct buf *out, struct slice encoded, bool utf8)
{
    struct cursor c = cursor_of(encoded);
    bool bad = false;
    put(out, '(');
    copy_nstring(out, &c, utf8);
    put(out, ' ');
    copy_nstring(out, &c, utf8);
    struct slice from = cursor_varbytes(&c);
    for (int i = 0; i < 6; i++) {
        struct slice list = i == 0 ? from : cursor_varbytes(&c);
        put(out, ' ');
        add_addrs(out, list, i < 3 ? from : SLICE_NULL, utf8, &bad);
    }
    put(out, ' ');
    copy_nstring(out, &c, utf8);
    put(out, ' ');
    copy_nstring(out, &c, utf8);
    put(out, ')');
    return !bad && cursor_done(&c);
}

enum err imap_format_envelope(const struct summary *s, const struct imap_format *how, struct buf *out)
{
    if (!(s->has & SUMMARY_HAS_ENVELOPE))
        return ERR_NOT_FOUND;
    size_t before = out->len;
    if (add_envelope(out, s->envelope, how->utf8))
        return OK;
    out->len = before;
    return ERR_CORRUPT;
}

/* --- body structure ---------------------------------------------------------------------- */

struct structure {
    struct buf *out;
    bool utf8, rev2, extended;
    bool bad;
};

static void add_params(struct structure *st, struct slice list, bool default_charset)
{
    struct cursor c = cursor_of(list);
    if (default_charset && summary_param_get(list, "charset").data != NULL)
        default_charset = false;
    if (list.len == 0 && !default_charset) {
        PUT_LIT(st->out, "NIL");
        return;
    }
    put(st->out, '(');
    while (c.rest.len > 0 && !c.bad) {
        copy_nstring(st->out, &c, st->utf8);
        put(st->out, ' ');
        copy_nstring(st->out, &c, st->utf8);
        if (c.rest.len > 0 || default_charset)
            put(st->out, ' ');
    }
    if (default_charset)
        PUT_LIT(st->out, "\"charset\" \"us-ascii\"");
    put(st->out, ')');
    st->bad = st->bad || c.bad;
}

static void add_languages(struct structure *st, struct slice list)
{
    struct slice tag, rest = list;
    if (!summary_language_next(&rest, &tag)) {
        PUT_LIT(st->out, "NIL");
        return;
    }
    bool several = rest.len > 0;
    if (several)
        put(st->out, '(');
    imap_format_string(st->out, tag, st->utf8);
    while (summary_language_next(&rest, &tag)) {
        put(st->out, ' ');
        imap_format_string(st->out, tag, st->utf8);
    }
    if (several)
        put(st->out, ')');
}

/* " disposition language location" */
static void add_extension(struct structure *st, const struct summary_part *part)
{
    put(st->out, ' ');
    if (part->disposition.data == NULL) {
        PUT_LIT(st->out, "NIL");
    } else {
        put(st->out, '(');
        imap_format_string(st->out, part->disposition, st->utf8);
        put(st->out, ' ');
        add_params(st, part->disposition_params, false);
        put(st->out, ')');
    }
    put(st->out, ' ');
    add_languages(st, part->languages);
    put(st->out, ' ');
    imap_format_nstring(st->out, part->location, st->utf8);
}

/* "type" "subtype" params id description encoding octets */
static void add_basic(struct structure *st, const struct summary_part *part)
{
    struct buf *out = st->out;
    bool text = slice_eq_nocase_str(part->type, "text");
    imap_format_string(out, part->type, st->utf8);
    put(out, ' ');
    imap_format_string(out, part->subtype, st->utf8);
    put(out, ' ');
    add_params(st, part->params, text);
    put(out, ' ');
    imap_format_nstring(out, part->id, st->utf8);
    put(out, ' ');
    imap_format_nstring(out, part->description, st->utf8);
    put(out, ' ');
    imap_format_string(out, part->encoding.data == NULL ? SLICE_LIT("7bit") : part->encoding, st->utf8);
    put(out, ' ');
    buf_add_u64(out, part->body_len);
    if (text) {
        put(out, ' ');
        buf_add_u64(out, part->body_lines);
    }
}

/* Is it shown as a message with its envelope? Clients of RFC 3501 know only message/rfc822. */
static bool shows_message(const struct structure *st, const struct summary_part *part)
{
    return part->kind == MIME_MESSAGE && (st->rev2 || slice_eq_nocase_str(part->subtype, "rfc822"));
}

/* The end of a part that is no multipart, from where its octets were written. */
static void end_single(struct structure *st, const struct summary_part *part)
{
    if (shows_message(st, part)) {
        put(st->out, ' ');
        buf_add_u64(st->out, part->body_lines);
    }
    if (st->extended) {
        put(st->out, ' ');
        imap_format_nstring(st->out, part->md5, st->utf8);
        add_extension(st, part);
    }
    put(st->out, ')');
}

static void end_multipart(struct structure *st, const struct summary_part *part)
{
    put(st->out, ' ');
    imap_format_string(st->out, part->subtype, st->utf8);
    if (st->extended) {
        put(st->out, ' ');
        add_params(st, part->params, false);
        add_extension(st, part);
    }
    put(st->out, ')');
}

/* A part whose children are being written. It is read again at its end: fiber stacks have no room for all of
 * them. */
struct pending {
    const uint8_t *at; /* where the part is encoded */
    uint32_t children; /* still to come */
};

enum { PENDING_MAX = MIME_DEPTH_MAX + 1 };

static void begin_part(struct structure *st, const struct summary_part *part)
{
    put(st->out, '(');
    if (part->kind == MIME_MULTIPART)
        return;
    add_basic(st, part);
    if (part->kind == MIME_LEAF) {
        end_single(st, part);
    } else if (shows_message(st, part)) {
        put(st->out, ' ');
        st->bad = !add_envelope(st->out, part->envelope, st->utf8) || st->bad;
        put(st->out, ' ');
    }
}

static void end_pending(struct structure *st, const struct pending *top, const uint8_t *end)
{
    struct summary_part part;
    struct summary_parts self = { .at = cursor_of(slice_of(top->at, (size_t)(end - top->at))) };
    if (!summary_parts_next(&self, &part))
        st->bad = true;
    else if (part.kind == MIME_MULTIPART)
        end_multipart(st, &part);
    else
        end_single(st, &part);
}

/* Pass over the inside of a message that is not shown. */
static bool skip_children(struct summary_parts *it, uint64_t children)
{
    struct summary_part part;
    for (; children > 0; children--) {
        if (!summary_parts_next(it, &part))
            return false;
        children += part.child_count;
    }
    return true;
}

static bool add_structure(struct structure *st, struct summary_parts it)
{
    struct pending stack[PENDING_MAX];
    const uint8_t *end = it.at.rest.data + it.at.rest.len;
    unsigned depth = 0;
    do {
        const uint8_t *at = it.at.rest.data;
        struct summary_part part;
        if (!summary_parts_next(&it, &part))
            return false;
        begin_part(st, &part);
        if (part.kind == MIME_MULTIPART || shows_message(st, &part)) {
            if (depth == PENDING_MAX)
                return false;
            stack[depth++] = (struct pending){ at, part.child_count };
            continue;
        }
        if (part.kind == MIME_MESSAGE) {
            if (!skip_children(&it, 1))
                return false;
            end_single(st, &part);
        }
        while (depth > 0 && --stack[depth - 1].children == 0)
            end_pending(st, &stack[--depth], end);
    } while (depth > 0 && !st->bad);
    return !st->bad && it.at.rest.len == 0;
}

static enum err format_structure(const struct summary *s, const struct imap_format *how, bool extended,
                                 struct buf *out)
{
    struct structure st = { .out = out, .utf8 = how->utf8, .rev2 = how->rev2, .extended = extended };
    struct summary_parts it;
    TRY(summary_parts_start(s, &it));
    size_t before = out->len;
    if (add_structure(&st, it))
        return OK;
    out->len = before;
    return ERR_CORRUPT;
}

enum err imap_format_body(const struct summary *s, const struct imap_format *how, struct buf *out)
{
    return format_structure(s, how, false, out);
}

enum err imap_format_bodystructure(const struct summary *s, const struct imap_format *how, struct buf *out)
{
    return format_structure(s, how, true, out);
}
