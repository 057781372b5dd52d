/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the driver and the entries inside of them, as a damaged disk or a peer may present them: read or
 * refused, and what is read is written back the same. */
#include <stdlib.h>

#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct buf *again, struct slice input)
{
    if (!slice_eq(buf_slice(again), input))
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
        check_same(&again, input);
    }
    if (log_row_decode(input, &epoch, &entry) == OK && entry_decode(entry, &header, &request) == OK) {
        log_row_begin(epoch, &again);
        entry_encode(&header, request, &again);
        check_same(&again, input);
    }
    buf_fini(&again);
    return 0;
}
