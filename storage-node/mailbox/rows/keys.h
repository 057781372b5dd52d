/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of the state machine in KV_STATE; nobody else builds or reads keys. Numbers are big-endian, so
 * that order has a meaning:
 *
 *   partition u32 | account u64 (0: the partition's own) | kind u8 | rest
 *
 *   kind          rest                          value (rows.h)
 *   CLOCK         -                             time of the newest entry
 *   PARTITION     -                             counter of accounts
 *   ADDRESS       canonical address             address_row
 *   REQUEST       request id                    request_row: the answer given; ids begin with a time
 *   DELIVERY      delivery id, account u64      delivery_row; ids begin with a time
 *   BODY          body id u64                   body_row: references, chunks
 *   FREE          time u64, body id u64         -: bodies without references, since when
 *   UPLOAD        upload id                     upload_row
 *   UPLOAD_DUE    time u64, upload id           -: uploads by the time they began
 *   DEAD_ACCOUNT  account u64                   the next key of those that are still to be deleted (sweep.c)
 *   DEAD_MAILBOX  account u64, mailbox u64      the same
 *   RECOVERED     -                             recovered_row: where the partition went on from an older copy
 *   STAGE_DUE     time u64, account u64         -: staged copies by the time of their last step; 0: at once
 *
 *   QUEUE_TOTALS  -                             queue_totals_row (queue_rows.h, as all of the queue)
 *   QUEUE_ITEM    item id                       queue_item_row: envelope and body; ids begin with a time
 *   QUEUE_STATE   item id                       queue_state_row: schedule and lease
 *   QUEUE_RECIPIENT  item id, number u32        queue_recipient_row
 *   QUEUE_DUE     time u64, item id             -: items by when they are due, or their lease ends
 *
 *   ACCOUNT       -                             account_row: what changes seldom
 *   COUNTERS      -                             counters_row: what changes with every mail
 *   MAILBOX       mailbox u64                   mailbox_row
 *   NAME          parent mailbox u64, name      mailbox id u64; parent 0: top
 *   SUBSCRIPTION  full name                     -: survives the mailbox
 *   KEYWORDS      mailbox u64                   keywords_row
 *   MESSAGE       mailbox u64, uid u32          message_row: small, so that flags are scanned fast
 *   SUMMARY       mailbox u64, uid u32          summary blob
 *   SEGMENT       mailbox u64, number u32       segment_row: UIDs that exist, and unseen ones
 *   CHANGE        mailbox, modseq u64, uid u32  -: one for each message, under its newest modseq
 *   VANISHED      mailbox, modseq u64, uid u32  last uid u32 of a range that begins with the key's
 *   STAGE         -                             stage_row: the large copy being made
 */
#ifndef STORAGE_NODE_MAILBOX_ROWS_KEYS_H
#define STORAGE_NODE_MAILBOX_ROWS_KEYS_H

#include "lib/base/slice.h"

enum {
    KEY_REST_MAX = 1024, /* a mailbox's full name is at most 1000 */
    KEY_HEAD_SIZE = 4 + 8 + 1,
    KEY_SIZE_MAX = KEY_HEAD_SIZE + KEY_REST_MAX,
    SEGMENT_UIDS = 1024,
};

/* On disk: never change the numbers. */
enum key_kind {
    KEY_CLOCK = 1,
    KEY_PARTITION = 2,
    KEY_ADDRESS = 3,
    KEY_REQUEST = 4,
    KEY_DELIVERY = 5,
    KEY_BODY = 6,
    KEY_FREE = 7,
    KEY_UPLOAD = 8,
    KEY_UPLOAD_DUE = 9,
    KEY_DEAD_ACCOUNT = 10,
    KEY_DEAD_MAILBOX = 11,
    KEY_RECOVERED = 12,
    KEY_STAGE_DUE = 49,

    KEY_ACCOUNT = 32,
    KEY_COUNTERS = 33,
    KEY_MAILBOX = 34,
    KEY_NAME = 35,
    KEY_SUBSCRIPTION = 36,
    KEY_KEYWORDS = 37,
    KEY_MESSAGE = 38,
    KEY_SUMMARY = 39,
    KEY_SEGMENT = 40,
    KEY_CHANGE = 41,
    KEY_VANISHED = 42,
    KEY_STAGE = 48,

    KEY_QUEUE_TOTALS = 60,
    KEY_QUEUE_ITEM = 61,
    KEY_QUEUE_STATE = 62,
    KEY_QUEUE_RECIPIENT = 63,
    KEY_QUEUE_DUE = 64,
};

struct key {
    uint16_t len;
    uint8_t bytes[KEY_SIZE_MAX];
};

static inline struct slice key_slice(const struct key *k)
{
    return slice_of(k->bytes, k->len);
}

/* Build a key piece by piece; text that does not fit is a broken bound and ends the process. */
void key_begin(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind);
void key_u32(struct key *k, uint32_t value);
void key_u64(struct key *k, uint64_t value);
void key_text(struct key *k, struct slice text);
/* The smallest key behind all that begin with this one. */
void key_behind(struct key *k);

void key_clock(struct key *k, uint32_t partition);
void key_partition(struct key *k, uint32_t partition);
void key_address(struct key *k, uint32_t partition, struct slice address);
void key_request(struct key *k, uint32_t partition, struct slice id);
void key_delivery(struct key *k, uint32_t partition, struct slice id, uint64_t account);
void key_body(struct key *k, uint32_t partition, uint64_t body);
void key_free(struct key *k, uint32_t partition, uint64_t time_ms, uint64_t body);
void key_upload(struct key *k, uint32_t partition, struct slice id);
void key_upload_due(struct key *k, uint32_t partition, uint64_t time_ms, struct slice id);
void key_dead_account(struct key *k, uint32_t partition, uint64_t account);
void key_dead_mailbox(struct key *k, uint32_t partition, uint64_t account, uint64_t mailbox);
void key_recovered(struct key *k, uint32_t partition);

void key_queue_totals(struct key *k, uint32_t partition);
/* Kinds QUEUE_ITEM, QUEUE_STATE, and the front of an item's QUEUE_RECIPIENTs. */
void key_of_queue_item(struct key *k, uint32_t partition, enum key_kind kind, struct slice id);
void key_queue_recipient(struct key *k, uint32_t partition, struct slice id, uint32_t number);
void key_queue_due(struct key *k, uint32_t partition, uint64_t time_ms, struct slice id);

void key_stage_due(struct key *k, uint32_t partition, uint64_t time_ms, uint64_t account);

void key_account(struct key *k, uint32_t partition, uint64_t account);
void key_counters(struct key *k, uint32_t partition, uint64_t account);
void key_stage(struct key *k, uint32_t partition, uint64_t account);
void key_mailbox(struct key *k, uint32_t partition, uint64_t account, uint64_t mailbox);
void key_name(struct key *k, uint32_t partition, uint64_t account, uint64_t parent, struct slice name);
void key_subscription(struct key *k, uint32_t partition, uint64_t account, struct slice name);
/* Kinds MAILBOX, KEYWORDS, and the front of those below: all rows of one kind and mailbox begin with it. */
void key_of_mailbox(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind,
                    uint64_t mailbox);
/* Kinds MESSAGE and SUMMARY. */
void key_of_uid(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind, uint64_t mailbox,
                uint32_t uid);
void key_segment(struct key *k, uint32_t partition, uint64_t account, uint64_t mailbox, uint32_t number);
/* Kinds CHANGE and VANISHED. */
void key_of_modseq(struct key *k, uint32_t partition, uint64_t account, enum key_kind kind, uint64_t mailbox,
                   uint64_t modseq, uint32_t uid);

/* Read a stored key; the caller knows its kind from the range it walks. `rest` is what follows the head.
 * False if it is too short. */
bool key_read(struct slice key, enum key_kind *kind_out, struct cursor *rest_out);

#endif
