/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/downgrade.h"

#include <openssl/evp.h>

#include "lib/base/ascii.h"
#include "lib/mail/addrlist.h"
#include "lib/mail/header.h"
#include "lib/mail/utf8.h"

enum {
    WORD_OCTETS_MAX = 36, /* in an encoded word: with "Resent-Reply-To: " before it a line is 77 long */
    WORD_BASE64_MAX = (WORD_OCTETS_MAX + 2) / 3 * 4,
};

/* RFC 6858 2.1: nobody can have it (RFC 2606 2). */
#define INVALID_ADDRESS "<invalid@internationalized-address.invalid>"

bool downgrade_is_international(struct slice block)
{
    return block.len <= DOWNGRADE_HEADER_MAX && !utf8_is_ascii(block) && utf8_is_valid(block);
}

/* --- encoded words (RFC 2047) --- */

/* Length of what fits into one encoded word and does not end in the middle of a character. */
static size_t word_len(struct slice text)
{
    size_t len = WORD_OCTETS_MAX;

    if (text.len <= len)
        return text.len;
    while (len > 1 && (text.data[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* Readers join neighbouring words without the blank between. */
static void put_encoded(struct buf *out, struct slice text)
{
    while (text.len > 0) {
        size_t len = word_len(text);
        uint8_t *at;

        buf_add_str(out, "=?UTF-8?B?");
        at = buf_reserve(out, WORD_BASE64_MAX + 1); /* it adds a NUL */
        out->len += (size_t)EVP_EncodeBlock(at, text.data, (int)len);
        buf_add_str(out, "?=");
        text = slice_sub(text, len, text.len);
        if (text.len > 0)
            buf_add_str(out, "\r\n ");
    }
}

/* --- addresses --- */

static bool is_atext(uint8_t c)
{
    return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Only atoms and `also` between them. */
static bool is_atoms(struct slice text, uint8_t also)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_atext(text.data[i]) && text.data[i] != also)
            return false;
    }
    return text.len > 0;
}

static void put_quoted(struct buf *out, struct slice text)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c == '"' || c == '\\')
            buf_add_byte(out, '\\');
        buf_add_byte(out, c < ' ' || c == 0x7f ? ' ' : c);
    }
    buf_add_byte(out, '"');
}

static void put_phrase(struct buf *out, struct slice name)
{
    if (!utf8_is_ascii(name))
        put_encoded(out, name);
    else if (is_atoms(name, ' '))
        buf_add_slice(out, name); /* encoded words stay what they are */
    else
        put_quoted(out, name);
}

/* Name and address in one display name. */
static void put_international(struct buf *out, const struct mail_addr *addr)
{
    struct buf text = { 0 };
    bool join = addr->name.len > 0 && !utf8_is_ascii(addr->name);

    if (addr->name.len > 0 && !join) {
        put_phrase(out, addr->name);
        buf_add_str(out, "\r\n ");
    }
    if (join) {
        buf_add_slice(&text, addr->name);
        buf_add_byte(&text, ' ');
    }
    if (addr->name.len > 0)
        buf_add_byte(&text, '<');
    buf_add_slice(&text, addr->mailbox);
    if (addr->host.len > 0)
        buf_add_byte(&text, '@');
    buf_add_slice(&text, addr->host);
    if (addr->name.len > 0)
        buf_add_byte(&text, '>');
    put_encoded(out, buf_slice(&text));
    buf_add_str(out, "\r\n " INVALID_ADDRESS);
    buf_fini(&text);
}

static void put_plain(struct buf *out, const struct mail_addr *addr)
{
    if (addr->name.len > 0) {
        put_phrase(out, addr->name);
        buf_add_str(out, utf8_is_ascii(addr->name) ? " " : "\r\n ");
    }
    buf_add_byte(out, '<');
    if (is_atoms(addr->mailbox, '.'))
        buf_add_slice(out, addr->mailbox);
    else if (addr->mailbox.len > 0 || addr->host.len > 0)
        put_quoted(out, addr->mailbox);
    if (addr->host.len > 0)
        buf_add_byte(out, '@');
    buf_add_slice(out, addr->host);
    buf_add_byte(out, '>');
}

static void put_address(struct buf *out, const struct mail_addr *addr)
{
    /* The route is obsolete and goes. */
    if (utf8_is_ascii(addr->mailbox) && utf8_is_ascii(addr->host))
        put_plain(out, addr);
    else
        put_international(out, addr);
}

static void put_addresses(struct buf *out, struct slice name, const struct addrlist *list)
{
    bool in_group = false, comma = false;

    buf_add_slice(out, name);
    buf_add_byte(out, ':');
    for (size_t i = 0; i < list->count; i++) {
        const struct mail_addr *addr = &list->items[i];

        if (addr->host.data == NULL && addr->mailbox.data == NULL) {
            buf_add_byte(out, ';');
            in_group = false;
            comma = true;
            continue;
        }
        buf_add_str(out, comma ? "," : "");
        buf_add_str(out, i > 0 ? "\r\n " : " ");
        comma = addr->host.data != NULL;
        if (comma) {
            put_address(out, addr);
        } else {
            put_phrase(out, addr->mailbox);
            buf_add_byte(out, ':');
            in_group = true;
        }
    }
    buf_add_str(out, in_group ? ";\r\n" : "\r\n");
}

static void downgrade_addresses(struct arena *arena, const struct header_field *field, struct buf *out)
{
    struct addrlist list = { 0 };

    addrlist_parse(arena, field->value, &list);
    if (list.count > 0)
        put_addresses(out, field->name, &list);
}

/* Its syntax has no room for a name (RFC 5322 3.6.7). */
static void downgrade_return_path(struct arena *arena, const struct header_field *field, struct buf *out)
{
    (void)arena;
    buf_add_slice(out, field->name);
    buf_add_str(out, ": " INVALID_ADDRESS "\r\n");
}

/* --- Subject --- */

static void downgrade_text(struct arena *arena, const struct header_field *field, struct buf *out)
{
    buf_add_slice(out, field->name);
    buf_add_str(out, ": ");
    put_encoded(out, header_unfold(arena, field->value));
    buf_add_str(out, "\r\n");
}

/* --- parameters --- */

/* Length up to the next ";" that is not in a quoted string or a comment. */
static size_t segment_len(struct slice value)
{
    bool quoted = false;
    size_t depth = 0, i;

    for (i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];

        if (c == '\\' && (quoted || depth > 0) && i + 1 < value.len)
            i++;
        else if (c == '"' && depth == 0)
            quoted = !quoted;
        else if (c == '(' && !quoted)
            depth++;
        else if (c == ')' && !quoted && depth > 0)
            depth--;
        else if (c == ';' && !quoted && depth == 0)
            break;
    }
    return i;
}

static void downgrade_params(struct arena *arena, const struct header_field *field, struct buf *out)
{
    struct slice rest = field->value;
    bool first = true;

    (void)arena;
    while (rest.len > 0) {
        size_t len = segment_len(rest);
        struct slice segment = slice_trim(slice_sub(rest, 0, len));

        rest = slice_sub(rest, len + 1, rest.len);
        if (!utf8_is_ascii(segment)) {
            if (first)
                return; /* the value itself cannot be shown */
            continue;
        }
        if (first) {
            buf_add_slice(out, field->name);
            buf_add_str(out, ": ");
        } else {
            buf_add_str(out, ";\r\n ");
        }
        buf_add_slice(out, segment);
        first = false;
    }
    buf_add_str(out, "\r\n");
}

/* --- the header --- */

static const struct {
    const char *name;
    void (*downgrade)(struct arena *arena, const struct header_field *field, struct buf *out);
} fields[] = {
    { "From", downgrade_addresses },
    { "To", downgrade_addresses },
    { "Cc", downgrade_addresses },
    { "Bcc", downgrade_addresses },
    { "Reply-To", downgrade_addresses },
    { "Sender", downgrade_addresses },
    { "Resent-From", downgrade_addresses },
    { "Resent-To", downgrade_addresses },
    { "Resent-Cc", downgrade_addresses },
    { "Resent-Bcc", downgrade_addresses },
    { "Resent-Sender", downgrade_addresses },
    { "Resent-Reply-To", downgrade_addresses },
    { "Return-Path", downgrade_return_path },
    { "Subject", downgrade_text },
    { "Content-Type", downgrade_params },
    { "Content-Disposition", downgrade_params },
};

static void downgrade_field(struct arena *arena, const struct header_field *field, struct buf *out)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (slice_eq_nocase_str(field->name, fields[i].name)) {
            fields[i].downgrade(arena, field, out);
            return;
        }
    }
    /* RFC 6858 2.4: silently excised */
}

void downgrade_header(struct slice block, struct buf *out)
{
    struct header_field field;
    struct arena arena = { 0 };

    while (header_next(&block, &field)) {
        if (!utf8_is_ascii(field.raw)) {
            downgrade_field(&arena, &field, out);
            arena_clear(&arena);
            continue;
        }
        buf_add_slice(out, field.raw);
        if (field.raw.data[field.raw.len - 1] != '\n')
            buf_add_str(out, "\r\n");
    }
    buf_add_str(out, "\r\n");
    arena_fini(&arena);
}
