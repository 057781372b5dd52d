/* SPDX-License-Identifier: Apache-2.0 */
/* What is on its way to the disk. A write is known by a token; tokens become durable in order. The log's
 * durable length follows the newest durable token, and falls at once when a cut is ordered: what is behind
 * the cut is no part of this log any more, whatever the disk still holds. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/replica/replica_priv.h"

static struct rep_write *at(struct replica *r, uint32_t i)
{
    return &r->writes[(r->write_head + i) & (r->write_cap - 1)];
}

static void grow(struct replica *r)
{
    uint32_t cap = r->write_cap == 0 ? 4 : r->write_cap * 2;
    struct rep_write *writes = NEW_ARRAY(struct rep_write, cap);
    for (uint32_t i = 0; i < r->write_count; i++)
        writes[i] = *at(r, i);
    free(r->writes);
    r->writes = writes;
    r->write_cap = cap;
    r->write_head = 0;
}

void rep_write_push(struct replica *r, enum rep_write_kind kind, uint64_t token)
{
    if (r->write_count == r->write_cap)
        grow(r);
    *at(r, r->write_count++) = (struct rep_write){ token, r->log.last, r->dep, kind };
}

void rep_write_clamp(struct replica *r, uint64_t last)
{
    if (r->durable > last)
        r->durable = last;
    for (uint32_t i = 0; i < r->write_count; i++)
        if (at(r, i)->last > last)
            at(r, i)->last = last;
}

struct replica_action *rep_write_log(struct replica *r, uint64_t cut_from, uint64_t dep)
{
    if (cut_from != 0)
        rep_write_clamp(r, cut_from - 1);
    if (r->dep < dep && !REP_FAULT(r, r3))
        r->dep = dep;
    r->record = true;
    rep_write_push(r, REP_WRITE_LOG, ++r->token);
    struct replica_action *action = rep_act(r, REPLICA_ACT_WRITE);
    action->write.token = r->token;
    action->write.cut_from = cut_from;
    action->write.dep = r->dep;
    action->write.commit = r->commit;
    return action;
}

void rep_write_durable(struct replica *r, uint64_t token)
{
    while (r->write_count > 0 && at(r, 0)->token <= token) {
        struct rep_write done = *at(r, 0);
        r->write_head = (r->write_head + 1) & (r->write_cap - 1);
        r->write_count--;
        if (done.dep > r->dep_durable)
            r->dep_durable = done.dep;
        r->record_durable = true;
        if (done.kind == REP_WRITE_LOG)
            r->durable = done.last;
        else if (done.kind == REP_WRITE_WIPE)
            rep_snap_wiped(r);
        else
            rep_snap_written(r, done.kind);
    }
}

bool rep_write_dep_ok(const struct replica *r)
{
    return r->dep_durable >= r->ep || REP_FAULT(r, r3);
}
