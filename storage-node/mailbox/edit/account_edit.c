/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/edit/edit.h"

enum err account_open(struct apply *a, uint64_t id, struct account_edit *out)
{
    *out = (struct account_edit){ .id = id };
    /* Account 0 is the partition's own rows. */
    return id == 0 ? ERR_NOT_FOUND : state_counters(&a->state, id, &out->row);
}

uint64_t account_modseq(struct account_edit *account)
{
    if (account->modseq == 0)
        account->modseq = ++account->row.modseq;
    return account->modseq;
}

uint32_t account_uidvalidity(const struct apply *a, struct account_edit *account)
{
    uint64_t seconds = a->header->time_ms / 1000;
    uint32_t next = account->row.uidvalidity + 1;
    if (seconds > next && seconds <= UINT32_MAX)
        next = (uint32_t)seconds;
    account->row.uidvalidity = next;
    return next;
}

enum err account_check_quota(const struct account_edit *account, uint64_t size)
{
    const struct counters_row *row = &account->row;
    if (row->quota_bytes == 0)
        return OK;
    bool fits = row->used_bytes <= row->quota_bytes && size <= row->quota_bytes - row->used_bytes;
    return fits ? OK : ERR_OVER_QUOTA;
}

void account_close(struct apply *a, const struct account_edit *account)
{
    struct key key;
    key_counters(&key, a->state.partition, account->id);
    counters_encode(&account->row, a->value);
    apply_put(a, &key);
}
