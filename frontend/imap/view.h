/* SPDX-License-Identifier: Apache-2.0 */
/* What a session knows of its mailbox: which messages under which numbers, and up to which modseq it was
 * told. No per-message data: the uidmap is run-length coded and flags are asked of the store when they are
 * wanted. */
#ifndef FRONTEND_IMAP_VIEW_H
#define FRONTEND_IMAP_VIEW_H

#include "frontend/codec/imap_command.h"
#include "lib/mail/flags.h"
#include "lib/mail/uidmap.h"
#include "lib/store/mailbox.h"

struct imap_view {
    struct mailbox_ref mailbox;
    uint32_t uidnext;
    uint32_t recent_floor; /* messages above it are \Recent here */
    uint32_t recent_told;  /* what the store knows of that */
    bool read_only;        /* EXAMINE */
    uint64_t modseq;       /* everything that happened up to here was told, or is in `gone` */
    struct uidmap map;
    struct uidset gone; /* expunged, but still in `map`: the client could not be told yet */
    struct keyword_table keywords;
};

/* From what store_mailbox_open gave; copies. */
void imap_view_init(struct imap_view *v, const struct mailbox *mailbox, const struct uidset *uids,
                    bool read_only);
void imap_view_fini(struct imap_view *v);

/* Replace the keyword table by the mailbox's newer one. True if names were added. */
bool imap_view_set_keywords(struct imap_view *v, const struct slice *names, uint32_t count);

/* A change of our own began at this modseq and nothing else came between, and the table of keywords then had
 * so many: true if the view knows everything but that change. */
bool imap_view_is_next(const struct imap_view *v, uint64_t before_modseq, uint32_t keyword_count);
/* Everything up to here is known now. */
void imap_view_advance(struct imap_view *v, uint64_t modseq);

bool imap_view_is_recent(const struct imap_view *v, uint32_t uid);
uint32_t imap_view_recent_count(const struct imap_view *v);

/* The messages a client's set selects, as UIDs ("$" is `saved`). With `uid` the numbers are UIDs.
 * ERR_INVALID: a sequence number beyond the view. *uids_out was initialised and is replaced. */
MUST_CHECK enum err imap_view_resolve(const struct imap_view *v, const struct imap_set *set, bool uid,
                                      const struct uidset *saved, struct uidset *uids_out);

#endif
