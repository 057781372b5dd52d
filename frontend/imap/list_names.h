/* SPDX-License-Identifier: Apache-2.0 */
/* The names LIST and LSUB choose from, with what each knows of those below it. Pure. */
#ifndef FRONTEND_IMAP_LIST_NAMES_H
#define FRONTEND_IMAP_LIST_NAMES_H

#include "lib/base/arena.h"
#include "lib/store/mailbox.h"

struct imap_list_name {
    struct slice name;
    const struct mailbox *mailbox; /* NULL: only subscribed to, or the parent of such a name */
    bool subscribed;
    bool matches;          /* one of the patterns */
    bool has_children;     /* a mailbox is below */
    bool subscribed_below; /* a subscribed name is below ... */
    bool hidden_below;     /* ... and matches none of the patterns, so that this name must speak for it */
};

struct imap_list_names {
    struct imap_list_name *names; /* INBOX first, then in octet order; each name once */
    size_t count;
};

/* All mailboxes, all subscribed names and the parents of these; in the arena, borrowing from `list`. */
struct imap_list_names imap_list_names_of(const struct mailbox_list *list, const struct slice *patterns,
                                          size_t pattern_count, struct arena *arena);

#endif
