/* SPDX-License-Identifier: Apache-2.0 */
/* The SMTP server (RFC 5321) and the submission server (RFC 6409): sessions over the store. */
#ifndef FRONTEND_SMTP_SMTP_H
#define FRONTEND_SMTP_SMTP_H

#include "lib/net/stream.h"

/* Serve one connection, for listener_config.serve, on port 25 and on 587/465 (TLS has been started by the
 * listener there). Works on context_self(); `arg` is not used. Owns the stream. stream_cancel_input makes the
 * session say 421 and end between commands. Yields. */
void smtp_serve(struct stream *s, void *arg);
void smtp_serve_submission(struct stream *s, void *arg);

/* Said to connections beyond the listener's bound. */
#define SMTP_REFUSAL "421 4.3.2 too many connections, try again later\r\n"

#endif
