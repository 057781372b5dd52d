/* SPDX-License-Identifier: Apache-2.0 */
/* IMAP's view of a summary: ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 7.5.2, RFC 3501 7.4.2), and IMAP
 * strings. Appends to `out`; on an error `out` is as it was. Pure; safe on fiber stacks. */
#ifndef LIB_MAIL_IMAP_FORMAT_H
#define LIB_MAIL_IMAP_FORMAT_H

#include "lib/mail/summary.h"

enum {
    IMAP_QUOTED_MAX = 1024, /* longer strings are sent as literals */
};

struct imap_format {
    bool utf8; /* the client enabled UTF8=ACCEPT (RFC 6855) or IMAP4rev2: UTF-8 may stand in quoted strings */
    bool rev2; /* the client enabled IMAP4rev2: message/global has an envelope like message/rfc822 */
};

/* A quoted string, or a literal where the bytes cannot be quoted. */
void imap_format_string(struct buf *out, struct slice s, bool utf8);
/* NIL if s.data is NULL, else a string. */
void imap_format_nstring(struct buf *out, struct slice s, bool utf8);
/* An atom where the bytes allow it, else a string. */
void imap_format_astring(struct buf *out, struct slice s, bool utf8);

/* ERR_NOT_FOUND: the summary lacks it (make a full one from the body). ERR_CORRUPT: it is damaged. */
MUST_CHECK enum err imap_format_envelope(const struct summary *s, const struct imap_format *how,
                                         struct buf *out);
MUST_CHECK enum err imap_format_body(const struct summary *s, const struct imap_format *how, struct buf *out);
MUST_CHECK enum err imap_format_bodystructure(const struct summary *s, const struct imap_format *how,
                                              struct buf *out);

#endif
