/* SPDX-License-Identifier: Apache-2.0 */
/* The message a FETCH is at: its summary and its bytes, from the row where they came along, from the store in
 * pieces where they did not. One is used for all rows of a command, so that buffers are made once. */
#ifndef FRONTEND_IMAP_MESSAGE_H
#define FRONTEND_IMAP_MESSAGE_H

#include "frontend/imap/session.h"
#include "lib/mail/summary.h"

enum { IMAP_PIECE_MAX = 512 * 1024 }; /* bytes of a message asked for at once */

struct imap_message {
    struct imap_session *s;
    const struct row *row;
    struct summary summary;
    bool has_summary;
    struct buf made;  /* a summary that had to be made from the body */
    struct buf piece; /* read last ... */
    uint64_t piece_offset;
};

/* Zero-initialise, then begin with each row (borrowed until the next). */
void imap_message_begin(struct imap_message *m, struct imap_session *s, const struct row *row);
void imap_message_fini(struct imap_message *m);

/* As many bytes from `offset` on as are at hand, at least one and at most `len`; valid until the next call.
 * ERR_NOT_FOUND: the message is gone, or ends here. Yields. */
MUST_CHECK enum err imap_message_read(struct imap_message *m, uint64_t offset, uint64_t len,
                                      struct slice *out);

/* The summary with all of `has` (SUMMARY_HAS_...), as far as the message has it: if the stored one lacks
 * something, a full one is made of the body, once. Yields then. */
MUST_CHECK enum err imap_message_summary(struct imap_message *m, unsigned has, const struct summary **out);

#endif
