/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: bringing them in, reading, flagging, moving, searching. See store.h for what every call may
 * return. */
#ifndef LIB_STORE_MESSAGE_H
#define LIB_STORE_MESSAGE_H

#include "lib/base/buf.h"
#include "lib/mail/row.h"
#include "lib/mail/uidset.h"
#include "lib/store/account.h"
#include "lib/store/mailbox.h"

/* Bounds of the storage nodes that callers must know (proto/methods.h, checked there to be the same). */
enum {
    STORE_BODY_READ_MAX = 1024 * 1024, /* bytes of one store_body_read */
    STORE_PIECE_MAX = 512 * 1024,      /* bytes of a message that a stream asks for at once ... */
    STORE_PIECES_AHEAD = 3,            /* ... and how many pieces while the caller works on one */
    STORE_APPEND_MAX = 500,            /* messages of one store_append */
    STORE_KEPT_MAX = 32 * 1024 * 1024, /* bytes of uploads that a store keeps to send them again */
    /* For a partition that has the only copy of a message that is not kept: a sender waits 3 minutes for its
     * next octets to be taken, and 10 for the answer behind the last (RFC 5321 4.5.3.2). */
    STORE_ALONE_WAIT_MS = 120 * 1000,
    STORE_LOCK_EXPIRY_MS = 60 * 1000, /* a lock not renewed for so long ends */
};

/* ---- bringing in. An upload streams one message towards one or several partitions. Up to BODY_CHUNK_MAX
 * bytes stay in memory and travel with the command that uses them; of larger messages the earlier chunks are
 * already on disk at the partitions by then. */
struct upload;

/* Takes the partitions where the message will be needed, for a delivery once for each target there (copied).
 * Does not yield. */
struct upload *upload_new(struct store *store, const uint32_t *partitions, size_t count);
/* Try each partition no longer than `wait_ms` when the first bytes go there (with a delivery, if the message
 * travels with it); what has begun to arrive is given the usual time, unless it can be sent elsewhere. */
void upload_limit_wait(struct upload *u, uint32_t wait_ms);
/* If a partition does not take a chunk of a larger message, or its delivery, send it all to some healthy one
 * too, from where store_queue_put can take it. For that, what was sent is kept; the upload that makes its
 * store keep more than STORE_KEPT_MAX gives it up: no copy can be made any more, and partitions without one
 * are waited for up to STORE_ALONE_WAIT_MS a chunk, and as long for the delivery. Before the first write. */
void upload_want_spare(struct upload *u);
/* Add bytes. An error for one partition of several is remembered and told at deliver; this fails only if no
 * partition is left. Yields. */
MUST_CHECK enum err upload_write(struct upload *u, struct slice bytes);
uint64_t upload_size(const struct upload *u);
/* Whether all of it is still in memory, to travel with whatever command uses it. */
bool upload_is_inline(const struct upload *u);
/* The message is complete, and this is its summary (lib/mail/summary.h; copied). Does not yield. */
void upload_finish(struct upload *u, struct slice summary);
/* Bring all of a finished upload to its partitions and give its memory back: for those who hold several at
 * once (the store does it by itself where a message cannot travel with its command). Fails only if no
 * partition is left. Yields. */
MUST_CHECK enum err upload_complete(struct upload *u);
/* Frees; what was not used is swept by the partitions later. */
void upload_free(struct upload **u);

struct append_message {
    struct upload *upload; /* finished; made for the account's home partition */
    uint32_t flags;        /* enum mail_flag bits */
    const struct slice *keywords;
    size_t keyword_count;
    uint64_t internaldate_ms;  /* 0: now */
    int32_t internaldate_zone; /* minutes east of UTC */
};
struct append_result {
    uint32_t uidvalidity;
    struct uidset uids; /* in the arena */
    uint64_t modseq;
};
/* APPEND: all messages or none. ERR_NOT_FOUND, ERR_OVER_QUOTA, ERR_LIMIT, ERR_TOO_BIG. */
MUST_CHECK enum err store_append(struct store *store, struct account_ref account, uint64_t mailbox,
                                 const struct append_message *messages, size_t count, struct arena *arena,
                                 struct append_result *out);

/* Names a delivery for ever: repeated with the same id it has no second effect. */
struct delivery_id {
    uint8_t bytes[16];
};
struct delivery_id delivery_id_new(void);

struct delivery_target {
    struct account_ref account;
    struct slice mailbox; /* name; empty: INBOX */
    enum err status; /* out: OK, or why not (ERR_NOT_FOUND: the account is gone; temporary; ERR_IN_DOUBT) */
    uint32_t uid, uidvalidity; /* out */
};
/* One message to many accounts; one body a partition. Partitions are asked in parallel. Each target gets its
 * own status. */
void store_deliver(struct store *store, struct upload *upload, struct delivery_id id,
                   struct delivery_target *targets, size_t count);

/* ---- reading */
/* A page of rows (lib/mail/row.h), owned: fini it. Iterate: struct row r; while (fetch_page_next(&page, &r))
 * ... Rows borrow from the page. */
struct fetch_page {
    struct cursor rows;
    uint32_t next_uid; /* 0: nothing left behind this page */
    uint64_t modseq;   /* the mailbox's, when the page was read */
    uint32_t uidnext;
    uint32_t keyword_count; /* size of the mailbox's keyword table then: more than known means fetching the
                               mailbox or the changes */
    void *priv;
};
bool fetch_page_next(struct fetch_page *page, struct row *out);
void fetch_page_fini(struct fetch_page *page);

/* A FETCH in pages, the next one being asked for while the caller works on this one. */
struct fetch;
struct fetch_options {
    struct account_ref account;
    struct mailbox_ref mailbox;
    const struct uidset *uids; /* copied */
    uint32_t items;            /* ROW_* bits wanted */
    uint64_t changed_since;    /* only rows with a higher modseq; 0: all */
    uint32_t page_bytes;       /* 0: a sensible default */
};
struct fetch *fetch_new(struct store *store, const struct fetch_options *options);
/* The next page: OK, ERR_NOT_FOUND when there is none, or an error (then the fetch has ended). Yields. */
MUST_CHECK enum err fetch_next(struct fetch *f, struct fetch_page *page_out);
void fetch_free(struct fetch **f);

/* Bytes of one message, appended to `out`; `length` at most STORE_BODY_READ_MAX; shorter at the end of the
 * message. ERR_NOT_FOUND if it is gone. */
MUST_CHECK enum err store_body_read(struct store *store, struct account_ref account,
                                    struct mailbox_ref mailbox, uint32_t uid, uint64_t offset,
                                    uint32_t length, struct buf *out);

/* The bytes [offset, offset + len) of one message in order, the next ones being asked for while the caller
 * works on some. Does not yield. */
struct body_stream;
struct body_stream *body_stream_new(struct store *store, struct account_ref account,
                                    struct mailbox_ref mailbox, uint32_t uid, uint64_t offset, uint64_t len);
/* The next of them, at least one and at most STORE_PIECE_MAX, valid until the next call. ERR_NOT_FOUND: there
 * are no more, or the message is gone. After an error there are no more. Yields. */
MUST_CHECK enum err body_stream_next(struct body_stream *b, struct slice *out);
void body_stream_free(struct body_stream **b); /* no effect on NULL */

/* ---- what happened since. */
struct changes {
    uint64_t modseq;        /* state after this page */
    bool more;              /* ask again from modseq */
    struct uidset vanished; /* owned: changes_fini */
    uint32_t uidnext;
    struct slice *keywords; /* in the arena; the whole table, NULL if it did not grow */
    uint32_t keyword_count;
    bool floor_passed;      /* vanished is complete only because of / only with known_uids */
    struct fetch_page page; /* rows of new and changed messages, without optional parts */
};
/* known_uids (may be NULL) lets the answer name all that vanished even when the floor was passed. */
MUST_CHECK enum err store_changes(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                                  uint64_t since_modseq, const struct uidset *known_uids, struct arena *arena,
                                  struct changes *out);
void changes_fini(struct changes *c);

/* UIDs that match a search program (lib/mail/search.h, encoded; sequence numbers already UID sets). *out
 * initialised by the caller. */
MUST_CHECK enum err store_search(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                                 struct slice program, const struct uidset *view_uids, struct uidset *out,
                                 uint64_t *max_modseq_out);

/* ---- changing. Sets of any size: split here into bounded requests, each with a deadline of its own. STORE
 * and EXPUNGE may stop in the middle with an error, what was done by then is in the result; COPY and MOVE are
 * all or nothing. */

/* Told between the requests of a large change: so much of `total` is done, never less than before. It may
 * yield. */
struct store_progress {
    void (*fn)(uint64_t done, uint64_t total, void *arg);
    void *arg;
};
enum store_mode { STORE_MODE_REPLACE = 0, STORE_MODE_ADD = 1, STORE_MODE_REMOVE = 2 };
struct store_flags_request {
    struct account_ref account;
    struct mailbox_ref mailbox;
    const struct uidset *uids;
    enum store_mode mode;
    uint32_t flags;
    const struct slice *keywords;
    size_t keyword_count;
    const uint64_t *unchanged_since;       /* NULL: unconditional */
    const struct store_progress *progress; /* NULL: nobody asks */
    uint32_t timeout_ms;                   /* how long each request goes on trying; 0: STORE_DEADLINE_MS */
};
struct store_flags_result {
    uint64_t modseq;        /* of the last change; 0: none */
    uint64_t before_modseq; /* the mailbox's before, and nothing but this changed it; 0: not known */
    uint32_t parts;         /* requests that were answered */
    bool one_modseq;        /* all that changed have the modseq above */
    bool one_flags;         /* all that changed carry these now: */
    uint32_t flags;
    uint64_t keyword_mask;           /* over the table below */
    struct uidset changed, modified; /* owned: fini; `modified` failed unchanged_since */
    struct slice *keywords;          /* the table afterwards, in the arena */
    uint32_t keyword_count;
};
/* ERR_NOT_FOUND (mailbox), ERR_LIMIT (too many keywords), ERR_SYNTAX (bad keyword). */
MUST_CHECK enum err store_flags(struct store *store, const struct store_flags_request *request,
                                struct arena *arena, struct store_flags_result *out);
void store_flags_result_fini(struct store_flags_result *r);

/* only_deleted: only those carrying \Deleted. *vanished_out initialised by the caller: what was expunged by
 * this call. */
MUST_CHECK enum err store_expunge(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                                  const struct uidset *uids, bool only_deleted,
                                  const struct store_progress *progress, struct uidset *vanished_out,
                                  uint64_t *modseq_out);

struct copy_request {
    struct account_ref account;
    struct mailbox_ref from;
    uint64_t to; /* mailbox */
    const struct uidset *uids;
    bool move;
    const struct store_progress *progress; /* NULL: nobody asks */
};
struct copy_result {
    uint32_t uidvalidity;
    struct uidset from, to; /* owned: fini; same count, paired in ascending order */
    uint64_t modseq;
};
/* COPY or MOVE to another mailbox of the account: all or none, of any number. Those that exist when they come
 * to their turn are copied as they are then. ERR_NOT_FOUND (target), ERR_OVER_QUOTA; ERR_CONFLICT (other
 * sessions keep changing what is to move) and ERR_IN_USE (another large copy of this account does not end):
 * nothing has happened. ERR_IN_DOUBT: all or nothing has. */
MUST_CHECK enum err store_copy(struct store *store, const struct copy_request *request,
                               struct copy_result *out);
void copy_result_fini(struct copy_result *r);

/* ---- watching and locking */
struct watch;
typedef void watch_fn(
    uint64_t modseq,
    void *arg); /* on the loop, outside fibers; must not yield. A hint: ask for the changes. */
/* From now on `fn` is called when the mailbox passes a modseq (mailbox 0: any of the account). Kept alive
 * across fail-overs, re-registered with the newest modseq told, so nothing is missed. Does not yield. */
struct watch *watch_new(struct store *store, struct account_ref account, uint64_t mailbox, uint64_t modseq,
                        watch_fn *fn, void *arg);
void watch_free(struct watch **watch);

/* POP3's exclusive session; renew at least every STORE_LOCK_EXPIRY_MS/2. ERR_IN_USE. */
MUST_CHECK enum err store_lock(struct store *store, struct account_ref account, struct slice token);
void store_unlock(struct store *store, struct account_ref account,
                  struct slice token); /* spawns its own fiber; does not yield */

#endif
