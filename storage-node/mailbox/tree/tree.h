/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of mailbox names of one account, being changed by an entry. */
#ifndef STORAGE_NODE_MAILBOX_TREE_TREE_H
#define STORAGE_NODE_MAILBOX_TREE_TREE_H

#include "storage-node/mailbox/edit/edit.h"

/* Bounds and form of a canonical full name: ERR_INVALID. */
MUST_CHECK enum err check_mailbox_name(const char *name);

/* A new empty mailbox below `parent`: its rows are written, *row_out is what was. ERR_LIMIT: the account has
 * too many. */
MUST_CHECK enum err mailbox_make(struct apply *a, struct account_edit *account, uint64_t parent,
                                 struct slice name, struct mailbox_row *row_out);
/* The same for a full name, its missing parents too. ERR_EXISTS; a \Noselect name comes to life. */
MUST_CHECK enum err mailbox_make_path(struct apply *a, struct account_edit *account, struct slice full,
                                      struct mailbox_row *row_out);
/* The id of the parent of a full name, made if missing (0: the top). */
MUST_CHECK enum err mailbox_make_parents(struct apply *a, struct account_edit *account, struct slice full,
                                         uint64_t *parent_out);
/* Write or delete a mailbox's place in the tree (NAME row). */
void mailbox_put_name(struct apply *a, uint64_t account, const struct mailbox_row *row);
void mailbox_delete_name(struct apply *a, uint64_t account, const struct mailbox_row *row);

MUST_CHECK enum err mailbox_has_children(const struct state *s, uint64_t account, uint64_t id, bool *out);
/* Put all direct children of one mailbox below another. */
MUST_CHECK enum err mailbox_move_children(struct apply *a, uint64_t account, uint64_t from, uint64_t to);
/* How far the names below a mailbox reach: levels, and octets with their separators. Both 0 if there are
 * none. */
struct tree_extent {
    unsigned depth;
    size_t size;
};
MUST_CHECK enum err mailbox_extent(const struct state *s, uint64_t account, uint64_t id,
                                   struct tree_extent *out);

#endif
