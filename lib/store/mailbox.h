/* SPDX-License-Identifier: Apache-2.0 */
/* Mailboxes of an account. Names are UTF-8, NFC, levels separated by '/', "INBOX" in capitals. See store.h
 * for what every call may return. */
#ifndef LIB_STORE_MAILBOX_H
#define LIB_STORE_MAILBOX_H

#include "lib/mail/uidset.h"
#include "lib/store/store.h"

/* A mailbox with the UIDVALIDITY that its UIDs are known under. Where a partition goes on from an older copy,
 * mailboxes keep their ids (or get one that was lost with others) and have a new UIDVALIDITY: a call that is
 * given the old one returns ERR_UIDVALIDITY without effect, so that no UID names another message than the one
 * that was meant. */
struct mailbox_ref {
    uint64_t id;
    uint32_t uidvalidity;
};

struct mailbox {
    uint64_t id; /* survives renames */
    struct slice name;
    uint32_t uidvalidity, uidnext;
    uint64_t modseq; /* highest */
    uint32_t messages, unseen, deleted;
    uint64_t size;
    uint32_t special_use; /* enum special_use bits */
    bool noselect;
    struct slice *keywords; /* keyword i is bit i */
    uint32_t keyword_count;
    uint32_t recent_uid;
    uint64_t vanished_floor;
    uint64_t created_ms;
};

struct mailbox_list {
    struct mailbox *mailboxes; /* sorted by name, INBOX first */
    size_t count;
    struct slice *subscribed; /* sorted; also names without a mailbox */
    size_t subscribed_count;
};

MUST_CHECK enum err store_mailbox_list(struct store *store, struct account_ref account, struct arena *arena,
                                       struct mailbox_list *out);
/* By name; counters only. ERR_NOT_FOUND. */
MUST_CHECK enum err store_mailbox_get(struct store *store, struct account_ref account, struct slice name,
                                      struct arena *arena, struct mailbox *out);
/* What SELECT needs. *uids_out (initialised, the caller's) are the UIDs of all messages. ERR_NOT_FOUND. */
MUST_CHECK enum err store_mailbox_open(struct store *store, struct account_ref account, struct slice name,
                                       struct arena *arena, struct mailbox *out, struct uidset *uids_out,
                                       uint32_t *first_unseen_uid_out);
/* Missing parents are made too. ERR_EXISTS, ERR_INVALID (bad name), ERR_LIMIT. */
MUST_CHECK enum err store_mailbox_create(struct store *store, struct account_ref account, struct slice name,
                                         uint32_t special_use, struct arena *arena, struct mailbox *out);
/* ERR_NOT_FOUND, ERR_DENIED (INBOX), ERR_NOT_EMPTY (a noselect name that still has children). */
MUST_CHECK enum err store_mailbox_delete(struct store *store, struct account_ref account, struct slice name);
/* ERR_NOT_FOUND, ERR_EXISTS, ERR_INVALID. */
MUST_CHECK enum err store_mailbox_rename(struct store *store, struct account_ref account, struct slice from,
                                         struct slice to);
MUST_CHECK enum err store_mailbox_subscribe(struct store *store, struct account_ref account,
                                            struct slice name, bool subscribed);
/* Fire and forget: \Recent of the next session starts above recent_uid. Spawns its own fiber; does not yield.
 */
void store_recent_advance(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                          uint32_t recent_uid);

#endif
