/* SPDX-License-Identifier: Apache-2.0 */
/* The POP3 server (RFC 1939, 2449, 2595, 3206, 5034, 6856): sessions over the store. */
#ifndef FRONTEND_POP3_POP3_H
#define FRONTEND_POP3_POP3_H

#include "lib/net/stream.h"

/* Serve one connection, for listener_config.serve, on port 110 and on 995 (TLS has been started by the
 * listener there). Works on context_self(); `arg` is not used. Owns the stream. stream_cancel_input makes the
 * session end with -ERR between commands; nothing is deleted then. Yields. */
void pop3_serve(struct stream *s, void *arg);

/* Said to connections beyond the listener's bound. */
#define POP3_REFUSAL "-ERR [SYS/TEMP] too many connections, try again later\r\n"

#endif
