/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/seqset.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

static enum err parse_number(struct slice text, uint32_t *out)
{
    uint64_t value;
    if (slice_eq_str(text, "*")) {
        *out = 0;
        return OK;
    }
    /* nz-number: no leading zero. */
    if (!slice_parse_u64(text, UINT32_MAX, &value) || text.data[0] == '0')
        return ERR_SYNTAX;
    *out = (uint32_t)value;
    return OK;
}

static size_t count_items(struct slice text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.data[i] == ',';
    return count;
}

enum err seqset_parse(struct slice text, struct arena *arena, struct seqset *out)
{
    size_t items = count_items(text);
    if (items > SEQSET_RANGES_MAX)
        return ERR_TOO_BIG;
    struct seqset set = { ARENA_ARRAY(arena, struct seqset_range, items), 0 };
    while (set.count < items) {
        ptrdiff_t comma = slice_find(text, ',');
        struct slice item = comma < 0 ? text : slice_sub(text, 0, (size_t)comma);
        ptrdiff_t colon = slice_find(item, ':');
        struct seqset_range *r = &set.ranges[set.count++];
        TRY(parse_number(colon < 0 ? item : slice_sub(item, 0, (size_t)colon), &r->first));
        r->last = r->first;
        if (colon >= 0)
            TRY(parse_number(slice_sub(item, (size_t)colon + 1, item.len), &r->last));
        if (comma >= 0)
            text = slice_sub(text, (size_t)comma + 1, text.len);
    }
    *out = set;
    return OK;
}

/* The range in ascending order with '*' = max. */
static struct uid_range resolve_range(struct seqset_range r, uint32_t max)
{
    uint32_t first = r.first == 0 ? max : r.first;
    uint32_t last = r.last == 0 ? max : r.last;
    return first <= last ? (struct uid_range){ first, last } : (struct uid_range){ last, first };
}

static int compare_ranges(const void *a, const void *b)
{
    const struct uid_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

void seqset_resolve(const struct seqset *s, uint32_t max, struct uidset *out)
{
    uidset_clear(out);
    if (max == 0 || s->count == 0)
        return;
    struct uid_range *sorted = NEW_ARRAY(struct uid_range, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        sorted[i] = resolve_range(s->ranges[i], max);
    /* In order, each addition is at the end; else a hostile set would cost the square of its size. */
    qsort(sorted, s->count, sizeof *sorted, compare_ranges);
    for (uint32_t i = 0; i < s->count && sorted[i].first <= max; i++)
        uidset_add_range(out, sorted[i].first, sorted[i].last < max ? sorted[i].last : max);
    free(sorted);
}

bool seqset_is_within(const struct seqset *s, uint32_t max)
{
    if (max == 0)
        return s->count == 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->ranges[i].first > max || s->ranges[i].last > max)
            return false;
    }
    return true;
}

bool seqset_contains(const struct seqset *s, uint32_t number, uint32_t max)
{
    for (uint32_t i = 0; i < s->count && number <= max; i++) {
        struct uid_range r = resolve_range(s->ranges[i], max);
        if (r.first <= number && number <= r.last)
            return true;
    }
    return false;
}

static void format_number(uint32_t number, struct buf *out)
{
    if (number == 0)
        buf_add_byte(out, '*');
    else
        buf_add_u64(out, number);
}

void seqset_format(const struct seqset *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (i > 0)
            buf_add_byte(out, ',');
        format_number(s->ranges[i].first, out);
        if (s->ranges[i].last != s->ranges[i].first) {
            buf_add_byte(out, ':');
            format_number(s->ranges[i].last, out);
        }
    }
}
