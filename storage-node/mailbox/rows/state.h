/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the rows, the same for apply (through a transaction) and for reads (from a view). Every function
 * returns ERR_NOT_FOUND if the row is absent, ERR_CORRUPT if it makes no sense, or what kv said; what a row
 * borrows lives in the state's arena. */
#ifndef STORAGE_NODE_MAILBOX_ROWS_STATE_H
#define STORAGE_NODE_MAILBOX_ROWS_STATE_H

#include "lib/base/arena.h"
#include "lib/mail/uidset.h"
#include "storage-node/kv/kv.h"
#include "storage-node/mailbox/rows/rows.h"

struct state {
    struct kv_txn *txn; /* apply */
    struct kv *kv;      /* reads, with a view that may be NULL */
    const struct kv_view *view;
    uint32_t partition;
    struct arena *arena;
};

MUST_CHECK enum err state_get(const struct state *s, const struct key *key, struct kv_value *out);
/* All rows from `lower` to before `upper`. */
struct kv_iter *state_iter(const struct state *s, const struct key *lower, const struct key *upper);
/* All rows whose key begins with `prefix`. */
struct kv_iter *state_iter_prefix(const struct state *s, const struct key *prefix);

/* Log a row that could not be decoded; returns ERR_CORRUPT. */
enum err state_corrupt(const struct state *s, const struct key *key);
enum err state_corrupt_row(const struct state *s, struct slice key);

MUST_CHECK enum err state_number(const struct state *s, const struct key *key, uint64_t *out);
MUST_CHECK enum err state_address(const struct state *s, struct slice address, struct address_row *out);
MUST_CHECK enum err state_account(const struct state *s, uint64_t account, struct account_row *out);
MUST_CHECK enum err state_counters(const struct state *s, uint64_t account, struct counters_row *out);
MUST_CHECK enum err state_mailbox(const struct state *s, uint64_t account, uint64_t id,
                                  struct mailbox_row *out);
/* Like state_mailbox, but \Noselect names are not found: they hold no messages. ERR_UIDVALIDITY: the caller
 * speaks of another life of the mailbox (0: of any). */
MUST_CHECK enum err state_mailbox_open(const struct state *s, uint64_t account, uint64_t id,
                                       uint32_t uidvalidity, struct mailbox_row *out);
/* An empty table if the row is absent. */
MUST_CHECK enum err state_keywords(const struct state *s, uint64_t account, uint64_t mailbox,
                                   struct keywords_row *out);
MUST_CHECK enum err state_message(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t uid,
                                  struct message_row *out);
MUST_CHECK enum err state_summary(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t uid,
                                  struct slice *out);
/* All zero if the row is absent. */
MUST_CHECK enum err state_segment(const struct state *s, uint64_t account, uint64_t mailbox, uint32_t number,
                                  struct segment_row *out);
/* Empty if the row is absent. */
MUST_CHECK enum err state_recovered(const struct state *s, struct recovered_row *out);
MUST_CHECK enum err state_body(const struct state *s, uint64_t body, struct body_row *out);

/* The id of the mailbox called `name` below `parent` (0: at the top). */
MUST_CHECK enum err state_child(const struct state *s, uint64_t account, uint64_t parent, struct slice name,
                                uint64_t *id_out);
/* The id of the mailbox with this full name. */
MUST_CHECK enum err state_path(const struct state *s, uint64_t account, struct slice full, uint64_t *id_out);
/* The full name of a mailbox, in the arena. */
MUST_CHECK enum err state_full_name(const struct state *s, uint64_t account, const struct mailbox_row *row,
                                    struct slice *out);
/* The UIDs in [first, last] that are in sight, or in sight and unseen: no rows of a copy being made, none of
 * those that have moved away. *out was initialised and is replaced. */
enum segment_bits { SEGMENT_EXISTS, SEGMENT_UNSEEN };
MUST_CHECK enum err state_uids(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                               enum segment_bits bits, uint32_t first, uint32_t last, struct uidset *out);
/* The members of `wanted` that are in sight. *out was initialised and is replaced. */
MUST_CHECK enum err state_uids_among(const struct state *s, uint64_t account,
                                     const struct mailbox_row *mailbox, const struct uidset *wanted,
                                     struct uidset *out);

/* Is this UID, of which there are rows, in sight? */
MUST_CHECK enum err state_is_in_sight(const struct state *s, uint64_t account,
                                      const struct mailbox_row *mailbox, uint32_t uid, bool *out);
/* The first segment from *number on. ERR_NOT_FOUND if there is none. */
MUST_CHECK enum err state_segment_from(const struct state *s, uint64_t account, uint64_t mailbox,
                                       uint32_t *number, struct segment_row *out);
MUST_CHECK enum err state_stage(const struct state *s, uint64_t account, struct stage_row *out);

/* The first key that begins with `prefix`, and a cursor over what follows its kind. ERR_NOT_FOUND if there is
 * none. */
MUST_CHECK enum err state_first_key(const struct state *s, const struct key *prefix, struct key *key_out,
                                    struct cursor *rest_out);

/* Iterate the mailboxes of an account in the order of their ids. ERR_NOT_FOUND at the end. The scan begins
 * zeroed. */
struct mailbox_scan {
    struct kv_iter *it;
};
MUST_CHECK enum err mailbox_scan_next(const struct state *s, uint64_t account, struct mailbox_scan *scan,
                                      struct mailbox_row *out);
void mailbox_scan_end(struct mailbox_scan *scan);

#endif
