/* SPDX-License-Identifier: Apache-2.0 */
/* The message a FETCH is at: its summary and its bytes, from the row where they came along, from the store in
 * pieces where they did not. One is used for all rows of a command, so that buffers are made once. */
#ifndef FRONTEND_IMAP_MESSAGE_H
#define FRONTEND_IMAP_MESSAGE_H

#include "frontend/imap/session.h"
#include "lib/mail/summary.h"

struct imap_message {
    struct imap_session *s;
    const struct row *row;    /* as it is shown */
    const struct row *stored; /* as it came from the store: another one if the header was replaced */
    struct summary summary;
    bool has_summary;
    struct buf made;            /* a summary that had to be made from the body */
    struct body_stream *stream; /* what is read of the store, up to ... */
    uint64_t stream_end;        /* ... this offset */
    struct slice piece;         /* of it, read last ... */
    uint64_t piece_offset;
    /* If the header was replaced: */
    struct row surrogate;       /* of the message with ... */
    struct buf header;          /* ... this header, in the place of ... */
    uint64_t stored_header_len; /* ... as many octets */
};

/* Zero-initialise, then begin with each row (borrowed until the next). */
void imap_message_begin(struct imap_message *m, struct imap_session *s, const struct row *row);
/* Show this message with its header downgraded: `header` is what it is stored with. All functions here work
 * on the surrogate from now on. */
void imap_message_replace_header(struct imap_message *m, struct slice header);
void imap_message_fini(struct imap_message *m);

/* As many bytes from `offset` on as are at hand, at least one and at most `len`; valid until the next call.
 * `len` is what the caller wants in the end: what follows is asked for ahead.
 * ERR_NOT_FOUND: the message is gone, or ends here. Yields. */
MUST_CHECK enum err imap_message_read(struct imap_message *m, uint64_t offset, uint64_t len,
                                      struct slice *out);

/* The summary with all of `has` (SUMMARY_HAS_...), as far as the message has it: if the stored one lacks
 * something, a full one is made of the body, once. Yields then. */
MUST_CHECK enum err imap_message_summary(struct imap_message *m, unsigned has, const struct summary **out);

#endif
