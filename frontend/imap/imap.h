/* SPDX-License-Identifier: Apache-2.0 */
/* The IMAP server: IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) sessions over the store. */
#ifndef FRONTEND_IMAP_IMAP_H
#define FRONTEND_IMAP_IMAP_H

#include "lib/net/stream.h"

/* Serve one connection, for listener_config.serve: on ports 143 (STARTTLS is offered if the context has a
 * certificate) and 993 (TLS has been started by the listener). Works on context_self(); `arg` is not used.
 * Owns the stream from here on; returns when the session has ended or was parked (it goes on in a fiber of
 * its own then). stream_cancel_input makes the session say BYE and end, when the command under way is done.
 * Yields. */
void imap_serve(struct stream *s, void *arg);

/* Said to connections beyond the listener's bound. */
#define IMAP_REFUSAL "* BYE [UNAVAILABLE] too many connections, try again later\r\n"

#endif
