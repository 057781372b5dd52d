/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the driver and the entries inside of them, as a damaged disk or a peer may present them: read or
 * refused, and what is read is written back the same. */
#include <stdlib.h>

#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/log/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct buf *again, struct slice input)
{
    if (!slice_eq(buf_slice(again), input))
        abort();
}

/* A row of an older version is written back as one of today's that says the same. */
static void check_older(const struct buf *again, const struct partition_applied *read)
{
    struct partition_applied same;
    if (applied_decode(buf_slice(again), &same) != OK || same.index != read->index ||
        same.chain != read->chain || same.body_bytes != read->body_bytes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size), entry, request;
    struct partition_record record;
    struct partition_applied applied;
    struct entry_header header;
    struct buf again = { 0 };
    uint64_t epoch;
    if (record_decode(input, &record) == OK) {
        record_encode(&record, &again);
        check_same(&again, input);
    }
    if (applied_decode(input, &applied) == OK) {
        applied_encode(&applied, &again);
        if (again.len == input.len)
            check_same(&again, input);
        else
            check_older(&again, &applied);
    }
    if (log_row_decode(input, &epoch, &entry) == OK && entry_decode(entry, &header, &request) == OK) {
        log_row_begin(epoch, &again);
        entry_encode(&header, request, &again);
        check_same(&again, input);
    }
    buf_fini(&again);
    return 0;
}
