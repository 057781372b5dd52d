/* SPDX-License-Identifier: Apache-2.0 */
/* What a submitted message should have and a client left out (RFC 6409 8.2, 8.3). Mail from other hosts is
 * never completed. */
#ifndef FRONTEND_SMTP_MISSING_H
#define FRONTEND_SMTP_MISSING_H

#include "lib/base/buf.h"

enum { MISSING_HEADER_MAX = 64 * 1024 /* octets held back to see whether a header has a field */ };

/* Append a Date and a Message-ID field, each only if `header` (a message's beginning up to its empty line or
 * beyond) has none. `id` and `hostname` make the Message-ID. */
void missing_write(struct slice header, const char *id, const char *hostname, uint64_t now_ms,
                   struct buf *out);

#endif
