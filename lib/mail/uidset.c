/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/uidset.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

enum { UIDSET_CAP_MIN = 4 };

void uidset_fini(struct uidset *s)
{
    if (s->cap > 0)
        free(s->ranges);
    *s = (struct uidset){ 0 };
}

void uidset_clear(struct uidset *s)
{
    if (s->cap == 0)
        s->ranges = NULL;
    s->count = 0;
}

/* Own the ranges and have room for one more. */
static void make_room(struct uidset *s)
{
    if (s->cap > s->count)
        return;
    uint32_t cap = s->count < UIDSET_CAP_MIN ? UIDSET_CAP_MIN : s->count + s->count / 2 + 1;
    if (s->cap == 0) {
        struct uid_range *owned = NEW_ARRAY(struct uid_range, cap);
        if (s->count > 0)
            memcpy(owned, s->ranges, s->count * sizeof *owned);
        s->ranges = owned;
    } else {
        s->ranges = xrealloc(s->ranges, (size_t)cap * sizeof *s->ranges);
    }
    s->cap = cap;
}

static void push_range(struct uidset *s, uint32_t first, uint32_t last)
{
    make_room(s);
    s->ranges[s->count++] = (struct uid_range){ first, last };
}

/* The index of the first range whose end is at least `uid`, or count. */
static uint32_t find_from(const struct uidset *s, uint32_t uid)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->ranges[mid].last < uid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Put `fresh` ranges in place of `old` ones at `at`. */
static void splice(struct uidset *s, uint32_t at, uint32_t old, const struct uid_range *fresh,
                   uint32_t fresh_count)
{
    assert(fresh_count <= old + 1);
    make_room(s);
    memmove(s->ranges + at + fresh_count, s->ranges + at + old, (s->count - at - old) * sizeof *s->ranges);
    if (fresh_count > 0)
        memcpy(s->ranges + at, fresh, fresh_count * sizeof *fresh);
    s->count = s->count - old + fresh_count;
}

void uidset_add(struct uidset *s, uint32_t uid)
{
    uidset_add_range(s, uid, uid);
}

void uidset_add_range(struct uidset *s, uint32_t first, uint32_t last)
{
    assert(first >= 1 && first <= last);
    if (s->count == 0 || (uint64_t)s->ranges[s->count - 1].last + 1 < first) {
        push_range(s, first, last);
        return;
    }
    /* All ranges that overlap or touch [first, last] become one. */
    uint32_t from = find_from(s, first - 1);
    uint32_t to = from;
    struct uid_range merged = { first, last };
    while (to < s->count && s->ranges[to].first <= (uint64_t)last + 1) {
        if (s->ranges[to].first < merged.first)
            merged.first = s->ranges[to].first;
        if (s->ranges[to].last > merged.last)
            merged.last = s->ranges[to].last;
        to++;
    }
    splice(s, from, to - from, &merged, 1);
}

void uidset_add_set(struct uidset *s, const struct uidset *other)
{
    if (s->count == 0 || other->count == 0 || s->ranges[s->count - 1].last < other->ranges[0].first) {
        for (uint32_t i = 0; i < other->count; i++)
            uidset_add_range(s, other->ranges[i].first, other->ranges[i].last);
        return;
    }
    struct uidset merged = { 0 };
    uint32_t i = 0, j = 0;
    while (i < s->count || j < other->count) {
        bool take_own = j == other->count || (i < s->count && s->ranges[i].first <= other->ranges[j].first);
        struct uid_range next = take_own ? s->ranges[i++] : other->ranges[j++];
        uidset_add_range(&merged, next.first, next.last);
    }
    uidset_fini(s);
    *s = merged;
}

void uidset_remove(struct uidset *s, uint32_t uid)
{
    uidset_remove_range(s, uid, uid);
}

void uidset_remove_range(struct uidset *s, uint32_t first, uint32_t last)
{
    assert(first <= last);
    uint32_t from = find_from(s, first);
    uint32_t to = from;
    struct uid_range rest[2];
    uint32_t rest_count = 0;
    while (to < s->count && s->ranges[to].first <= last) {
        struct uid_range r = s->ranges[to++];
        if (r.first < first)
            rest[rest_count++] = (struct uid_range){ r.first, first - 1 };
        if (r.last > last)
            rest[rest_count++] = (struct uid_range){ last + 1, r.last };
    }
    if (to > from)
        splice(s, from, to - from, rest, rest_count);
}

bool uidset_contains(const struct uidset *s, uint32_t uid)
{
    uint32_t at = find_from(s, uid);
    return at < s->count && s->ranges[at].first <= uid;
}

bool uidset_is_empty(const struct uidset *s)
{
    return s->count == 0;
}

uint64_t uidset_count(const struct uidset *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < s->count; i++)
        count += (uint64_t)s->ranges[i].last - s->ranges[i].first + 1;
    return count;
}

uint32_t uidset_min(const struct uidset *s)
{
    return s->count == 0 ? 0 : s->ranges[0].first;
}

uint32_t uidset_max(const struct uidset *s)
{
    return s->count == 0 ? 0 : s->ranges[s->count - 1].last;
}

uint32_t uidset_at(const struct uidset *s, uint64_t index)
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint64_t size = (uint64_t)s->ranges[i].last - s->ranges[i].first + 1;
        if (index < size)
            return s->ranges[i].first + (uint32_t)index;
        index -= size;
    }
    return 0;
}

bool uidset_eq(const struct uidset *a, const struct uidset *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->ranges, b->ranges, a->count * sizeof *a->ranges) == 0);
}

void uidset_intersect(const struct uidset *a, const struct uidset *b, struct uidset *out)
{
    assert(out != a && out != b);
    uidset_clear(out);
    uint32_t i = 0, j = 0;
    while (i < a->count && j < b->count) {
        struct uid_range x = a->ranges[i], y = b->ranges[j];
        uint32_t first = x.first > y.first ? x.first : y.first;
        uint32_t last = x.last < y.last ? x.last : y.last;
        if (first <= last)
            push_range(out, first, last);
        if (x.last <= y.last)
            i++;
        else
            j++;
    }
}

void uidset_subtract(const struct uidset *a, const struct uidset *b, struct uidset *out)
{
    assert(out != a && out != b);
    uidset_clear(out);
    uint32_t j = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t first = a->ranges[i].first; /* 64 bits: one past the last UID is not 0 */
        uint32_t last = a->ranges[i].last;
        while (j < b->count && b->ranges[j].last < first)
            j++;
        for (uint32_t k = j; k < b->count && b->ranges[k].first <= last; k++) {
            if (b->ranges[k].first > first)
                push_range(out, (uint32_t)first, b->ranges[k].first - 1);
            first = (uint64_t)b->ranges[k].last + 1;
            j = k;
        }
        if (first <= last)
            push_range(out, (uint32_t)first, last);
    }
}

void uidset_copy(const struct uidset *s, struct uidset *out)
{
    assert(out != s);
    uidset_clear(out);
    for (uint32_t i = 0; i < s->count; i++)
        push_range(out, s->ranges[i].first, s->ranges[i].last);
}

struct uidset uidset_in_arena(const struct uidset *s, struct arena *arena)
{
    if (s->count == 0)
        return (struct uidset){ 0 };
    return (struct uidset){ arena_memdup(arena, s->ranges, s->count * sizeof *s->ranges), s->count, 0 };
}

bool uidset_next(struct uidset_iter *it, uint32_t *uid_out)
{
    if (it->range >= it->set->count)
        return false;
    struct uid_range r = it->set->ranges[it->range];
    uint32_t uid = it->next == 0 ? r.first : it->next;
    if (uid == r.last) {
        it->range++;
        it->next = 0;
    } else {
        it->next = uid + 1;
    }
    *uid_out = uid;
    return true;
}

void uidset_format(const struct uidset *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (i > 0)
            buf_add_byte(out, ',');
        buf_add_u64(out, s->ranges[i].first);
        if (s->ranges[i].last != s->ranges[i].first) {
            buf_add_byte(out, ':');
            buf_add_u64(out, s->ranges[i].last);
        }
    }
}

static enum err parse_number(struct slice text, uint32_t *out)
{
    uint64_t value;
    if (!slice_parse_u64(text, UINT32_MAX, &value) || value == 0)
        return ERR_SYNTAX;
    *out = (uint32_t)value;
    return OK;
}

enum err uidset_parse(struct slice text, struct uidset *out)
{
    uidset_clear(out);
    while (true) {
        ptrdiff_t comma = slice_find(text, ',');
        struct slice item = comma < 0 ? text : slice_sub(text, 0, (size_t)comma);
        ptrdiff_t colon = slice_find(item, ':');
        uint32_t first, last;
        TRY(parse_number(colon < 0 ? item : slice_sub(item, 0, (size_t)colon), &first));
        last = first;
        if (colon >= 0)
            TRY(parse_number(slice_sub(item, (size_t)colon + 1, item.len), &last));
        if (out->count >= UIDSET_RANGES_MAX)
            return ERR_TOO_BIG;
        uidset_add_range(out, first < last ? first : last, first < last ? last : first);
        if (comma < 0)
            return OK;
        text = slice_sub(text, (size_t)comma + 1, text.len);
    }
}

void uidset_encode(const struct uidset *s, struct buf *out)
{
    uint32_t end = 0;
    buf_add_varint(out, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        buf_add_varint(out, s->ranges[i].first - end);
        buf_add_varint(out, s->ranges[i].last - s->ranges[i].first);
        end = s->ranges[i].last;
    }
}

enum err uidset_decode(struct cursor *c, struct uidset *out)
{
    uidset_clear(out);
    uint64_t count = cursor_varint(c);
    if (c->bad)
        return ERR_CORRUPT;
    if (count > UIDSET_RANGES_MAX)
        return ERR_TOO_BIG;
    uint64_t end = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t gap = cursor_varint(c);
        uint64_t length = cursor_varint(c);
        /* A gap of 1 would touch the range before: not the one form a set has. */
        if (c->bad || gap > UINT32_MAX || length > UINT32_MAX || gap < (i == 0 ? 1 : 2) ||
            end + gap + length > UINT32_MAX) {
            uidset_clear(out);
            return ERR_CORRUPT;
        }
        push_range(out, (uint32_t)(end + gap), (uint32_t)(end + gap + length));
        end += gap + length;
    }
    return OK;
}
