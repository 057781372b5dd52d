/* SPDX-License-Identifier: Apache-2.0 */
#include "director/coordination/coordination.h"

enum err coordination_load(struct coordination *c, const struct coordination_watcher *watcher,
                           uint64_t *newest_out)
{
    return c->ops->load(c, watcher, newest_out);
}

bool coordination_leads(struct coordination *c)
{
    return c != NULL && (c->ops->leads == NULL || c->ops->leads(c));
}

void coordination_leader(struct coordination *c, struct buf *out)
{
    if (c != NULL && c->ops->leader != NULL)
        c->ops->leader(c, out);
}

bool coordination_is_led(struct coordination *c)
{
    struct buf leader = { 0 };
    coordination_leader(c, &leader);
    bool led = leader.len > 0 || coordination_leads(c);
    buf_fini(&leader);
    return led;
}

size_t coordination_members(struct coordination *c,
                            struct coordination_member out[static COORDINATION_MEMBERS_MAX])
{
    return c == NULL || c->ops->members == NULL ? 0 : c->ops->members(c, out);
}

static bool change_is_bounded(const struct coordination_change *change)
{
    return change->key.len > 0 && change->key.len <= COORDINATION_KEY_MAX &&
           change->value.len <= COORDINATION_VALUE_MAX;
}

enum err coordination_submit(struct coordination *c, struct coordination_txn *txn)
{
    if (c == NULL)
        return ERR_UNAVAILABLE;
    if (txn->count > COORDINATION_CHANGES_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < txn->count; i++) {
        if (!change_is_bounded(&txn->changes[i]))
            return ERR_INVALID;
    }
    return c->ops->submit(c, txn);
}

void coordination_close(struct coordination **c)
{
    if (*c == NULL)
        return;
    (*c)->ops->close(*c);
    *c = NULL;
}
