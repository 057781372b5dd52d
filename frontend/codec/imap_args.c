/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/codec/imap_args.h"

#include "lib/base/ascii.h"
#include "lib/mail/mailbox_name.h"
#include "lib/mail/utf7.h"
#include "lib/mail/utf8.h"

enum { EXPLAIN_CONTEXT = 24 /* octets of the client's text shown in an explanation */ };

struct imap_args imap_args_of(struct slice text, struct arena *arena, bool utf8)
{
    return (struct imap_args){ .text = text, .arena = arena, .utf8 = utf8, .expected = "" };
}

void imap_args_explain(const struct imap_args *a, struct buf *out)
{
    buf_addf(out, "Expected %s", a->expected);
    if (a->failed_at >= a->text.len) {
        buf_add_str(out, " at the end");
        return;
    }
    buf_add_str(out, " at \"");
    for (size_t i = a->failed_at; i < a->text.len && i < a->failed_at + EXPLAIN_CONTEXT; i++) {
        uint8_t c = a->text.data[i];
        buf_add_byte(out, c < 0x20 || c > 0x7e ? '?' : c);
    }
    buf_add_byte(out, '"');
}

enum err imap_args_fail(struct imap_args *a, const char *expected)
{
    a->expected = expected;
    a->failed_at = a->at;
    return ERR_SYNTAX;
}

/* Fail with the position where something that was read and then refused began. */
static enum err fail_at(struct imap_args *a, size_t at, const char *expected)
{
    a->at = at;
    return imap_args_fail(a, expected);
}

bool imap_args_at_end(const struct imap_args *a)
{
    return a->at >= a->text.len;
}

uint8_t imap_args_peek(const struct imap_args *a)
{
    return imap_args_at_end(a) ? 0 : a->text.data[a->at];
}

static struct slice rest_of(const struct imap_args *a)
{
    return slice_sub(a->text, a->at, a->text.len);
}

bool imap_args_skip(struct imap_args *a, char c)
{
    if (imap_args_at_end(a) || a->text.data[a->at] != (uint8_t)c)
        return false;
    a->at++;
    return true;
}

/* ATOM-CHAR of RFC 9051: no atom-specials, which are "(" ")" "{" SP CTL "%" "*" DQUOTE "\" "]". */
static bool is_atom_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

bool imap_args_skip_word(struct imap_args *a, const char *word)
{
    size_t len = strlen(word);
    struct slice rest = rest_of(a);
    if (!slice_starts_nocase(rest, word))
        return false;
    /* "ALL" is not the start of "ALLOW"; '[' and '<' may follow a word of FETCH. */
    if (rest.len > len && is_atom_char(rest.data[len]) && rest.data[len] != '[' && rest.data[len] != '<')
        return false;
    a->at += len;
    return true;
}

enum err imap_args_end(struct imap_args *a)
{
    return imap_args_at_end(a) ? OK : imap_args_fail(a, "the end of the command");
}

enum err imap_args_char(struct imap_args *a, char c, const char *expected)
{
    return imap_args_skip(a, c) ? OK : imap_args_fail(a, expected);
}

enum err imap_args_space(struct imap_args *a)
{
    return imap_args_char(a, ' ', "a space");
}

typedef bool char_class(uint8_t c);

static struct slice take_while(struct imap_args *a, char_class *in_class)
{
    size_t from = a->at;
    while (a->at < a->text.len && in_class(a->text.data[a->at]))
        a->at++;
    return slice_sub(a->text, from, a->at);
}

enum err imap_args_atom(struct imap_args *a, const char *expected, struct slice *out)
{
    struct slice atom = take_while(a, is_atom_char);
    if (atom.len == 0)
        return imap_args_fail(a, expected);
    *out = atom;
    return OK;
}

/* Without the backslashes, in the arena. */
static struct slice unescape(struct slice quoted, struct arena *arena)
{
    uint8_t *content = arena_alloc(arena, quoted.len);
    size_t len = 0;
    for (size_t i = 0; i < quoted.len; i++) {
        if (quoted.data[i] == '\\')
            i++; /* read_quoted has seen that an octet follows */
        content[len++] = quoted.data[i];
    }
    return slice_of(content, len);
}

/* '"' has been seen. Octets above 127 are let through here; whoever needs UTF-8 checks it. */
static enum err read_quoted(struct imap_args *a, const char *expected, struct slice *out)
{
    size_t start = a->at++;
    bool escapes = false;
    for (; a->at < a->text.len; a->at++) {
        uint8_t c = a->text.data[a->at];
        if (c == '"') {
            struct slice inner = slice_sub(a->text, start + 1, a->at++);
            *out = escapes ? unescape(inner, a->arena) : inner;
            return OK;
        }
        if (c == '\\') {
            escapes = true;
            a->at++;
            c = imap_args_peek(a);
            if (c != '"' && c != '\\')
                break;
        }
        if (c == '\r' || c == '\n' || c == 0)
            break;
    }
    return fail_at(a, start, expected);
}

/* '{' has been seen: "{n}" or "{n+}", CRLF, n octets. The parser has made sure that they are there. */
static enum err read_literal(struct imap_args *a, const char *expected, struct slice *out)
{
    size_t start = a->at++;
    uint64_t size;
    size_t from = a->at;
    while (ascii_is_digit(imap_args_peek(a)))
        a->at++;
    if (!slice_parse_u64(slice_sub(a->text, from, a->at), SIZE_MAX, &size))
        return fail_at(a, start, expected);
    imap_args_skip(a, '+');
    struct slice rest = rest_of(a);
    if (!slice_starts(rest, SLICE_LIT("}\r\n")) || rest.len - 3 < size)
        return fail_at(a, start, expected);
    *out = slice_sub(rest, 3, 3 + (size_t)size);
    a->at += 3 + (size_t)size;
    return OK;
}

enum err imap_args_string(struct imap_args *a, const char *expected, struct slice *out)
{
    switch (imap_args_peek(a)) {
    case '"':
        return read_quoted(a, expected, out);
    case '{':
        return read_literal(a, expected, out);
    default:
        return imap_args_fail(a, expected);
    }
}

static bool is_astring_char(uint8_t c)
{
    return is_atom_char(c) || c == ']';
}

enum err imap_args_astring(struct imap_args *a, const char *expected, struct slice *out)
{
    uint8_t c = imap_args_peek(a);
    if (c == '"' || c == '{')
        return imap_args_string(a, expected, out);
    struct slice atom = take_while(a, is_astring_char);
    if (atom.len == 0)
        return imap_args_fail(a, expected);
    *out = atom;
    return OK;
}

enum err imap_args_nstring(struct imap_args *a, const char *expected, struct slice *out)
{
    if (imap_args_skip_word(a, "NIL")) {
        *out = SLICE_NULL;
        return OK;
    }
    TRY(imap_args_string(a, expected, out));
    if (out->len == 0)
        *out = SLICE_LIT(""); /* empty, but not NIL */
    return OK;
}

enum err imap_args_number(struct imap_args *a, uint64_t max, const char *expected, uint64_t *out)
{
    size_t from = a->at;
    while (ascii_is_digit(imap_args_peek(a)))
        a->at++;
    if (!slice_parse_u64(slice_sub(a->text, from, a->at), max, out))
        return fail_at(a, from, expected);
    return OK;
}

/* The UTF-8 of a mailbox name or pattern as this client writes them. */
static enum err decode_name(struct imap_args *a, struct slice written, struct slice *out)
{
    if (a->utf8 || (utf8_is_ascii(written) && slice_find(written, '&') < 0)) {
        *out = written;
        return OK;
    }
    struct buf utf8 = { 0 };
    enum err err = utf7_decode(written, &utf8);
    if (err == OK)
        *out = arena_slice(a->arena, buf_slice(&utf8));
    buf_fini(&utf8);
    return err;
}

static enum err normalise(struct imap_args *a, size_t from, struct slice utf8, struct slice *out)
{
    switch (mailbox_name_normalise(utf8, a->arena, out)) {
    case OK:
        return OK;
    case ERR_TOO_BIG:
        return fail_at(a, from, "a shorter mailbox name");
    default:
        return fail_at(a, from, "a valid mailbox name");
    }
}

static enum err read_name(struct imap_args *a, struct slice *utf8_out)
{
    size_t from = a->at;
    struct slice written;
    TRY(imap_args_astring(a, "a mailbox name", &written));
    if (decode_name(a, written, utf8_out) != OK)
        return fail_at(a, from, "a mailbox name in modified UTF-7");
    return OK;
}

enum err imap_args_mailbox(struct imap_args *a, struct slice *out)
{
    size_t from = a->at;
    struct slice utf8;
    TRY(read_name(a, &utf8));
    return normalise(a, from, utf8, out);
}

enum err imap_args_new_mailbox(struct imap_args *a, struct slice *out, bool *is_parent_out)
{
    size_t from = a->at;
    struct slice utf8;
    TRY(read_name(a, &utf8));
    *is_parent_out = utf8.len > 1 && utf8.data[utf8.len - 1] == MAILBOX_SEPARATOR;
    if (*is_parent_out)
        utf8.len--;
    return normalise(a, from, utf8, out);
}

/* list-char = ATOM-CHAR / list-wildcards / resp-specials */
static bool is_list_char(uint8_t c)
{
    return is_astring_char(c) || c == '%' || c == '*';
}

enum err imap_args_pattern(struct imap_args *a, struct slice *out)
{
    size_t from = a->at;
    struct slice written, utf8;
    uint8_t c = imap_args_peek(a);
    if (c == '"' || c == '{') {
        TRY(imap_args_string(a, "a mailbox pattern", &written));
    } else {
        written = take_while(a, is_list_char);
        if (written.len == 0)
            return imap_args_fail(a, "a mailbox pattern");
    }
    if (decode_name(a, written, &utf8) != OK)
        return fail_at(a, from, "a mailbox pattern in modified UTF-7");
    if (mailbox_pattern_normalise(utf8, a->arena, out) != OK)
        return fail_at(a, from, "a valid mailbox pattern");
    return OK;
}

static bool is_set_char(uint8_t c)
{
    return ascii_is_digit(c) || c == '*' || c == ':' || c == ',';
}

enum err imap_args_seqset(struct imap_args *a, struct seqset *out)
{
    size_t from = a->at;
    struct slice text = take_while(a, is_set_char);
    if (seqset_parse(text, a->arena, out) != OK)
        return fail_at(a, from, "a sequence set");
    return OK;
}

enum err imap_args_date_time(struct imap_args *a, struct mail_date *out)
{
    size_t from = a->at;
    struct slice text;
    if (imap_args_peek(a) != '"')
        return imap_args_fail(a, "a quoted date and time");
    TRY(imap_args_string(a, "a quoted date and time", &text));
    if (date_parse_imap(text, out) != OK)
        return fail_at(a, from, "a date and time like \"17-Jul-1996 02:44:25 -0700\"");
    return OK;
}

enum err imap_args_day(struct imap_args *a, int32_t *day_out)
{
    size_t from = a->at;
    struct slice text;
    TRY(imap_args_astring(a, "a date", &text));
    if (date_parse_day(text, day_out) != OK)
        return fail_at(a, from, "a date like 1-Feb-1994");
    return OK;
}
