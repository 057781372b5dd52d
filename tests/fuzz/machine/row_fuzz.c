/* SPDX-License-Identifier: Apache-2.0 */
/* Arbitrary bytes decoded as every kind of row. What is accepted is written again and must be accepted as the
 * same. The first byte chooses the kind. */
#include <stdint.h>
#include <stdlib.h>

#include "storage-node/mailbox/rows/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_stable(const struct buf *first, const struct buf *second)
{
    if (!slice_eq(buf_slice(first), buf_slice(second)))
        abort();
}

#define ROUND_TRIP(row, encode, decode)     \
    do {                                    \
        row a, b;                           \
        memset(&a, 0, sizeof a);            \
        memset(&b, 0, sizeof b);            \
        if (!decode(value, &a))             \
            break;                          \
        encode(&a, &first);                 \
        if (!decode(buf_slice(&first), &b)) \
            abort();                        \
        encode(&b, &second);                \
        expect_stable(&first, &second);     \
    } while (0)

static void number_encode_at(const uint64_t *value, struct buf *out)
{
    number_encode(*value, out);
}

static void summary_encode_at(const struct slice *value, struct buf *out)
{
    summary_row_encode(*value, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice value = slice_of(data + 1, size - 1);
    struct buf first = { 0 }, second = { 0 };
    enum { KINDS = 14 };
    switch (data[0] % KINDS) {
    case 0:
        ROUND_TRIP(uint64_t, number_encode_at, number_decode);
        break;
    case 1:
        ROUND_TRIP(struct address_row, address_encode, address_decode);
        break;
    case 2:
        ROUND_TRIP(struct account_row, account_encode, account_decode);
        break;
    case 3:
        ROUND_TRIP(struct counters_row, counters_encode, counters_decode);
        break;
    case 4:
        ROUND_TRIP(struct mailbox_row, mailbox_encode, mailbox_decode);
        break;
    case 5:
        ROUND_TRIP(struct keywords_row, keywords_encode, keywords_decode);
        break;
    case 6:
        ROUND_TRIP(struct message_row, message_encode, message_decode);
        break;
    case 7:
        ROUND_TRIP(struct slice, summary_encode_at, summary_row_decode);
        break;
    case 8:
        ROUND_TRIP(struct segment_row, segment_encode, segment_decode);
        break;
    case 9:
        ROUND_TRIP(struct body_row, body_encode, body_decode);
        break;
    case 10:
        ROUND_TRIP(struct upload_row, upload_encode, upload_decode);
        break;
    case 11:
        ROUND_TRIP(struct request_row, request_encode, request_decode);
        break;
    case 12:
        ROUND_TRIP(struct delivery_row, delivery_encode, delivery_decode);
        break;
    default:
        ROUND_TRIP(struct recovered_row, recovered_encode, recovered_decode);
    }
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
