/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that owns its memory. Zero-initialised is empty; no allocation until first use.
 * It does not bound itself: whoever fills it from outside checks a named limit first. */
#ifndef LIB_BASE_BUF_H
#define LIB_BASE_BUF_H

#include <stdarg.h>

#include "lib/base/slice.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

void buf_fini(struct buf *b);  /* frees the memory; the buffer is empty and usable again */
void buf_clear(struct buf *b); /* empties, keeps the memory */
/* Room for at least `len` more bytes at data + buf->len; the caller adds what it wrote to buf->len. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_slice(struct buf *b, struct slice s);
void buf_add_str(struct buf *b, const char *s);
void buf_add_byte(struct buf *b, uint8_t byte);
void buf_add_be16(struct buf *b, uint16_t value);
void buf_add_be32(struct buf *b, uint32_t value);
void buf_add_be64(struct buf *b, uint64_t value);
void buf_add_varint(struct buf *b, uint64_t value); /* LEB128 */
void buf_add_varbytes(struct buf *b, struct slice s);
void buf_add_u64(struct buf *b, uint64_t value); /* decimal digits */
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drop `len` bytes (at most all) at the front. */
void buf_consume(struct buf *b, size_t len);
struct slice buf_slice(const struct buf *b);
/* The content as a C string (a NUL is written behind it, not counted); valid until the next change. */
const char *buf_cstr(struct buf *b);
/* Hand the memory to the caller, who frees it; the buffer is empty afterwards. */
uint8_t *buf_detach(struct buf *b, size_t *len_out);

#endif
