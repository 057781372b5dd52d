/* SPDX-License-Identifier: Apache-2.0 */
/* ENTRY_RECOVER: the partition goes on from an older copy, so UIDs and modseqs that clients have seen may be
 * given again. Every mailbox gets a new UIDVALIDITY (RFC 9051 2.3.1.1), and modseqs go on above all that were
 * given, so do the ids of accounts and mailboxes: sessions, queued mail and clients may still know those of
 * what was lost. One entry for the whole partition: nothing is served before it is applied. */
#include "storage-node/mailbox/edit.h"

/* More than there can have been in what was lost: */
enum {
    RECOVER_MODSEQ_STEP = 1 << 24,  /* changes of an account */
    RECOVER_ACCOUNT_STEP = 1 << 20, /* new accounts; leaves room for 4,000 recoveries */
    RECOVER_MAILBOX_STEP = 1 << 20, /* new mailboxes of an account */
};

/* The first account after `*account`. ERR_NOT_FOUND: none. */
static enum err next_account(const struct apply *a, uint64_t *account)
{
    struct key lower, upper;
    key_begin(&lower, a->state.partition, *account + 1, KEY_CLOCK);
    key_begin(&upper, a->state.partition, UINT64_MAX, KEY_QUEUE_DUE);
    struct kv_iter *it = state_iter(&a->state, &lower, &upper);
    bool found = kv_iter_seek(it, key_slice(&lower));
    enum err err = kv_iter_err(it);
    if (err == OK && found) {
        struct cursor c = cursor_of(kv_iter_key(it));
        (void)cursor_be32(&c);
        *account = cursor_be64(&c);
    }
    kv_iter_free(&it);
    return err == OK && !found ? ERR_NOT_FOUND : err;
}

static enum err list_mailboxes(struct apply *a, uint64_t account, struct buf *ids)
{
    struct mailbox_scan scan = { 0 };
    struct mailbox_row row;
    enum err err;
    while ((err = mailbox_scan_next(&a->state, account, &scan, &row)) == OK)
        buf_add(ids, &row.id, sizeof row.id);
    mailbox_scan_end(&scan);
    return err == ERR_NOT_FOUND ? OK : err;
}

static enum err renew_mailboxes(struct apply *a, struct account_edit *account, const struct buf *ids)
{
    for (size_t at = 0; at < ids->len; at += sizeof(uint64_t)) {
        struct mailbox_row row;
        uint64_t id;
        memcpy(&id, ids->data + at, sizeof id);
        TRY(state_mailbox(&a->state, account->id, id, &row));
        row.uidvalidity = account_uidvalidity(a, account);
        row.modseq = account_modseq(account);
        mailbox_put(a, account->id, &row);
    }
    return OK;
}

static enum err renew_account(struct apply *a, uint64_t id)
{
    struct account_edit account;
    struct buf ids = { 0 };
    enum err err = account_open(a, id, &account);
    if (err == ERR_NOT_FOUND) /* rows of one that is deleted */
        return OK;
    TRY(err);
    account.row.modseq += RECOVER_MODSEQ_STEP;
    account.row.mailbox_next += RECOVER_MAILBOX_STEP;
    err = list_mailboxes(a, id, &ids);
    if (err == OK)
        err = renew_mailboxes(a, &account, &ids);
    buf_fini(&ids);
    if (err == OK)
        account_close(a, &account);
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

enum err apply_recover(struct apply *a)
{
    uint64_t account = 0;
    enum err err;
    TRY(skip_account_ids(a));
    TRY(note_recovery(a));
    while ((err = next_account(a, &account)) == OK)
        TRY(renew_account(a, account));
    return err == ERR_NOT_FOUND ? OK : err;
}
