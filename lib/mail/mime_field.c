/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/mime_field.h"

#include "lib/base/ascii.h"
#include "lib/mail/header.h"

enum { RAW_PARAMS_MAX = 2 * MIME_PARAMS_MAX }; /* pieces looked at before continuations are joined */

/* One "name=value" as written; a continuation has a number, an extended one is percent-encoded (RFC 2231 3,
 * 4). */
struct piece {
    struct slice name; /* without "*0" and "*" */
    struct slice value;
    int number; /* -1: no continuation */
    bool extended;
    bool used;
};

struct pieces {
    struct piece *items;
    size_t count, cap;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_cfws(struct slice *s)
{
    unsigned depth = 0;
    size_t i = 0;
    for (; i < s->len; i++) {
        uint8_t c = s->data[i];
        if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (c == '\\' && depth > 0)
            i++;
        else if (depth == 0 && !is_blank(c))
            break;
    }
    *s = slice_sub(*s, i, s->len);
}

/* Characters up to one of `stops` or a blank. */
static struct slice take_token(struct slice *s, const char *stops)
{
    size_t i = 0;
    while (i < s->len && !is_blank(s->data[i]) && (s->data[i] == '\0' || strchr(stops, s->data[i]) == NULL))
        i++;
    struct slice token = slice_sub(*s, 0, i);
    *s = slice_sub(*s, i, s->len);
    return token;
}

static void skip_past(struct slice *s, uint8_t c)
{
    ptrdiff_t at = slice_find(*s, c);
    *s = at < 0 ? slice_sub(*s, s->len, s->len) : slice_sub(*s, (size_t)at + 1, s->len);
}

static struct slice take_quoted(struct arena *arena, struct slice *s)
{
    size_t end = 1;
    while (end < s->len && s->data[end] != '"')
        end += s->data[end] == '\\' ? 2 : 1;
    struct slice quoted = slice_sub(*s, 1, end);
    *s = slice_sub(*s, end + 1, s->len);
    uint8_t *copy = arena_alloc(arena, quoted.len);
    size_t len = 0;
    for (size_t i = 0; i < quoted.len; i++) {
        if (quoted.data[i] == '\\' && i + 1 < quoted.len)
            i++;
        copy[len++] = quoted.data[i];
    }
    return slice_of(copy, len);
}

/* Mail has file names with blanks and no quotes around; they go on to the next semicolon. */
static struct slice take_value(struct arena *arena, struct slice *s, struct slice name)
{
    skip_cfws(s);
    if (s->len > 0 && s->data[0] == '"')
        return take_quoted(arena, s);
    if (slice_eq_nocase_str(name, "name") || slice_eq_nocase_str(name, "filename")) {
        struct slice value = *s;
        ptrdiff_t semicolon = slice_find(*s, ';');
        if (semicolon >= 0)
            value.len = (size_t)semicolon;
        *s = slice_sub(*s, value.len, s->len);
        return slice_trim(value);
    }
    return take_token(s, ";");
}

/* Split "name*3*" into its name, number and mark. */
static void split_name(struct piece *piece)
{
    struct slice *name = &piece->name;
    piece->number = -1;
    if (name->len > 1 && name->data[name->len - 1] == '*') {
        piece->extended = true;
        name->len--;
    }
    ptrdiff_t star = slice_find(*name, '*');
    uint64_t number;
    if (star > 0 && slice_parse_u64(slice_sub(*name, (size_t)star + 1, name->len), RAW_PARAMS_MAX, &number)) {
        piece->number = (int)number;
        name->len = (size_t)star;
    }
}

/* There are no more pieces than equals signs. */
static size_t pieces_bound(struct slice s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len && count < RAW_PARAMS_MAX; i++)
        count += s.data[i] == '=';
    return count;
}

/* Mail forgets semicolons, so one is welcome before each piece but not asked for. */
static void take_pieces(struct arena *arena, struct slice s, struct pieces *pieces)
{
    while (s.len > 0 && pieces->count < pieces->cap) {
        skip_cfws(&s);
        struct piece *piece = &pieces->items[pieces->count];
        *piece = (struct piece){ .name = take_token(&s, "=;(\"") };
        skip_cfws(&s);
        if (s.len > 0 && s.data[0] == '=' && piece->name.len > 0) {
            s = slice_sub(s, 1, s.len);
            piece->value = take_value(arena, &s, piece->name);
            split_name(piece);
            pieces->count++;
        } else if (piece->name.len == 0 || (s.len > 0 && s.data[0] == ';')) {
            s = slice_sub(s, 1, s.len);
        }
    }
}

static struct piece *find_piece(struct pieces *pieces, struct slice name, int number)
{
    for (size_t i = 0; i < pieces->count; i++) {
        struct piece *piece = &pieces->items[i];
        if (!piece->used && piece->number == number && slice_eq_nocase(piece->name, name))
            return piece;
    }
    return NULL;
}

/* A later piece of a parameter whose first one is there: it is joined to it, or lost if pieces between are
 * missing. */
static bool is_continuation(const struct pieces *pieces, const struct piece *piece)
{
    for (size_t i = 0; piece->number > 0 && i < pieces->count; i++) {
        if (pieces->items[i].number == 0 && slice_eq_nocase(pieces->items[i].name, piece->name))
            return true;
    }
    return false;
}

/* RFC 2231 7: attribute-char. */
static bool is_attribute_char(uint8_t c)
{
    return c > ' ' && c < 0x7f && strchr("*'%()<>@,;:\\\"/[]?=", c) == NULL;
}

static size_t add_encoded(uint8_t *out, struct slice value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (is_attribute_char(c)) {
            out[len++] = c;
        } else {
            out[len++] = '%';
            out[len++] = (uint8_t)hex[c >> 4];
            out[len++] = (uint8_t)hex[c & 15];
        }
    }
    return len;
}

/* Join name*0, name*1 ...; if any is extended, the whole becomes so. */
static struct mime_param join(struct arena *arena, struct pieces *pieces, struct piece *first)
{
    struct piece *parts[RAW_PARAMS_MAX];
    size_t count = 0, room = 2;
    bool extended = false;
    for (struct piece *p = first; p != NULL; p = find_piece(pieces, first->name, (int)count)) {
        p->used = true;
        parts[count++] = p;
        room += p->value.len * 3;
        extended = extended || p->extended;
    }
    uint8_t *out = arena_alloc(arena, room);
    size_t len = 0;
    if (extended && !first->extended) {
        out[len++] = '\'';
        out[len++] = '\'';
    }
    for (size_t i = 0; i < count; i++) {
        struct slice value = parts[i]->value;
        if (extended && !parts[i]->extended) {
            len += add_encoded(out + len, value);
        } else if (value.len > 0) {
            memcpy(out + len, value.data, value.len);
            len += value.len;
        }
    }
    first->extended = extended;
    return (struct mime_param){ first->name, slice_of(out, len) };
}

/* Boundaries and charsets are ASCII, so these are decoded for everybody who looks for the plain name. */
static void decode_ascii(struct piece *piece, struct arena *arena, struct mime_param *param)
{
    struct slice value = param->value;
    if (!slice_eq_nocase_str(piece->name, "boundary") && !slice_eq_nocase_str(piece->name, "charset"))
        return;
    for (int marks = 0; marks < 2; marks++) {
        ptrdiff_t mark = slice_find(value, '\'');
        if (mark < 0)
            return;
        value = slice_sub(value, (size_t)mark + 1, value.len);
    }
    uint8_t *out = arena_alloc(arena, value.len);
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        bool escape = value.data[i] == '%' && i + 2 < value.len && ascii_hex(value.data[i + 1]) >= 0 &&
                      ascii_hex(value.data[i + 2]) >= 0;
        out[len++] = escape ? (uint8_t)(ascii_hex(value.data[i + 1]) << 4 | ascii_hex(value.data[i + 2]))
                            : value.data[i];
        i += escape ? 2 : 0;
    }
    param->value = slice_of(out, len);
    piece->extended = false;
}

/* The name as IMAP shows it. */
static struct slice shown_name(struct arena *arena, const struct piece *piece)
{
    if (!piece->extended && piece->number < 0)
        return arena_slice(arena, piece->name);
    char *name = arena_printf(arena, "%.*s%s", SLICE_FMT(piece->name), piece->extended ? "*" : "");
    return slice_str(name);
}

static struct slice without_nul(struct arena *arena, struct slice s)
{
    if (s.len == 0)
        return SLICE_LIT("");
    uint8_t *copy = arena_memdup(arena, s.data, s.len);
    for (size_t i = 0; i < s.len; i++) {
        if (copy[i] == '\0')
            copy[i] = '?';
    }
    return slice_of(copy, s.len);
}

/* "; name=value; ..." of an unfolded field. `scratch` is for what need not be kept. */
static void parse_params(struct arena *arena, struct arena *scratch, struct slice s,
                         struct mime_params *params)
{
    struct pieces found = { .cap = pieces_bound(s) };
    struct pieces *pieces = &found;
    if (found.cap == 0)
        return;
    found.items = ARENA_ARRAY(scratch, struct piece, found.cap);
    take_pieces(scratch, s, pieces);
    params->items = ARENA_ARRAY(arena, struct mime_param, pieces->count);
    size_t bytes = 0;
    for (size_t i = 0; i < pieces->count && params->count < MIME_PARAMS_MAX; i++) {
        struct piece *piece = &pieces->items[i];
        if (piece->used || is_continuation(pieces, piece))
            continue;
        piece->used = true;
        struct mime_param param = { piece->name, piece->value };
        if (piece->number == 0)
            param = join(scratch, pieces, piece);
        if (piece->extended)
            decode_ascii(piece, scratch, &param);
        bytes += param.name.len + param.value.len;
        if (bytes > MIME_PARAM_BYTES_MAX)
            break;
        struct mime_param *kept = &params->items[params->count++];
        kept->name = shown_name(arena, piece);
        kept->value = without_nul(arena, param.value);
    }
}

/* "type/subtype" and parameters (RFC 2045 5.1). */
static void parse_type(struct arena *arena, struct arena *scratch, struct slice s, struct mime_info *info)
{
    skip_cfws(&s);
    struct slice type = take_token(&s, "/;(=\"");
    skip_cfws(&s);
    if (type.len > 0 && s.len > 0 && s.data[0] == '/') {
        s = slice_sub(s, 1, s.len);
        skip_cfws(&s);
        struct slice subtype = take_token(&s, ";(=\"");
        if (subtype.len > 0 && type.len <= MIME_VALUE_MAX && subtype.len <= MIME_VALUE_MAX) {
            info->type = without_nul(arena, type);
            info->subtype = without_nul(arena, subtype);
            info->typed = true;
        }
    }
    parse_params(arena, scratch, s, &info->params);
}

static void parse_disposition(struct arena *arena, struct arena *scratch, struct slice s,
                              struct mime_info *info)
{
    skip_cfws(&s);
    struct slice token = take_token(&s, ";(");
    if (token.len == 0 || token.len > MIME_VALUE_MAX)
        return;
    info->disposition = without_nul(arena, token);
    parse_params(arena, scratch, s, &info->disposition_params);
}

static void parse_languages(struct arena *arena, struct slice s, struct mime_info *info)
{
    info->languages = ARENA_ARRAY(arena, struct slice, MIME_LANGUAGES_MAX);
    while (s.len > 0 && info->language_count < MIME_LANGUAGES_MAX) {
        skip_cfws(&s);
        struct slice tag = take_token(&s, ",(");
        if (tag.len > 0 && tag.len <= MIME_VALUE_MAX)
            info->languages[info->language_count++] = without_nul(arena, tag);
        skip_past(&s, ',');
    }
}

static void parse_encoding(struct arena *arena, struct slice s, struct mime_info *info)
{
    skip_cfws(&s);
    struct slice token = take_token(&s, ";(");
    if (token.len > 0 && token.len <= MIME_VALUE_MAX)
        info->encoding = without_nul(arena, token);
}

static void keep_text(struct arena *arena, struct slice value, struct slice *out)
{
    if (out->data == NULL && value.len > 0)
        *out = without_nul(arena, slice_sub(value, 0, MIME_VALUE_MAX));
}

/* `rest` of the name is what follows "Content-". */
static void parse_field(struct arena *arena, struct arena *scratch, struct slice rest, struct slice value,
                        struct mime_info *info)
{
    value = header_unfold(scratch, value);
    if (slice_eq_nocase_str(rest, "Type")) {
        if (!info->typed && info->params.items == NULL)
            parse_type(arena, scratch, value, info);
    } else if (slice_eq_nocase_str(rest, "Transfer-Encoding")) {
        if (info->encoding.data == NULL)
            parse_encoding(arena, value, info);
    } else if (slice_eq_nocase_str(rest, "Disposition")) {
        if (info->disposition.data == NULL)
            parse_disposition(arena, scratch, value, info);
    } else if (slice_eq_nocase_str(rest, "Language")) {
        if (info->languages == NULL)
            parse_languages(arena, value, info);
    } else if (slice_eq_nocase_str(rest, "ID")) {
        keep_text(arena, value, &info->id);
    } else if (slice_eq_nocase_str(rest, "Description")) {
        keep_text(arena, value, &info->description);
    } else if (slice_eq_nocase_str(rest, "MD5")) {
        keep_text(arena, value, &info->md5);
    } else if (slice_eq_nocase_str(rest, "Location")) {
        keep_text(arena, value, &info->location);
    }
}

void mime_info_parse(struct arena *arena, struct slice block, bool in_digest, struct mime_info *info)
{
    *info = (struct mime_info){ 0 };
    struct arena scratch = { 0 };
    struct header_field field;
    while (header_next(&block, &field)) {
        if (slice_starts_nocase(field.name, "Content-")) {
            struct slice rest = slice_sub(field.name, sizeof "Content-" - 1, field.name.len);
            parse_field(arena, &scratch, rest, field.value, info);
        }
    }
    if (!info->typed) {
        info->type = in_digest ? SLICE_LIT("message") : SLICE_LIT("text");
        info->subtype = in_digest ? SLICE_LIT("rfc822") : SLICE_LIT("plain");
    }
    arena_fini(&scratch);
}

struct slice mime_param_get(const struct mime_params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++) {
        if (slice_eq_nocase_str(params->items[i].name, name))
            return params->items[i].value;
    }
    return SLICE_NULL;
}
