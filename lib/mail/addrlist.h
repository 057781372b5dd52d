/* SPDX-License-Identifier: Apache-2.0 */
/* Address lists of header fields (RFC 5322 3.4, with 4.4's obsolete routes), as IMAP's ENVELOPE wants them
 * (RFC 9051 7.5.2). Lenient: nothing is an error, what makes no sense becomes a name or is passed over.
 * Not for SMTP paths or account names: those have their own strict parsers. */
#ifndef LIB_MAIL_ADDRLIST_H
#define LIB_MAIL_ADDRLIST_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"

enum {
    ADDRLIST_MAX = 4096,         /* addresses and group marks of one field; further ones are left out */
    ADDRLIST_COMMENT_DEPTH = 32, /* deeper nested comments end at the first ")" */
};

/* A missing part is SLICE_NULL. A group starts with {mailbox = its name, host NULL} and ends with both NULL.
 */
struct mail_addr {
    struct slice name;    /* display name, quoting removed, encoded words as written */
    struct slice route;   /* "@a,@b" of an obsolete route */
    struct slice mailbox; /* local part, quoting removed */
    struct slice host;
};

struct addrlist {
    struct mail_addr *items;
    size_t count;
    size_t cap;
};

/* Parse an unfolded or folded field value and append to `list`; the memory is the arena's. */
void addrlist_parse(struct arena *arena, struct slice value, struct addrlist *list);

#endif
