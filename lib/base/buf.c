/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

enum { BUF_CAP_MIN = 64 };

void buf_fini(struct buf *b)
{
    free(b->data);
    *b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

uint8_t *buf_reserve(struct buf *b, size_t len)
{
    assert(len <= SIZE_MAX - b->len);
    size_t need = b->len + len;
    if (need > b->cap) {
        size_t cap = b->cap < BUF_CAP_MIN ? BUF_CAP_MIN : b->cap;
        while (cap < need)
            cap += cap / 2 + 1;
        b->data = xrealloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(b, len), data, len);
    b->len += len;
}

void buf_add_slice(struct buf *b, struct slice s)
{
    buf_add(b, s.data, s.len);
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_byte(struct buf *b, uint8_t byte)
{
    *buf_reserve(b, 1) = byte;
    b->len++;
}

static void add_big_endian(struct buf *b, uint64_t value, unsigned len)
{
    uint8_t *at = buf_reserve(b, len);
    for (unsigned i = 0; i < len; i++)
        at[i] = (uint8_t)(value >> 8 * (len - 1 - i));
    b->len += len;
}

void buf_add_be16(struct buf *b, uint16_t value)
{
    add_big_endian(b, value, 2);
}

void buf_add_be32(struct buf *b, uint32_t value)
{
    add_big_endian(b, value, 4);
}

void buf_add_be64(struct buf *b, uint64_t value)
{
    add_big_endian(b, value, 8);
}

void buf_add_varint(struct buf *b, uint64_t value)
{
    uint8_t *at = buf_reserve(b, 10);
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        at[n++] = (uint8_t)(value | 0x80);
    at[n++] = (uint8_t)value;
    b->len += n;
}

void buf_add_varbytes(struct buf *b, struct slice s)
{
    buf_add_varint(b, s.len);
    buf_add_slice(b, s);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    assert(len >= 0);
    vsnprintf((char *)buf_reserve(b, (size_t)len + 1), (size_t)len + 1, fmt, again);
    va_end(again);
    b->len += (size_t)len;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void buf_consume(struct buf *b, size_t len)
{
    if (len >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

const char *buf_cstr(struct buf *b)
{
    *buf_reserve(b, 1) = '\0';
    return (const char *)b->data;
}

uint8_t *buf_detach(struct buf *b, size_t *len_out)
{
    uint8_t *data = b->data;
    *len_out = b->len;
    *b = (struct buf){ 0 };
    return data;
}
