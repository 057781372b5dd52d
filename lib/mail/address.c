/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/address.h"

#include <arpa/inet.h>
#include <idn2.h>

#include "lib/base/ascii.h"
#include "lib/mail/utf8.h"

enum { DOMAIN_LABEL_MAX = 63, SUBADDRESS_SEPARATOR = '+' };

/* RFC 5322 atext, and above 127 the UTF-8 of RFC 6531 (its validity is checked apart). */
static bool is_atext(uint8_t c)
{
    return c > 0x7f || ascii_is_alnum(c) || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_dot_string(struct slice s)
{
    bool after_dot = true;
    for (size_t i = 0; i < s.len; i++) {
        bool dot = s.data[i] == '.';
        if (dot ? after_dot : !is_atext(s.data[i]))
            return false;
        after_dot = dot;
    }
    return !after_dot;
}

/* C1 controls: valid UTF-8, but no letters of an address. */
static bool has_c1(struct slice s)
{
    for (size_t i = 0; i + 1 < s.len; i++) {
        if (s.data[i] == 0xc2 && s.data[i + 1] < 0xa0)
            return true;
    }
    return false;
}

/* The quoted string (RFC 5321 4.1.2) at the start of `text` without its quotes and backslashes; *len_out
 * octets of `text`. */
static enum err unquote(struct slice text, struct arena *arena, struct slice *out, size_t *len_out)
{
    uint8_t *content = arena_alloc(arena, text.len);
    size_t len = 0;
    for (size_t at = 1; at < text.len; at++) {
        uint8_t c = text.data[at];
        if (c == '"') {
            *out = slice_of(content, len);
            *len_out = at + 1;
            return len > 0 ? OK : ERR_SYNTAX;
        }
        if (c == '\\' && ++at < text.len)
            c = text.data[at];
        if (at == text.len || c < 0x20 || c == 0x7f)
            return ERR_SYNTAX;
        content[len++] = c;
    }
    return ERR_SYNTAX; /* never closed */
}

/* The local part at the start of `text`, unquoted; *len_out octets of it, up to '@'. */
static enum err read_local(struct slice text, struct arena *arena, struct slice *out, size_t *len_out)
{
    if (text.len > 0 && text.data[0] == '"') {
        TRY(unquote(text, arena, out, len_out));
    } else {
        ptrdiff_t at = slice_find(text, '@');
        *len_out = at < 0 ? 0 : (size_t)at;
        *out = slice_sub(text, 0, *len_out);
        if (!is_dot_string(*out))
            return ERR_SYNTAX;
    }
    if (*len_out > ADDRESS_LOCAL_MAX)
        return ERR_TOO_BIG;
    return has_c1(*out) ? ERR_SYNTAX : OK;
}

/* Where the tag's '+' is: the first that is not the first octet; s.len if there is none. */
static size_t find_separator(struct slice s)
{
    ptrdiff_t at = s.len == 0 ? -1 : slice_find(slice_sub(s, 1, s.len), SUBADDRESS_SEPARATOR);
    return at < 0 ? s.len : (size_t)at + 1;
}

/* Labels of letters, digits and inner hyphens (RFC 5321 Domain). */
static enum err check_domain(struct slice domain)
{
    size_t label = 0;
    for (size_t i = 0; i <= domain.len; i++) {
        uint8_t c = i < domain.len ? domain.data[i] : '.';
        if (c == '.') {
            if (label == 0 || domain.data[i - 1] == '-')
                return ERR_SYNTAX;
            if (label > DOMAIN_LABEL_MAX)
                return ERR_TOO_BIG;
            label = 0;
        } else if (!ascii_is_alnum(c) && (c != '-' || label == 0)) {
            return ERR_SYNTAX;
        } else {
            label++;
        }
    }
    return domain.len > ADDRESS_DOMAIN_MAX ? ERR_TOO_BIG : OK;
}

static enum err to_ascii(struct slice text, struct arena *arena, struct slice *out)
{
    if (!utf8_is_valid(text) || memchr(text.data, 0, text.len) != NULL)
        return ERR_SYNTAX;
    uint8_t *made = NULL;
    int rc = idn2_lookup_u8((const uint8_t *)arena_strdup(arena, text), &made,
                            IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc == IDN2_TOO_BIG_DOMAIN || rc == IDN2_TOO_BIG_LABEL)
        return ERR_TOO_BIG;
    if (rc != IDN2_OK)
        return ERR_SYNTAX;
    *out = arena_slice(arena, slice_str((const char *)made));
    idn2_free(made);
    return OK;
}

enum err address_parse_domain(struct slice text, struct arena *arena, struct slice *domain_out)
{
    struct slice domain = text;
    if (text.len == 0)
        return ERR_SYNTAX;
    if (text.len > ADDRESS_DOMAIN_MAX)
        return ERR_TOO_BIG;
    if (!utf8_is_ascii(text))
        TRY(to_ascii(text, arena, &domain));
    TRY(check_domain(domain));
    return utf8_casefold(domain, arena, domain_out);
}

static enum err parse_ipv6(struct slice text, struct arena *arena, struct slice *out)
{
    struct in6_addr ip;
    char normal[INET6_ADDRSTRLEN];
    if (memchr(text.data, 0, text.len) != NULL || inet_pton(AF_INET6, arena_strdup(arena, text), &ip) != 1)
        return ERR_SYNTAX;
    if (inet_ntop(AF_INET6, &ip, normal, sizeof normal) == NULL)
        return ERR_SYNTAX;
    *out = slice_str(arena_printf(arena, "[ipv6:%s]", normal));
    return OK;
}

/* RFC 5321 4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]", "[tag:anything printable]". */
static enum err parse_literal(struct slice text, struct arena *arena, struct slice *out)
{
    struct in_addr ip;
    if (text.len > ADDRESS_DOMAIN_MAX)
        return ERR_TOO_BIG;
    if (text.len < 3 || text.data[text.len - 1] != ']')
        return ERR_SYNTAX;
    struct slice inner = slice_sub(text, 1, text.len - 1);
    for (size_t i = 0; i < inner.len; i++) {
        uint8_t c = inner.data[i];
        if (c < 33 || c > 126 || c == '[' || c == '\\' || c == ']')
            return ERR_SYNTAX;
    }
    if (slice_starts_nocase(inner, "IPv6:"))
        return parse_ipv6(slice_sub(inner, 5, inner.len), arena, out);
    ptrdiff_t colon = slice_find(inner, ':');
    bool tagged = colon > 0 && (size_t)colon + 1 < inner.len;
    if (tagged)
        TRY(check_domain(slice_sub(inner, 0, (size_t)colon)));
    else if (inet_pton(AF_INET, arena_strdup(arena, inner), &ip) != 1)
        return ERR_SYNTAX;
    return utf8_casefold(text, arena, out);
}

/* The local part as it must be written: quoted unless it is a dot-string. */
static struct slice quote(struct slice local, struct arena *arena)
{
    if (is_dot_string(local))
        return local;
    uint8_t *quoted = arena_alloc(arena, local.len * 2 + 2);
    size_t len = 0;
    quoted[len++] = '"';
    for (size_t i = 0; i < local.len; i++) {
        if (local.data[i] == '"' || local.data[i] == '\\')
            quoted[len++] = '\\';
        quoted[len++] = local.data[i];
    }
    quoted[len++] = '"';
    return slice_of(quoted, len);
}

/* Join local part and domain. The canonical form is itself an address within the bounds. */
static enum err make_canonical(struct address *a, struct arena *arena)
{
    struct slice local = quote(a->local, arena);
    size_t len = local.len + 1 + a->domain.len;
    if (local.len > ADDRESS_LOCAL_MAX || len > ADDRESS_CANONICAL_MAX)
        return ERR_TOO_BIG;
    uint8_t *joined = arena_alloc(arena, len);
    memcpy(joined, local.data, local.len);
    joined[local.len] = '@';
    memcpy(joined + local.len + 1, a->domain.data, a->domain.len);
    a->canonical = slice_of(joined, len);
    return OK;
}

enum err address_parse(struct slice text, struct arena *arena, struct address *out)
{
    struct address a = { .is_utf8 = !utf8_is_ascii(text) };
    struct slice local, normal;
    size_t local_len;
    if (text.len > ADDRESS_MAX)
        return ERR_TOO_BIG;
    TRY(read_local(text, arena, &local, &local_len));
    if (local_len == text.len || text.data[local_len] != '@')
        return ERR_SYNTAX;
    TRY(utf8_nfc(local, arena, &normal));
    size_t separator = find_separator(normal);
    if (separator < normal.len)
        a.tag = arena_slice(arena, slice_sub(normal, separator + 1, normal.len));
    TRY(utf8_casefold(slice_sub(normal, 0, separator), arena, &a.local));

    struct slice domain = slice_sub(text, local_len + 1, text.len);
    a.is_literal = domain.len > 0 && domain.data[0] == '[';
    if (a.is_literal)
        TRY(parse_literal(domain, arena, &a.domain));
    else
        TRY(address_parse_domain(domain, arena, &a.domain));
    TRY(make_canonical(&a, arena));
    *out = a;
    return OK;
}
