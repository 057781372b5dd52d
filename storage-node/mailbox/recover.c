/* SPDX-License-Identifier: Apache-2.0 */
/* ENTRY_RECOVER: the partition goes on from an older copy, so UIDs and modseqs that clients have seen may be
 * given again. Every mailbox gets a new UIDVALIDITY (RFC 9051 2.3.1.1), and modseqs go on above all that were
 * given, so do the ids of accounts and mailboxes: sessions, queued mail and clients may still know those of
 * what was lost. One entry for the whole partition: nothing is served before it is applied, so what other
 * entries are split for, that nobody waits meanwhile, would gain nothing for this partition's users.
 *
 * What bounds it: the entry has no content; it writes one row an account and one a mailbox, more than the
 * 5,000 of other entries. Measured over RocksDB (tests/bench/machine_bench.c): 2,000 accounts with 10,000
 * mailboxes take 40 ms to apply and 27 ms to commit, and more take more in proportion. So long the worker's
 * other partitions wait, their beats too (one every 200 ms, leases of 1 s). */
#include "storage-node/mailbox/edit/edit.h"

/* More than there can have been in what was lost: */
enum {
    RECOVER_MODSEQ_STEP = 1 << 24,  /* changes of an account */
    RECOVER_ACCOUNT_STEP = 1 << 20, /* new accounts; leaves room for 4,000 recoveries */
    RECOVER_MAILBOX_STEP = 1 << 20, /* new mailboxes of an account */
};

enum { RECOVER_ACCOUNTS = 512 /* found with one iterator */ };

/* Up to RECOVER_ACCOUNTS accounts after `after`, ascending; none: there are no more. */
static enum err list_accounts(const struct apply *a, uint64_t after, struct buf *ids)
{
    struct key lower, upper;
    key_begin(&lower, a->state.partition, after + 1, KEY_CLOCK);
    key_begin(&upper, a->state.partition, UINT64_MAX, KEY_QUEUE_DUE);
    struct kv_iter *it = state_iter(&a->state, &lower, &upper);
    buf_clear(ids);
    while (ids->len < RECOVER_ACCOUNTS * sizeof(uint64_t) && kv_iter_seek(it, key_slice(&lower))) {
        struct cursor c = cursor_of(kv_iter_key(it));
        (void)cursor_be32(&c);
        uint64_t account = cursor_be64(&c);
        buf_add(ids, &account, sizeof account);
        key_begin(&lower, a->state.partition, account + 1, KEY_CLOCK);
    }
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

static enum err list_mailboxes(struct apply *a, uint64_t account, struct buf *rows)
{
    struct mailbox_scan scan = { 0 };
    struct mailbox_row row;
    enum err err;
    while ((err = mailbox_scan_next(&a->state, account, &scan, &row)) == OK)
        buf_add(rows, &row, sizeof row);
    mailbox_scan_end(&scan);
    return err == ERR_NOT_FOUND ? OK : err;
}

static void renew_mailboxes(struct apply *a, struct account_edit *account, const struct buf *rows)
{
    for (size_t at = 0; at < rows->len; at += sizeof(struct mailbox_row)) {
        struct mailbox_row row;
        memcpy(&row, rows->data + at, sizeof row);
        row.uidvalidity = account_uidvalidity(a, account);
        row.modseq = account_modseq(account);
        mailbox_put(a, account->id, &row);
    }
}

static enum err renew_account(struct apply *a, uint64_t id)
{
    struct account_edit account;
    struct buf rows = { 0 };
    enum err err = account_open(a, id, &account);
    if (err == ERR_NOT_FOUND) /* rows of one that is deleted */
        return OK;
    TRY(err);
    account.row.modseq += RECOVER_MODSEQ_STEP;
    account.row.mailbox_next += RECOVER_MAILBOX_STEP;
    err = list_mailboxes(a, id, &rows);
    if (err == OK) {
        renew_mailboxes(a, &account, &rows);
        account_close(a, &account);
    }
    buf_fini(&rows);
    return err;
}

static enum err skip_account_ids(struct apply *a)
{
    struct key key;
    uint64_t counter = 0;
    key_partition(&key, a->state.partition);
    enum err err = state_number(&a->state, &key, &counter);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    apply_put_number(a, &key, counter + RECOVER_ACCOUNT_STEP);
    return OK;
}

/* The next bodies get ids that lost ones had, but not their EMAILIDs (RFC 8474 4.2). */
static enum err note_recovery(struct apply *a)
{
    struct key key;
    struct recovered_row row;
    struct buf recoveries = { 0 };
    TRY(state_recovered(&a->state, &row));
    buf_add_slice(&recoveries, row.recoveries);
    recovery_encode(&(struct recovery){ a->index, a->header->time_ms }, &recoveries);
    row.recoveries = buf_slice(&recoveries);
    recovered_encode(&row, a->value);
    buf_fini(&recoveries);
    key_recovered(&key, a->state.partition);
    apply_put(a, &key);
    return OK;
}

static enum err renew_accounts(struct apply *a, struct buf *ids)
{
    for (uint64_t account = 0;;) {
        TRY(list_accounts(a, account, ids));
        if (ids->len == 0)
            return OK;
        for (size_t at = 0; at < ids->len; at += sizeof account) {
            memcpy(&account, ids->data + at, sizeof account);
            TRY(renew_account(a, account));
        }
    }
}

enum err apply_recover(struct apply *a)
{
    struct buf ids = { 0 };
    TRY(skip_account_ids(a));
    TRY(note_recovery(a));
    enum err err = renew_accounts(a, &ids);
    buf_fini(&ids);
    return err;
}
