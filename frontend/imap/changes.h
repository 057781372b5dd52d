/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the client what happened to its mailbox: NOOP, IDLE and the end of every command are the same call.
 */
#ifndef FRONTEND_IMAP_CHANGES_H
#define FRONTEND_IMAP_CHANGES_H

#include "frontend/imap/session.h"

struct imap_telling {
    bool may_expunge;            /* EXPUNGE may be said now (RFC 9051 7.5.1) */
    bool with_uid;               /* FETCH responses carry the UID: the command was a UID one */
    const struct uidset *silent; /* NULL, or messages ... */
    uint64_t silent_modseq;      /* ... whose changes up to here the client made itself with .SILENT ... */
    bool silent_is_told;         /* ... or has been told in full */
};

/* Ask for what happened since the view's modseq and write it to s->out: FLAGS and PERMANENTFLAGS if keywords
 * were added, FETCH with the flags of changed messages, EXPUNGE (later, if it may not be said), EXISTS and
 * RECENT. The session must have a mailbox selected. ERR_NOT_FOUND: the mailbox is gone. Yields. */
MUST_CHECK enum err imap_changes_tell(struct imap_session *s, const struct imap_telling *how);

/* One's own change made all of these flags the same, and nothing else happened since the view's modseq: told
 * without asking. `flags` NULL: it was .SILENT, of which only clients that know modseqs hear. */
struct mail_flags;
void imap_changes_tell_own(struct imap_session *s, const struct uidset *changed,
                           const struct mail_flags *flags, uint64_t modseq, bool with_uid);

/* Only what is known already: the expunges that could not be told when they were noticed. */
void imap_changes_tell_gone(struct imap_session *s);

/* "* 3 FETCH (UID 7 FLAGS (...) MODSEQ (9))" for one row: what is told of a changed message. */
struct row;
void imap_changes_write_flags(struct imap_session *s, const struct row *row, uint32_t seq, bool with_uid);

#endif
