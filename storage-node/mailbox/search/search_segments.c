/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/search/search_segments.h"

struct scope {
    const struct state *state;
    uint64_t account;
    const struct mailbox_row *mailbox;
    uint32_t first, last; /* of all that is asked about */
    bool unseen_loaded;
    struct uidset unseen;
};

/* Does the answer stand in segments, and are there at most *nodes keys? They are taken off. */
static bool is_known(const struct search_node *n, unsigned *nodes)
{
    if (*nodes == 0)
        return false;
    (*nodes)--;
    switch (n->op) {
    case SEARCH_ALL:
    case SEARCH_NONE:
    case SEARCH_UIDS:
        return true;
    case SEARCH_FLAG:
        return n->number == MAIL_SEEN;
    case SEARCH_AND:
    case SEARCH_OR:
    case SEARCH_NOT:
        for (const struct search_node *child = n->child; child != NULL; child = child->next) {
            if (!is_known(child, nodes))
                return false;
        }
        return true;
    default:
        return false;
    }
}

static enum err load_unseen(struct scope *s)
{
    if (s->unseen_loaded)
        return OK;
    s->unseen_loaded = true;
    return state_uids(s->state, s->account, s->mailbox, SEGMENT_UNSEEN, s->first, s->last, &s->unseen);
}

static enum err keep_matching(struct scope *s, const struct search_node *n, struct uidset *uids);

/* Each alternative is looked for among all. */
static enum err keep_any(struct scope *s, const struct search_node *n, struct uidset *uids)
{
    struct uidset found = { 0 }, one = { 0 };
    enum err err = OK;
    for (const struct search_node *child = n->child; child != NULL && err == OK; child = child->next) {
        uidset_copy(uids, &one);
        err = keep_matching(s, child, &one);
        uidset_add_set(&found, &one);
    }
    uidset_copy(&found, uids);
    uidset_fini(&found);
    uidset_fini(&one);
    return err;
}

static enum err drop_matching(struct scope *s, const struct search_node *n, struct uidset *uids)
{
    struct uidset matching = { 0 }, rest = { 0 };
    uidset_copy(uids, &matching);
    enum err err = keep_matching(s, n, &matching);
    uidset_subtract(uids, &matching, &rest);
    uidset_copy(&rest, uids);
    uidset_fini(&matching);
    uidset_fini(&rest);
    return err;
}

/* A program is_known() of. */
static enum err keep_matching(struct scope *s, const struct search_node *n, struct uidset *uids)
{
    struct uidset kept = { 0 };
    switch (n->op) {
    case SEARCH_ALL:
        return OK;
    case SEARCH_UIDS:
        uidset_intersect(uids, &n->uids, &kept);
        break;
    case SEARCH_FLAG:
        TRY(load_unseen(s));
        uidset_subtract(uids, &s->unseen, &kept);
        break;
    case SEARCH_AND:
        for (const struct search_node *child = n->child; child != NULL; child = child->next)
            TRY(keep_matching(s, child, uids));
        return OK;
    case SEARCH_OR:
        return keep_any(s, n, uids);
    case SEARCH_NOT:
        return drop_matching(s, n->child, uids);
    default:
        break; /* SEARCH_NONE */
    }
    uidset_copy(&kept, uids);
    uidset_fini(&kept);
    return OK;
}

enum err search_segments(const struct state *s, uint64_t account, const struct mailbox_row *mailbox,
                         const struct search_node *tree, struct uidset *uids, bool *exact_out)
{
    struct scope scope = {
        .state = s,
        .account = account,
        .mailbox = mailbox,
        .first = uidset_min(uids),
        .last = uidset_max(uids),
    };
    enum err err = OK;
    unsigned nodes = SEARCH_SEGMENT_NODES_MAX;
    *exact_out = is_known(tree, &nodes);
    if (*exact_out) {
        err = keep_matching(&scope, tree, uids);
    } else if (tree->op == SEARCH_AND) {
        nodes = SEARCH_SEGMENT_NODES_MAX;
        for (const struct search_node *child = tree->child; child != NULL && err == OK; child = child->next) {
            if (is_known(child, &nodes))
                err = keep_matching(&scope, child, uids);
        }
    }
    uidset_fini(&scope.unseen);
    return err;
}
