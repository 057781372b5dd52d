/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/replica/replica_priv.h"

void replica_actions_fini(struct replica_actions *a)
{
    free(a->list);
    *a = (struct replica_actions){ 0 };
}

struct replica_action *rep_act(struct replica *r, enum replica_action_type type)
{
    struct replica_actions *a = r->out;
    if (a->count == a->cap) {
        a->cap = a->cap == 0 ? 8 : a->cap * 2;
        a->list = xrealloc(a->list, a->cap * sizeof *a->list);
    }
    struct replica_action *action = &a->list[a->count++];
    *action = (struct replica_action){ .type = type };
    return action;
}

struct replica_msg *rep_act_send(struct replica *r, enum replica_msg_type type, struct replica_node to)
{
    struct replica_msg *msg = &rep_act(r, REPLICA_ACT_SEND)->send;
    msg->type = type;
    msg->peer = to;
    msg->epoch = r->ep;
    return msg;
}

void rep_act_report(struct replica *r, enum replica_reason reason)
{
    uint32_t bit = UINT32_C(1) << reason;
    if (r->reported & bit)
        return;
    r->reported |= bit;
    rep_act(r, REPLICA_ACT_REPORT)->report.reason = reason;
}

void rep_act_stop(struct replica *r, enum replica_reason reason)
{
    if (r->stopped)
        return;
    rep_primary_drop(r);
    r->stopped = true;
    rep_act(r, REPLICA_ACT_STOP)->report.reason = reason;
}

const char *replica_reason_text(enum replica_reason reason)
{
    static const char *const texts[] = {
#define REASON_TEXT_(name, text) text,
        REPLICA_REASON_LIST(REASON_TEXT_)
#undef REASON_TEXT_
    };
    return (size_t)reason < sizeof texts / sizeof *texts ? texts[reason] : "unknown";
}
