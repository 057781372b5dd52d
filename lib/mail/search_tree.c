/* SPDX-License-Identifier: Apache-2.0 */
/* Building, resolving and ordering of search trees. Recursion is bounded: whoever builds a tree from outside
 * input keeps to SEARCH_DEPTH_MAX. */
#include "lib/mail/search.h"

struct search_node *search_node_new(struct arena *arena, enum search_op op)
{
    struct search_node *n = ARENA_NEW(arena, struct search_node);
    n->op = op;
    return n;
}

void search_node_add(struct search_node *parent, struct search_node *child)
{
    struct search_node **end = &parent->child;
    while (*end != NULL)
        end = &(*end)->next;
    *end = child;
}

static void become_uids(struct search_node *n, const struct uidset *uids, struct arena *arena)
{
    if (uids == NULL || uidset_is_empty(uids)) {
        n->op = SEARCH_NONE;
        return;
    }
    n->op = SEARCH_UIDS;
    n->uids = uidset_in_arena(uids, arena);
}

static enum err resolve_set(struct search_node *n, const struct search_view *view, struct arena *arena)
{
    struct uidset uids = { 0 };
    enum err err = OK;
    if (n->op == SEARCH_SEQS)
        err = uidmap_select(view->map, &n->seqs, false, &uids);
    else
        seqset_resolve(&n->seqs, uidmap_uid_max(view->map), &uids);
    if (err == OK)
        become_uids(n, &uids, arena);
    uidset_fini(&uids);
    return err;
}

/* RFC 5032: a moment that many seconds ago. */
static void resolve_age(struct search_node *n, int64_t now)
{
    int64_t age = n->number > INT32_MAX ? INT32_MAX : (int64_t)n->number;
    n->op = n->op == SEARCH_OLDER ? SEARCH_ARRIVED_TO : SEARCH_ARRIVED_FROM;
    n->number = (uint64_t)(now - age);
}

static enum err resolve(struct search_node *n, const struct search_view *view, struct arena *arena)
{
    switch (n->op) {
    case SEARCH_AND:
    case SEARCH_OR:
    case SEARCH_NOT:
        for (struct search_node *c = n->child; c != NULL; c = c->next)
            TRY(resolve(c, view, arena));
        return OK;
    case SEARCH_SEQS:
    case SEARCH_UID_SEQS:
        return resolve_set(n, view, arena);
    case SEARCH_SAVED:
        become_uids(n, view->saved, arena);
        return OK;
    case SEARCH_RECENT:
        become_uids(n, view->recent, arena);
        return OK;
    case SEARCH_OLDER:
    case SEARCH_YOUNGER:
        resolve_age(n, view->now);
        return OK;
    default:
        return OK;
    }
}

enum err search_resolve(struct search_node *tree, const struct search_view *view, struct arena *arena,
                        struct search_node **out)
{
    TRY(resolve(tree, view, arena));
    *out = tree;
    return OK;
}

enum search_cost search_cost_of(const struct search_node *tree)
{
    enum search_cost cost = SEARCH_COST_ROW;
    if (tree->op == SEARCH_HEADER)
        return SEARCH_COST_HEADER;
    if (tree->op == SEARCH_BODY || tree->op == SEARCH_TEXT)
        return SEARCH_COST_BODY;
    for (const struct search_node *c = tree->child; c != NULL; c = c->next) {
        enum search_cost of_child = search_cost_of(c);
        cost = of_child > cost ? of_child : cost;
    }
    return cost;
}

void search_order(struct search_node *tree)
{
    struct search_node *first[SEARCH_COST_BODY + 1] = { NULL };
    struct search_node **end[SEARCH_COST_BODY + 1];
    for (size_t cost = 0; cost <= SEARCH_COST_BODY; cost++)
        end[cost] = &first[cost];
    for (struct search_node *c = tree->child; c != NULL; c = c->next) {
        search_order(c);
        enum search_cost cost = search_cost_of(c);
        *end[cost] = c;
        end[cost] = &c->next;
    }
    *end[SEARCH_COST_BODY] = NULL;
    *end[SEARCH_COST_HEADER] = first[SEARCH_COST_BODY];
    *end[SEARCH_COST_ROW] = first[SEARCH_COST_HEADER];
    tree->child = first[SEARCH_COST_ROW];
}

void search_bind(struct search_node *tree, const struct keyword_table *table)
{
    if (tree->op == SEARCH_KEYWORD) {
        int index = keyword_table_find(table, tree->text);
        tree->number = index < 0 ? 0 : UINT64_C(1) << index;
    }
    for (struct search_node *c = tree->child; c != NULL; c = c->next)
        search_bind(c, table);
}

bool search_uids_bound(const struct search_node *tree, struct uidset *uids_out)
{
    if (tree->op == SEARCH_NONE || tree->op == SEARCH_UIDS) {
        *uids_out = tree->op == SEARCH_UIDS ? tree->uids : (struct uidset){ 0 };
        return true;
    }
    if (tree->op != SEARCH_AND)
        return false;
    for (const struct search_node *c = tree->child; c != NULL; c = c->next) {
        if (search_uids_bound(c, uids_out))
            return true;
    }
    return false;
}
