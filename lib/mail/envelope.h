/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of a message (RFC 9051 7.5.2) as found in its header: values unfolded, encoded words as
 * written. sender and reply_to are empty where the header has none (the formatter falls back to from). */
#ifndef LIB_MAIL_ENVELOPE_H
#define LIB_MAIL_ENVELOPE_H

#include "lib/mail/addrlist.h"

struct envelope {
    struct slice date, subject, in_reply_to, message_id; /* SLICE_NULL if absent, else data is not NULL */
    struct addrlist from, sender, reply_to, to, cc, bcc; /* repeated fields are joined */
};

/* Fill `env` from a header block. Borrows from the block where it can, the rest is the arena's. */
void envelope_parse(struct arena *arena, struct slice block, struct envelope *env);

#endif
