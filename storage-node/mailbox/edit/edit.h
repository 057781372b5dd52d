/* SPDX-License-Identifier: Apache-2.0 */
/* Changing an account and its mailboxes within one entry: each row is read once, changed in memory by any
 * number of steps, and written once by the close functions. Nothing is written if the entry is refused in
 * between. Only for the state machine. */
#ifndef STORAGE_NODE_MAILBOX_EDIT_EDIT_H
#define STORAGE_NODE_MAILBOX_EDIT_EDIT_H

#include "storage-node/mailbox/method.h"

struct account_edit {
    uint64_t id;
    struct counters_row row;
    uint64_t modseq; /* of this entry in this account; 0: none taken yet */
};

/* ERR_NOT_FOUND. */
MUST_CHECK enum err account_open(struct apply *a, uint64_t id, struct account_edit *out);
/* All that one entry changes in an account gets one modseq. */
uint64_t account_modseq(struct account_edit *account);
/* The next UIDVALIDITY: it never goes back, also after delete and create (RFC 9051 2.3.1.1). */
uint32_t account_uidvalidity(const struct apply *a, struct account_edit *account);
/* ERR_OVER_QUOTA if `size` more bytes do not fit. */
MUST_CHECK enum err account_check_quota(const struct account_edit *account, uint64_t size);
void account_close(struct apply *a, const struct account_edit *account);

struct mailbox_edit {
    struct account_edit *account;
    struct mailbox_row row;
    uint64_t modseq; /* of this entry; 0: nothing has changed */
    bool segment_loaded, segment_dirty;
    uint32_t segment_number;
    struct segment_row segment;
    bool keywords_loaded, keywords_dirty;
    struct keywords_row keywords; /* once loaded */
    struct uidset vanished;
};

/* ERR_NOT_FOUND, also for a \Noselect name; ERR_UIDVALIDITY if that is not 0 and another one. The edit must
 * be closed or dropped. */
MUST_CHECK enum err mailbox_edit_open(struct apply *a, struct account_edit *account, uint64_t id,
                                      uint32_t uidvalidity, struct mailbox_edit *out);
/* The same for a mailbox row at hand (new or just read). */
void mailbox_edit_begin(struct account_edit *account, const struct mailbox_row *row,
                        struct mailbox_edit *out);
/* Write what changed and tell watchers of it; frees what the edit holds, on error too. */
MUST_CHECK enum err mailbox_edit_close(struct apply *a, struct mailbox_edit *m);
/* Free what the edit holds without writing. */
void mailbox_edit_drop(struct mailbox_edit *m);
/* Mark it changed: its modseq becomes this entry's. */
uint64_t mailbox_touch(struct mailbox_edit *m);

/* Without an edit: write a mailbox's row. */
void mailbox_put(struct apply *a, uint64_t account, const struct mailbox_row *row);
/* The same of a segment; one in which nothing exists has no row. */
void segment_put(struct apply *a, uint64_t account, uint64_t mailbox, uint32_t number,
                 const struct segment_row *row);

MUST_CHECK enum err mailbox_load_keywords(struct apply *a, struct mailbox_edit *m);
/* The mask of these keywords, added to the table if they are new and `add` says so (else passed over).
 * ERR_INVALID: no keyword; ERR_LIMIT: the table is full. */
MUST_CHECK enum err mailbox_keyword_mask(struct apply *a, struct mailbox_edit *m, char *const *names,
                                         size_t count, bool add, uint64_t *mask_out);
/* The bit of one keyword, added if new and there is room; 0 if there is none. The table is loaded. */
uint64_t mailbox_keyword_bit(struct mailbox_edit *m, struct slice name);
/* Keywords of one mailbox as bits of another's table, to which they are added. They keep their names, not
 * their bits; one that a full table has no room for is dropped. Zero-initialised; both tables are loaded. */
struct keyword_bits {
    uint64_t known, of[KEYWORDS_MAX];
};
uint64_t keyword_bits_translate(struct keyword_bits *b, const struct mailbox_edit *from,
                                struct mailbox_edit *to, uint64_t mask);

/* Add a message with the next UID; everything of `message` but modseq is taken as it is. ERR_LIMIT: UIDs are
 * used up. The body's reference is the caller's matter. `summary_row` is the encoded SUMMARY row. */
MUST_CHECK enum err message_add(struct apply *a, struct mailbox_edit *m, const struct message_row *message,
                                struct slice summary_row, uint32_t *uid_out);
/* Write the rows of a message that nobody shall see yet: with this UID and modseq, counted nowhere. */
MUST_CHECK enum err message_stage(struct apply *a, struct mailbox_edit *m, const struct message_row *message,
                                  struct slice summary_row, uint32_t uid);
/* Mark a message as leaving. */
MUST_CHECK enum err message_mark_leaving(struct apply *a, struct mailbox_edit *m, uint32_t uid);
/* Delete a message's rows, but for its bit in the segment. */
void message_delete_rows(struct apply *a, uint64_t account, uint64_t mailbox, uint32_t uid,
                         const struct message_row *message);
/* Give a message other flags; `message` is its row as read. */
MUST_CHECK enum err message_change_flags(struct apply *a, struct mailbox_edit *m, uint32_t uid,
                                         const struct message_row *message, uint32_t flags,
                                         uint64_t keywords);
/* Take a message out; it is remembered as vanished. The body's reference is the caller's matter. */
MUST_CHECK enum err message_remove(struct apply *a, struct mailbox_edit *m, uint32_t uid,
                                   const struct message_row *message);

/* Counts of a committed stage into or out of a mailbox, not its account. ERR_CORRUPT: they are not in it. */
MUST_CHECK enum err mailbox_count_stage(struct mailbox_edit *m, const struct stage_row *stage, bool in);

/* ---- bodies */

/* One more reference, or one less; at none it is freed by a sweep after UNDELETE_MS. */
MUST_CHECK enum err body_ref(struct apply *a, uint64_t body);
MUST_CHECK enum err body_unref(struct apply *a, uint64_t body);

/* A message as it came with an entry, its bytes found: beside the entry or in an upload. */
struct incoming {
    struct message_row message; /* all but modseq and keywords */
    struct slice summary;
    struct body_row body;   /* without references */
    struct slice upload_id; /* empty: beside the entry */
};
/* ERR_NOT_FOUND: no such complete upload; ERR_INVALID: its size is another. Changes nothing. */
MUST_CHECK enum err incoming_find(struct apply *a, const Tern__NewMessage *request, struct incoming *out);
/* The bytes become a body with `refs` references (none: they are freed at once); the upload is gone. */
MUST_CHECK enum err incoming_take(struct apply *a, const struct incoming *in, uint32_t refs);
/* Bounds of a request's message. */
MUST_CHECK enum err incoming_check(const Tern__NewMessage *request, size_t body_len);

#endif
