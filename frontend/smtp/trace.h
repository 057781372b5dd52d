/* SPDX-License-Identifier: Apache-2.0 */
/* The trace fields that a delivered message gets in front (RFC 5321 4.4, RFC 3848, RFC 8314 for TLS details).
 */
#ifndef FRONTEND_SMTP_TRACE_H
#define FRONTEND_SMTP_TRACE_H

#include "frontend/smtp/session.h"

/* Append Return-Path and Received for the session's transaction. `id` names the message in our log. */
void trace_write(const struct smtp_session *s, const char *id, uint64_t now_ms, struct buf *out);

#endif
