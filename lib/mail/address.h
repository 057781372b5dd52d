/* SPDX-License-Identifier: Apache-2.0 */
/* Mail addresses: RFC 5321 4.1.2 Mailbox with the UTF-8 of RFC 6531, brought to the one form by which the
 * system knows them. */
#ifndef LIB_MAIL_ADDRESS_H
#define LIB_MAIL_ADDRESS_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

/* RFC 5321 4.5.3.1, in octets. A path is the mailbox with its two angle brackets. */
enum {
    ADDRESS_LOCAL_MAX = 64,
    ADDRESS_DOMAIN_MAX = 255,
    ADDRESS_PATH_MAX = 256,
    ADDRESS_MAX = ADDRESS_PATH_MAX - 2,
    ADDRESS_CANONICAL_MAX = ADDRESS_MAX, /* the canonical form is an address too */
};

struct address {
    struct slice
        canonical; /* "local@domain" without the tag, local part quoted if it must be: what routing hashes */
    struct slice local;  /* NFC, case-folded, unquoted, without the tag */
    struct slice tag;    /* what followed the first '+' (NFC, case kept), data NULL if there was no '+' */
    struct slice domain; /* A-labels in lower case, no final dot; or "[...]" for an address literal */
    bool is_literal;     /* domain is an address literal: IPv4, IPv6: or a tagged one */
    bool is_utf8;        /* written with octets above 127: its sender needs SMTPUTF8 */
};

/* Read `text`, exactly one mailbox (no angle brackets, no source route, no display name, no blanks).
 * `local` is split at the first '+' that is not its first character. All of *out lives in `arena`.
 * Returns ERR_SYNTAX if it is none (bad UTF-8, domain not IDNA2008 and the like), ERR_TOO_BIG beyond the
 * bounds. */
MUST_CHECK enum err address_parse(struct slice text, struct arena *arena, struct address *out);

/* As address_parse for a domain alone, without address literals: NFC, IDNA2008 A-labels, lower case. */
MUST_CHECK enum err address_parse_domain(struct slice text, struct arena *arena, struct slice *domain_out);

#endif
