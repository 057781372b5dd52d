/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/list_names.h"

#include <stdlib.h>

#include "lib/mail/mailbox_name.h"

static int compare(const void *a, const void *b)
{
    const struct imap_list_name *x = a, *y = b;
    bool x_inbox = mailbox_name_is_inbox(x->name), y_inbox = mailbox_name_is_inbox(y->name);

    if (x_inbox != y_inbox)
        return x_inbox ? -1 : 1;
    return slice_cmp(x->name, y->name);
}

static struct imap_list_name *find(const struct imap_list_names *all, struct slice name)
{
    struct imap_list_name key = { .name = name };

    return bsearch(&key, all->names, all->count, sizeof(key), compare);
}

/* Names may stand twice (a mailbox, and subscribed to): what they know is put together. */
static void unite(struct imap_list_names *all)
{
    size_t kept = 0;

    for (size_t i = 0; i < all->count; i++) {
        struct imap_list_name *n = &all->names[i];
        struct imap_list_name *last = kept > 0 ? &all->names[kept - 1] : NULL;

        if (last == NULL || !slice_eq(last->name, n->name)) {
            all->names[kept++] = *n;
            continue;
        }
        if (last->mailbox == NULL)
            last->mailbox = n->mailbox;
        last->subscribed |= n->subscribed;
    }
    all->count = kept;
}

static void match(struct imap_list_names *all, const struct slice *patterns, size_t pattern_count)
{
    for (size_t i = 0; i < all->count; i++) {
        for (size_t p = 0; p < pattern_count && !all->names[i].matches; p++)
            all->names[i].matches = mailbox_name_matches(all->names[i].name, patterns[p]);
    }
}

static void tell_parents(struct imap_list_names *all)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct imap_list_name *n = &all->names[i];
        struct slice parent = n->name;

        while ((parent = mailbox_name_parent(parent)).len > 0) {
            struct imap_list_name *above = find(all, parent);

            if (above == NULL)
                continue;
            above->has_children |= n->mailbox != NULL;
            above->subscribed_below |= n->subscribed;
            above->hidden_below |= n->subscribed && !n->matches;
        }
    }
}

struct imap_list_names imap_list_names_of(const struct mailbox_list *list, const struct slice *patterns,
                                          size_t pattern_count, struct arena *arena)
{
    struct imap_list_names all = { 0 };
    size_t room = list->count + list->subscribed_count * MAILBOX_DEPTH_MAX;

    all.names = ARENA_ARRAY(arena, struct imap_list_name, room);
    for (size_t i = 0; i < list->count; i++)
        all.names[all.count++] =
            (struct imap_list_name){ .name = list->mailboxes[i].name, .mailbox = &list->mailboxes[i] };
    for (size_t i = 0; i < list->subscribed_count; i++) {
        struct slice parent = list->subscribed[i];

        all.names[all.count++] = (struct imap_list_name){ .name = parent, .subscribed = true };
        while ((parent = mailbox_name_parent(parent)).len > 0 && all.count < room)
            all.names[all.count++] = (struct imap_list_name){ .name = parent };
    }
    qsort(all.names, all.count, sizeof(all.names[0]), compare);
    unite(&all);
    match(&all, patterns, pattern_count);
    tell_parents(&all);
    return all;
}
