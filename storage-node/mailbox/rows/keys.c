/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/rows/keys.h"

#include <assert.h>

#include "storage-node/mailbox/machine.h"

static void add_number(struct key *k, uint64_t value, unsigned size)
{
    assert(k->len + size <= KEY_SIZE_MAX);
    for (unsigned i = size; i > 0; i--)
        k->bytes[k->len++] = (uint8_t)(value >> 8 * (i - 1));
}

void key_u32(struct key *k, uint32_t value)
{
    add_number(k, value, 4);
}

void key_u64(struct key *k, uint64_t value)
{
    add_number(k, value, 8);
}

void key_text(struct key *k, struct slice text)
{
    assert(text.len <= (size_t)(KEY_SIZE_MAX - k->len));
    if (text.len > 0)
        memcpy(k->bytes + k->len, text.data, text.len);
    k->len = (uint16_t)(k->len + text.len);
}

void key_begin(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind)
{
    k->len = 0;
    key_u32(k, partition);
    key_u64(k, account);
    add_number(k, kind, 1);
}

void key_behind(struct key *k)
{
    while (k->len > 0 && k->bytes[k->len - 1] == 0xff)
        k->len--;
    if (k->len > 0)
        k->bytes[k->len - 1]++;
}

void key_clock(struct key *k, uint32_t partition)
{
    key_begin(k, partition, 0, KEY_CLOCK);
}

void key_partition(struct key *k, uint32_t partition)
{
    key_begin(k, partition, 0, KEY_PARTITION);
}

void key_address(struct key *k, uint32_t partition, struct slice address)
{
    key_begin(k, partition, 0, KEY_ADDRESS);
    key_text(k, address);
}

void key_request(struct key *k, uint32_t partition, struct slice id)
{
    key_begin(k, partition, 0, KEY_REQUEST);
    key_text(k, id);
}

void key_delivery(struct key *k, uint32_t partition, struct slice id, uint64_t account)
{
    key_begin(k, partition, 0, KEY_DELIVERY);
    key_text(k, id);
    key_u64(k, account);
}

void key_body(struct key *k, uint32_t partition, uint64_t body)
{
    key_begin(k, partition, 0, KEY_BODY);
    key_u64(k, body);
}

void key_free(struct key *k, uint32_t partition, uint64_t time_ms, uint64_t body)
{
    key_begin(k, partition, 0, KEY_FREE);
    key_u64(k, time_ms);
    key_u64(k, body);
}

void key_upload(struct key *k, uint32_t partition, struct slice id)
{
    key_begin(k, partition, 0, KEY_UPLOAD);
    key_text(k, id);
}

void key_upload_due(struct key *k, uint32_t partition, uint64_t time_ms, struct slice id)
{
    key_begin(k, partition, 0, KEY_UPLOAD_DUE);
    key_u64(k, time_ms);
    key_text(k, id);
}

void key_dead_account(struct key *k, uint32_t partition, uint64_t account)
{
    key_begin(k, partition, 0, KEY_DEAD_ACCOUNT);
    key_u64(k, account);
}

void key_dead_mailbox(struct key *k, uint32_t partition, uint64_t account, uint64_t mailbox)
{
    key_begin(k, partition, 0, KEY_DEAD_MAILBOX);
    key_u64(k, account);
    key_u64(k, mailbox);
}

void key_recovered(struct key *k, uint32_t partition)
{
    key_begin(k, partition, 0, KEY_RECOVERED);
}

void key_queue_totals(struct key *k, uint32_t partition)
{
    key_begin(k, partition, 0, KEY_QUEUE_TOTALS);
}

void key_of_queue_item(struct key *k, uint32_t partition, enum key_kind kind, struct slice id)
{
    key_begin(k, partition, 0, kind);
    key_text(k, id);
}

void key_queue_recipient(struct key *k, uint32_t partition, struct slice id, uint32_t number)
{
    key_of_queue_item(k, partition, KEY_QUEUE_RECIPIENT, id);
    key_u32(k, number);
}

void key_queue_due(struct key *k, uint32_t partition, uint64_t time_ms, struct slice id)
{
    key_begin(k, partition, 0, KEY_QUEUE_DUE);
    key_u64(k, time_ms);
    key_text(k, id);
}

void key_stage_due(struct key *k, uint32_t partition, uint64_t time_ms, uint64_t account)
{
    key_begin(k, partition, 0, KEY_STAGE_DUE);
    key_u64(k, time_ms);
    key_u64(k, account);
}

void key_account(struct key *k, uint32_t partition, uint64_t account)
{
    key_begin(k, partition, account, KEY_ACCOUNT);
}

void key_counters(struct key *k, uint32_t partition, uint64_t account)
{
    key_begin(k, partition, account, KEY_COUNTERS);
}

void key_stage(struct key *k, uint32_t partition, uint64_t account)
{
    key_begin(k, partition, account, KEY_STAGE);
}

void key_mailbox(struct key *k, uint32_t partition, uint64_t account, uint64_t mailbox)
{
    key_of_mailbox(k, partition, account, KEY_MAILBOX, mailbox);
}

void key_name(struct key *k, uint32_t partition, uint64_t account, uint64_t parent, struct slice name)
{
    key_begin(k, partition, account, KEY_NAME);
    key_u64(k, parent);
    key_text(k, name);
}

void key_subscription(struct key *k, uint32_t partition, uint64_t account, struct slice name)
{
    key_begin(k, partition, account, KEY_SUBSCRIPTION);
    key_text(k, name);
}

void key_of_mailbox(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind, uint64_t mailbox)
{
    key_begin(k, partition, account, kind);
    key_u64(k, mailbox);
}

void key_of_uid(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind, uint64_t mailbox,
                uint32_t uid)
{
    key_of_mailbox(k, partition, account, kind, mailbox);
    key_u32(k, uid);
}

void key_segment(struct key *k, uint32_t partition, uint64_t account, uint64_t mailbox, uint32_t number)
{
    key_of_mailbox(k, partition, account, KEY_SEGMENT, mailbox);
    key_u32(k, number);
}

void key_of_modseq(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind, uint64_t mailbox,
                   uint64_t modseq, uint32_t uid)
{
    key_of_mailbox(k, partition, account, kind, mailbox);
    key_u64(k, modseq);
    key_u32(k, uid);
}

bool key_read(struct slice key, enum key_kind *kind_out, struct cursor *rest_out)
{
    *rest_out = cursor_of(key);
    cursor_be32(rest_out);
    cursor_be64(rest_out);
    *kind_out = cursor_u8(rest_out);
    return !rest_out->bad;
}

void machine_key_range(uint32_t partition, struct buf *lower, struct buf *upper)
{
    buf_clear(lower);
    buf_add_be32(lower, partition);
    buf_clear(upper);
    if (partition < UINT32_MAX)
        buf_add_be32(upper, partition + 1);
}

void machine_body_key(uint32_t partition, uint64_t index, struct buf *key)
{
    buf_clear(key);
    buf_add_be32(key, partition);
    buf_add_be64(key, index);
}
