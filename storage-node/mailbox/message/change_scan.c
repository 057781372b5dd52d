/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/message/change_scan.h"

#include <stdlib.h>

/* UIDs come by modseq, not in their own order: gathered first, sorted, then made a set. */
static int compare_uid(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_into_set(struct buf *uids, struct uidset *out)
{
    uint32_t *list = (uint32_t *)uids->data;
    size_t count = uids->len / sizeof *list;
    if (count > 1)
        qsort(list, count, sizeof *list, compare_uid);
    uidset_clear(out);
    for (size_t i = 0; i < count; i++)
        uidset_add(out, list[i]);
}

/* Rows of modseqs above `since` and at most `until`. */
static struct kv_iter *begin(const struct state *s, uint64_t account, enum key_kind kind, uint64_t mailbox,
                             uint64_t since, uint64_t until, bool *on_row_out)
{
    struct key lower, upper;
    key_of_modseq(&lower, s->partition, account, kind, mailbox, since == UINT64_MAX ? since : since + 1, 0);
    key_of_modseq(&upper, s->partition, account, kind, mailbox, until, UINT32_MAX);
    struct kv_iter *it = state_iter(s, &lower, &upper);
    *on_row_out = kv_iter_seek(it, key_slice(&lower));
    return it;
}

static bool read_position(struct slice key, uint64_t *modseq_out, uint32_t *uid_out)
{
    struct cursor rest;
    enum key_kind kind;
    bool good = key_read(key, &kind, &rest);
    cursor_be64(&rest);
    *modseq_out = cursor_be64(&rest);
    *uid_out = cursor_be32(&rest);
    return good && cursor_done(&rest);
}

/* A copy being made has rows of modseqs that its mailbox has not reached; what has moved away has old ones.
 */
static enum err keep_in_sight(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                              struct uidset *uids)
{
    struct uidset kept = { 0 };
    enum err err = state_uids_among(s, account, mailbox, uids, &kept);
    if (err == OK)
        uidset_copy(&kept, uids);
    uidset_fini(&kept);
    return err;
}

enum err change_scan_page(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                          uint64_t since, size_t limit, struct uidset *out, uint64_t *until_out)
{
    *until_out = UINT64_MAX;
    struct buf uids = { 0 };
    bool on_row;
    struct kv_iter *it = begin(s, account, KEY_CHANGE, mailbox->id, since, mailbox->modseq, &on_row);
    enum err err = OK;
    uint64_t newest = 0;
    for (; on_row; on_row = kv_iter_next(it)) {
        uint64_t modseq;
        uint32_t uid;
        if (!read_position(kv_iter_key(it), &modseq, &uid) || uid == 0) {
            err = state_corrupt_row(s, kv_iter_key(it));
            break;
        }
        if (modseq != newest && uids.len / sizeof uid >= limit) {
            *until_out = newest;
            break;
        }
        newest = modseq;
        buf_add(&uids, &uid, sizeof uid);
    }
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    sort_into_set(&uids, out);
    buf_fini(&uids);
    if (err == OK && !mailbox_is_plain(mailbox))
        err = keep_in_sight(s, account, mailbox, out);
    return err;
}

enum err change_scan_uids(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                          uint64_t since, struct uidset *out)
{
    uint64_t until;
    return change_scan_page(s, account, mailbox, since, SIZE_MAX, out, &until);
}

enum err change_scan_vanished(const struct state *s, uint64_t account, uint64_t mailbox, uint64_t since,
                              uint64_t until, struct uidset *out)
{
    uidset_clear(out);
    bool on_row;
    struct kv_iter *it = begin(s, account, KEY_VANISHED, mailbox, since, until, &on_row);
    enum err err = OK;
    for (; on_row && err == OK; on_row = kv_iter_next(it)) {
        uint64_t modseq, last;
        uint32_t first;
        bool good =
            read_position(kv_iter_key(it), &modseq, &first) && number_decode(kv_iter_value(it), &last);
        if (!good || first == 0 || last < first || last > UINT32_MAX)
            err = state_corrupt_row(s, kv_iter_key(it));
        else
            uidset_add_range(out, first, (uint32_t)last);
    }
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}
