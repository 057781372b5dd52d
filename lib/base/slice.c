/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/slice.h"

#include "lib/base/alloc.h"
#include "lib/base/ascii.h"

bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool slice_eq_str(struct slice a, const char *b)
{
    return slice_eq(a, slice_str(b));
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
            return false;
    }
    return true;
}

bool slice_eq_nocase_str(struct slice a, const char *b)
{
    return slice_eq_nocase(a, slice_str(b));
}

bool slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_sub(s, 0, prefix.len), prefix);
}

bool slice_starts_nocase(struct slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && slice_eq_nocase_str(slice_sub(s, 0, len), prefix);
}

int slice_cmp(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

ptrdiff_t slice_find(struct slice s, uint8_t c)
{
    const uint8_t *at = s.len == 0 ? NULL : memchr(s.data, c, s.len);
    return at == NULL ? -1 : at - s.data;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = slice_sub(s, 1, s.len);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool slice_parse_u64(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_digit(s.data[i]))
            return false;
        unsigned digit = s.data[i] - '0';
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *out = value;
    return true;
}

char *slice_dup(struct slice s)
{
    char *copy = xmalloc(s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct slice cursor_bytes(struct cursor *c, size_t len)
{
    if (c->bad || c->rest.len < len) {
        c->bad = true;
        return SLICE_NULL;
    }
    struct slice got = slice_sub(c->rest, 0, len);
    c->rest = slice_sub(c->rest, len, c->rest.len);
    return got;
}

static uint64_t big_endian(struct cursor *c, size_t len)
{
    struct slice bytes = cursor_bytes(c, len);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | bytes.data[i];
    return value;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)big_endian(c, 1);
}

uint16_t cursor_be16(struct cursor *c)
{
    return (uint16_t)big_endian(c, 2);
}

uint32_t cursor_be32(struct cursor *c)
{
    return (uint32_t)big_endian(c, 4);
}

uint64_t cursor_be64(struct cursor *c)
{
    return big_endian(c, 8);
}

/* Rows of a FETCH are made of these: the bytes are looked at in place. */
uint64_t cursor_varint(struct cursor *c)
{
    uint64_t value = 0;
    unsigned shift = 0;

    for (size_t i = 0; !c->bad && i < c->rest.len && shift < 64; i++, shift += 7) {
        uint8_t byte = c->rest.data[i];

        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            c->rest.data += i + 1;
            c->rest.len -= i + 1;
            return value;
        }
    }
    c->bad = true;
    return 0;
}

struct slice cursor_varbytes(struct cursor *c)
{
    uint64_t len = cursor_varint(c);
    if (len > c->rest.len) {
        c->bad = true;
        return SLICE_NULL;
    }
    return cursor_bytes(c, len);
}

bool cursor_done(const struct cursor *c)
{
    return !c->bad && c->rest.len == 0;
}
