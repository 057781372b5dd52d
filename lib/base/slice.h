/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes, and a cursor that reads one. Slices never own and need no terminator. */
#ifndef LIB_BASE_SLICE_H
#define LIB_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

#define SLICE_NULL     ((struct slice){ NULL, 0 })
#define SLICE_LIT(lit) ((struct slice){ (const uint8_t *)("" lit), sizeof(lit) - 1 })
/* For printf's "%.*s". */
#define SLICE_FMT(s) (int)(s).len, (const char *)(s).data

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){ data, len };
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){ (const uint8_t *)s, s == NULL ? 0 : strlen(s) };
}

/* Bytes [from, to), both clamped to the slice. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct slice){ from == 0 ? s.data : s.data + from, to - from }; /* NULL + 0 is undefined */
}

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_str(struct slice a, const char *b);
bool slice_eq_nocase(struct slice a, struct slice b); /* ASCII case only */
bool slice_eq_nocase_str(struct slice a, const char *b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, const char *prefix);
int slice_cmp(struct slice a, struct slice b); /* memcmp order, shorter first */
/* Index of the first `c`, or -1. */
ptrdiff_t slice_find(struct slice s, uint8_t c);
/* Without leading and trailing SP, TAB, CR, LF. */
struct slice slice_trim(struct slice s);
/* A decimal number of digits only, at most `max`; false otherwise (also on an empty slice). */
bool slice_parse_u64(struct slice s, uint64_t max, uint64_t *out);
/* A NUL-terminated copy on the heap; the caller frees it. */
char *slice_dup(struct slice s);

/* A cursor over a slice for binary decoding. Every get_* checks the length first: on shortage it sets
 * `bad`, consumes nothing and returns zero, so a decoder may read all fields and check `bad` once. */
struct cursor {
    struct slice rest;
    bool bad;
};

static inline struct cursor cursor_of(struct slice s)
{
    return (struct cursor){ s, false };
}

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint64_t cursor_varint(struct cursor *c); /* LEB128, at most 10 bytes */
struct slice cursor_bytes(struct cursor *c, size_t len);
struct slice cursor_varbytes(struct cursor *c); /* varint length, then the bytes */
/* True if everything was read without shortage and nothing is left. */
bool cursor_done(const struct cursor *c);

#endif
