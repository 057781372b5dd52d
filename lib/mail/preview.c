/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/preview.h"

#include "lib/base/ascii.h"

enum html_state { HTML_TEXT, HTML_TAG, HTML_TAG_NAME, HTML_COMMENT, HTML_ENTITY };
enum { SKIP_NOTHING, SKIP_STYLE, SKIP_SCRIPT, SKIP_TITLE };
enum { DECODE_PIECE = 1024 };

/* windows-1252 (which is what ISO-8859-1 means in mail) from 0x80 to 0x9f. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178,
};

static bool is_utf8_name(struct slice charset)
{
    return charset.len == 0 || slice_eq_nocase_str(charset, "utf-8") ||
           slice_eq_nocase_str(charset, "utf8") || slice_eq_nocase_str(charset, "us-ascii") ||
           slice_eq_nocase_str(charset, "ascii");
}

static bool is_latin1_name(struct slice charset)
{
    return slice_eq_nocase_str(charset, "iso-8859-1") || slice_eq_nocase_str(charset, "windows-1252");
}

bool preview_is_text(const struct mime_info *info)
{
    return slice_eq_nocase_str(info->type, "text") && !slice_eq_nocase_str(info->disposition, "attachment") &&
           (slice_eq_nocase_str(info->subtype, "plain") || slice_eq_nocase_str(info->subtype, "html"));
}

bool preview_is_possible(const struct mime_info *info)
{
    struct slice charset = mime_param_get(&info->params, "charset");
    return preview_is_text(info) && (is_utf8_name(charset) || is_latin1_name(charset)) &&
           decode_kind_of(info->encoding) != DECODE_UNKNOWN;
}

void preview_init(struct preview *p, const struct mime_info *info)
{
    struct buf text = p->text, decoded = p->decoded;
    *p = (struct preview){ .text = text, .decoded = decoded };
    buf_clear(&p->text);
    buf_clear(&p->decoded);
    p->html = slice_eq_nocase_str(info->subtype, "html");
    p->latin1 = is_latin1_name(mime_param_get(&info->params, "charset"));
    decoder_init(&p->decoder, decode_kind_of(info->encoding), false);
}

void preview_fini(struct preview *p)
{
    buf_fini(&p->text);
    buf_fini(&p->decoded);
}

static void add_char(struct preview *p, struct slice utf8)
{
    if (p->chars >= PREVIEW_CHARS_MAX)
        return;
    if (utf8.len == 1 && (utf8.data[0] <= ' ' || utf8.data[0] == 0x7f)) {
        p->blank = true;
        return;
    }
    if (p->blank && p->chars > 0) {
        buf_add_byte(&p->text, ' ');
        if (++p->chars >= PREVIEW_CHARS_MAX)
            return;
    }
    p->blank = false;
    buf_add_slice(&p->text, utf8);
    p->chars++;
}

static void add_code(struct preview *p, uint32_t code)
{
    uint8_t utf8[4];
    size_t len = 0;
    if (code < 0x80) {
        utf8[len++] = (uint8_t)code;
    } else if (code < 0x800) {
        utf8[len++] = (uint8_t)(0xc0 | code >> 6);
        utf8[len++] = (uint8_t)(0x80 | (code & 0x3f));
    } else {
        utf8[len++] = (uint8_t)(0xe0 | code >> 12);
        utf8[len++] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        utf8[len++] = (uint8_t)(0x80 | (code & 0x3f));
    }
    add_char(p, slice_of(utf8, len));
}

/* What "&name" followed by `next` stands for. */
static void end_entity(struct preview *p, uint8_t next)
{
    static const struct {
        const char *name, *text;
    } entities[] = { { "amp", "&" },   { "lt", "<" },   { "gt", ">" },
                     { "quot", "\"" }, { "apos", "'" }, { "nbsp", " " } };
    struct slice name = slice_of(p->tag, p->tag_len);
    uint64_t code;
    if (name.len > 1 && name.data[0] == '#') {
        if (slice_parse_u64(slice_sub(name, 1, name.len), 0xd7ff, &code) && code > 0)
            add_code(p, code == 0xa0 ? ' ' : (uint32_t)code);
        return;
    }
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (slice_eq_str(name, entities[i].name)) {
            add_char(p, slice_str(entities[i].text));
            return;
        }
    }
    if (next == ';')
        return;
    add_char(p, SLICE_LIT("&"));
    for (size_t i = 0; i < name.len; i++)
        add_char(p, slice_sub(name, i, i + 1));
}

/* A tag's name is known: some hide what follows, most stand for a blank. */
static void begin_tag(struct preview *p)
{
    struct slice name = slice_of(p->tag, p->tag_len);
    if (p->skipping == SKIP_NOTHING) {
        if (slice_eq_nocase_str(name, "style"))
            p->skipping = SKIP_STYLE;
        else if (slice_eq_nocase_str(name, "script"))
            p->skipping = SKIP_SCRIPT;
        else if (slice_eq_nocase_str(name, "title"))
            p->skipping = SKIP_TITLE;
    } else if ((p->skipping == SKIP_STYLE && slice_eq_nocase_str(name, "/style")) ||
               (p->skipping == SKIP_SCRIPT && slice_eq_nocase_str(name, "/script")) ||
               (p->skipping == SKIP_TITLE && slice_eq_nocase_str(name, "/title"))) {
        p->skipping = SKIP_NOTHING;
    }
    static const char *const inlines[] = { "b", "i", "u", "a", "em", "strong", "span", "font", "code" };
    struct slice bare = slice_starts(name, SLICE_LIT("/")) ? slice_sub(name, 1, name.len) : name;
    for (size_t i = 0; i < sizeof inlines / sizeof inlines[0]; i++) {
        if (slice_eq_nocase_str(bare, inlines[i]))
            return;
    }
    p->blank = true;
}

static void html_text(struct preview *p, struct slice utf8)
{
    if (utf8.data[0] == '<' || (utf8.data[0] == '&' && p->skipping == SKIP_NOTHING)) {
        p->html_state = utf8.data[0] == '<' ? HTML_TAG_NAME : HTML_ENTITY;
        p->tag_len = 0;
    } else if (p->skipping == SKIP_NOTHING) {
        add_char(p, utf8);
    }
}

static void html_tag_name(struct preview *p, uint8_t c)
{
    if (p->tag_len == 3 && memcmp(p->tag, "!--", 3) == 0) {
        p->html_state = HTML_COMMENT;
        p->tag_len = 0;
    } else if (c > ' ' && c != '>' && c < 0x80 && p->tag_len < PREVIEW_TAG_MAX) {
        p->tag[p->tag_len++] = (char)c;
        return;
    } else {
        begin_tag(p);
        p->html_state = c == '>' ? HTML_TEXT : HTML_TAG;
    }
}

/* One UTF-8 character of HTML. */
static void html_char(struct preview *p, struct slice utf8)
{
    uint8_t c = utf8.data[0];
    switch ((enum html_state)p->html_state) {
    case HTML_TEXT:
        html_text(p, utf8);
        break;
    case HTML_TAG_NAME:
        html_tag_name(p, c);
        break;
    case HTML_TAG:
        if (c == '>')
            p->html_state = HTML_TEXT;
        break;
    case HTML_COMMENT: /* tag_len counts hyphens */
        if (c == '>' && p->tag_len >= 2)
            p->html_state = HTML_TEXT;
        p->tag_len = c == '-' ? p->tag_len + 1 : 0;
        break;
    case HTML_ENTITY:
        if ((ascii_is_alnum(c) || c == '#') && p->tag_len < PREVIEW_TAG_MAX) {
            p->tag[p->tag_len++] = (char)c;
            break;
        }
        p->html_state = HTML_TEXT;
        end_entity(p, c);
        if (c != ';')
            html_text(p, utf8);
        break;
    }
}

static void take_char(struct preview *p, struct slice utf8)
{
    if (p->html)
        html_char(p, utf8);
    else
        add_char(p, utf8);
}

static void take_latin1(struct preview *p, uint8_t c)
{
    uint32_t code = c >= 0x80 && c < 0xa0 ? windows_1252[c - 0x80] : c;
    uint8_t utf8[3] = { c };
    if (code < 0x80) {
        take_char(p, slice_of(utf8, 1));
    } else if (!p->html || (p->html_state == HTML_TEXT && p->skipping == SKIP_NOTHING)) {
        add_code(p, code == 0xa0 ? ' ' : code);
    }
}

static size_t utf8_len(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first < 0xe0)
        return 2;
    if (first >= 0xe0 && first < 0xf0)
        return 3;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* Second bytes that would make a long form, a surrogate or a code beyond U+10FFFF (RFC 3629 4). */
static bool is_second_ok(uint8_t first, uint8_t second)
{
    return !((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
             (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f));
}

/* Bytes that are no UTF-8 are passed over. */
static void take_utf8(struct preview *p, uint8_t c)
{
    if (p->pending_len > 0) {
        bool follows = (c & 0xc0) == 0x80 && (p->pending_len > 1 || is_second_ok(p->pending[0], c));
        if (follows) {
            p->pending[p->pending_len++] = c;
            if (p->pending_len == utf8_len(p->pending[0])) {
                p->pending_len = 0;
                take_char(p, slice_of(p->pending, utf8_len(p->pending[0])));
            }
            return;
        }
        p->pending_len = 0;
    }
    size_t len = utf8_len(c);
    if (len == 1) {
        take_char(p, slice_of(&c, 1));
    } else if (len > 1) {
        p->pending[0] = c;
        p->pending_len = 1;
    }
}

bool preview_push(struct preview *p, struct slice bytes)
{
    while (bytes.len > 0 && p->chars < PREVIEW_CHARS_MAX && p->input < PREVIEW_INPUT_MAX) {
        struct slice piece = slice_sub(bytes, 0, DECODE_PIECE);
        bytes = slice_sub(bytes, piece.len, bytes.len);
        p->input += piece.len;
        buf_clear(&p->decoded);
        decoder_push(&p->decoder, piece, &p->decoded);
        for (size_t i = 0; i < p->decoded.len && p->chars < PREVIEW_CHARS_MAX; i++) {
            if (p->latin1)
                take_latin1(p, p->decoded.data[i]);
            else
                take_utf8(p, p->decoded.data[i]);
        }
    }
    return p->chars < PREVIEW_CHARS_MAX && p->input < PREVIEW_INPUT_MAX;
}
