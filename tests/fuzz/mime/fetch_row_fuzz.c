/* SPDX-License-Identifier: Apache-2.0 */
/* What a session reads out of a storage node's answer beside protobuf: pages of rows, and sets of UIDs. What
 * is read is written back, and read the same. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/mail/row.h"
#include "lib/mail/uidmap.h"
#include "lib/mail/uidset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_inside(struct slice part, const uint8_t *data, size_t size)
{
    return part.len == 0 || (part.data >= data && part.data + part.len <= data + size);
}

static void try_rows(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct row row, same;
    struct buf again = { 0 };
    enum err err;
    while ((err = row_next(&c, &row)) == OK) {
        must(is_inside(row.summary, data, size) && is_inside(row.header, data, size) &&
             is_inside(row.body, data, size));
        buf_clear(&again);
        row_encode(&row, &again);
        struct cursor second = cursor_of(buf_slice(&again));
        must(row_next(&second, &same) == OK && row_next(&second, &(struct row){ 0 }) == ERR_NOT_FOUND);
        must(same.uid == row.uid && same.modseq == row.modseq && same.flags == row.flags);
        must(same.keywords == row.keywords && same.size == row.size && same.body_id == row.body_id);
        must(same.internaldate_zone == row.internaldate_zone && same.parts == row.parts);
        must(slice_eq(same.summary, row.summary) && slice_eq(same.header, row.header) &&
             slice_eq(same.body, row.body));
    }
    must(err == ERR_NOT_FOUND || err == ERR_PROTOCOL);
    buf_fini(&again);
}

static void try_uids(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct uidset set = { 0 }, same = { 0 };
    struct buf again = { 0 };
    if (uidset_decode(&c, &set) == OK) {
        for (uint32_t i = 0; i < set.count; i++) {
            must(set.ranges[i].first > 0 && set.ranges[i].first <= set.ranges[i].last);
            must(i == 0 || set.ranges[i - 1].last < set.ranges[i].first);
        }
        uidset_encode(&set, &again);
        struct cursor second = cursor_of(buf_slice(&again));
        must(uidset_decode(&second, &same) == OK && same.count == set.count);
    }
    buf_fini(&again);
    uidset_fini(&set);
    uidset_fini(&same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_rows(data, size);
    try_uids(data, size);
    return 0;
}
