/* SPDX-License-Identifier: Apache-2.0 */
/* The sequence-set of IMAP (RFC 9051 9) as a client wrote it: still with '*', in the client's order. What it
 * selects is a uidset, which seqset_resolve makes when the mailbox is known. ('$' is the codec's matter.) */
#ifndef LIB_MAIL_SEQSET_H
#define LIB_MAIL_SEQSET_H

#include "lib/mail/uidset.h"

/* Ranges one written set may have; a command of 64 KiB cannot hold more. */
enum { SEQSET_RANGES_MAX = 32768 };

struct seqset_range {
    uint32_t first; /* 0 stands for '*' */
    uint32_t last;  /* 0 stands for '*'; may be below first */
};

struct seqset {
    struct seqset_range *ranges; /* in the arena */
    uint32_t count;              /* at least 1 after parsing */
};

/* Parse the whole of `text`. Returns ERR_SYNTAX (0, empty, beyond 32 bits) or ERR_TOO_BIG (too many ranges).
 */
MUST_CHECK enum err seqset_parse(struct slice text, struct arena *arena, struct seqset *out);

/* The set with '*' = max, cut to 1..max: for UIDs max is the highest UID in the mailbox, for sequence numbers
 * the number of messages; with max 0 nothing is selected. "7:*" selects the last message even if max is below
 * 7 (RFC 9051 9). *out was initialised and is replaced. */
void seqset_resolve(const struct seqset *s, uint32_t max, struct uidset *out);

/* Whether every number written is at most max and '*' names something: else sequence numbers are a BAD (RFC
 * 9051 9: "The server should respond with a tagged BAD ... to a message sequence number greater than the
 * number of messages"). */
bool seqset_is_within(const struct seqset *s, uint32_t max);
bool seqset_contains(const struct seqset *s, uint32_t number, uint32_t max);
void seqset_format(const struct seqset *s, struct buf *out);

#endif
