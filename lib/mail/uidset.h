/* SPDX-License-Identifier: Apache-2.0 */
/* A set of UIDs (or of sequence numbers) as sorted ranges: used in sessions, on the wire and in storage. */
#ifndef LIB_MAIL_UIDSET_H
#define LIB_MAIL_UIDSET_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

/* Ranges that decoding and parsing accept: a mailbox of 2 million messages with every second one gone. */
enum { UIDSET_RANGES_MAX = 1 << 20 };

struct uid_range {
    uint32_t first;
    uint32_t last; /* inclusive, never below first */
};

/* Ranges ascend and neither overlap nor touch; 0 is never a member. Zero-initialised is empty. Owns its
 * ranges, unless `cap` is 0: then they are borrowed (an arena's) and are copied before the first change. */
struct uidset {
    struct uid_range *ranges;
    uint32_t count; /* of ranges */
    uint32_t cap;
};

void uidset_fini(struct uidset *s);  /* frees; empty afterwards */
void uidset_clear(struct uidset *s); /* empties, keeps the memory */
/* Appending in ascending order costs O(1); elsewhere O(ranges). first is at least 1 and at most last. */
void uidset_add(struct uidset *s, uint32_t uid);
void uidset_add_range(struct uidset *s, uint32_t first, uint32_t last);
void uidset_add_set(struct uidset *s, const struct uidset *other);
void uidset_remove(struct uidset *s, uint32_t uid);
void uidset_remove_range(struct uidset *s, uint32_t first, uint32_t last);
bool uidset_contains(const struct uidset *s, uint32_t uid); /* O(log ranges) */
bool uidset_is_empty(const struct uidset *s);
uint64_t uidset_count(const struct uidset *s); /* members */
uint32_t uidset_min(const struct uidset *s);   /* 0 if empty */
uint32_t uidset_max(const struct uidset *s);   /* 0 if empty */
/* The member at an index counted from 0 in ascending order, or 0 if there are fewer. O(ranges). */
uint32_t uidset_at(const struct uidset *s, uint64_t index);
bool uidset_eq(const struct uidset *a, const struct uidset *b);
/* *out (initialised; its content is replaced) = a and b, or a without b. out is neither of them. */
void uidset_intersect(const struct uidset *a, const struct uidset *b, struct uidset *out);
void uidset_subtract(const struct uidset *a, const struct uidset *b, struct uidset *out);
void uidset_copy(const struct uidset *s, struct uidset *out); /* replaces *out's content */
struct uidset uidset_in_arena(const struct uidset *s, struct arena *arena);

/* Members in ascending order: struct uidset_iter it = uidset_iter(s); while (uidset_next(&it, &uid)) ...
 * The set must not change meanwhile. */
struct uidset_iter {
    const struct uidset *set;
    uint32_t range;
    uint32_t next; /* 0: start the range */
};
static inline struct uidset_iter uidset_iter(const struct uidset *s)
{
    return (struct uidset_iter){ s, 0, 0 };
}
bool uidset_next(struct uidset_iter *it, uint32_t *uid_out);

/* "1:3,5"; nothing for an empty set. */
void uidset_format(const struct uidset *s, struct buf *out);
/* The text form back: numbers and ranges only (no '*'), any order. Returns ERR_SYNTAX or ERR_TOO_BIG. *out
 * was initialised and is replaced. */
MUST_CHECK enum err uidset_parse(struct slice text, struct uidset *out);

/* Wire form: a varint range count, then for each range the varint gap from the end of the one before and the
 * varint length less one. Decoding reads one set from the cursor and replaces *out; ERR_CORRUPT if it is no
 * valid set, ERR_TOO_BIG beyond UIDSET_RANGES_MAX. */
void uidset_encode(const struct uidset *s, struct buf *out);
MUST_CHECK enum err uidset_decode(struct cursor *c, struct uidset *out);

#endif
