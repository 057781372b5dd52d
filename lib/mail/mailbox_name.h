/* SPDX-License-Identifier: Apache-2.0 */
/* Names of mailboxes as the system keeps them: UTF-8 in NFC (RFC 9051 5.1, RFC 5198), levels divided by '/',
 * "INBOX" in capitals. */
#ifndef LIB_MAIL_MAILBOX_NAME_H
#define LIB_MAIL_MAILBOX_NAME_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

#define MAILBOX_SEPARATOR '/'
enum {
    MAILBOX_LEVEL_SIZE_MAX = 255, /* octets of one level's name */
    MAILBOX_NAME_SIZE_MAX = 1000, /* octets of a whole name */
    MAILBOX_DEPTH_MAX = 16,       /* levels */
    MAILBOX_PATTERN_SIZE_MAX = 2 * MAILBOX_NAME_SIZE_MAX,
};

/* The canonical form of a UTF-8 name, in the arena (or `utf8` itself if nothing changes). A first level that
 * reads INBOX in any case becomes "INBOX". Returns ERR_SYNTAX for an empty name or level, bad UTF-8, control
 * characters or U+FEFF; ERR_TOO_BIG beyond the bounds. */
MUST_CHECK enum err mailbox_name_normalise(struct slice utf8, struct arena *arena, struct slice *out);
bool mailbox_name_is_inbox(struct slice name);
/* The canonical name up to the last separator (empty at the top level), and what follows it. */
struct slice mailbox_name_parent(struct slice name);
struct slice mailbox_name_leaf(struct slice name);

/* Whether a canonical name matches a LIST pattern (RFC 9051 6.3.9): '*' any characters, '%' any but the
 * separator. Costs at most O(name * pattern). `pattern` is canonical too: mailbox_pattern_normalise. */
bool mailbox_name_matches(struct slice name, struct slice pattern);
/* The NFC form of a pattern with a leading INBOX level in capitals, in the arena. Empty is allowed. Returns
 * ERR_SYNTAX or ERR_TOO_BIG. */
MUST_CHECK enum err mailbox_pattern_normalise(struct slice utf8, struct arena *arena, struct slice *out);

#endif
