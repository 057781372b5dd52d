/* SPDX-License-Identifier: Apache-2.0 */
/* A message on its way in: trace fields in front, then what a submission left out of its header, then the
 * client's bytes, into the upload and the summary at once, never whole in memory. */
#ifndef FRONTEND_SMTP_INCOMING_H
#define FRONTEND_SMTP_INCOMING_H

#include "frontend/codec/smtp_data.h"
#include "frontend/smtp/session.h"

/* Begins with the trace fields for the session's transaction. Does not yield. */
struct incoming *incoming_new(struct smtp_session *s);
void incoming_free(struct incoming **in);
/* Add message bytes as they arrived: DATA's are un-stuffed here (*used_out: octets taken; *end_out: CRLF.CRLF
 * was reached), BDAT's are not. Faults are remembered and the rest is read for nothing. Yields. */
void incoming_push_data(struct incoming *in, struct slice bytes, size_t *used_out, bool *end_out);
void incoming_push_bdat(struct incoming *in, struct slice bytes);
/* Octets of the client's message so far. */
uint64_t incoming_size(const struct incoming *in);
/* The message is whole: deliver it to all recipients and reply. The transaction ends here in every case.
 * Yields. */
void incoming_finish(struct incoming *in, struct smtp_session *s);

#endif
