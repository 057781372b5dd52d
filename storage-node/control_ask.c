/* SPDX-License-Identifier: Apache-2.0 */
/* What replicas ask of the director (R20-R22). */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/control_priv.h"

struct ask_job {
    struct control *control;
    struct partition_ask ask;
};

static Tern__ConfChange change_of(enum replica_ask_type type)
{
    switch (type) {
    case REPLICA_ASK_READ:
        return TERN__CONF_CHANGE__CONF_READ;
    case REPLICA_ASK_PROMOTE:
        return TERN__CONF_CHANGE__CONF_PROMOTE;
    case REPLICA_ASK_EVICT:
        return TERN__CONF_CHANGE__CONF_EVICT;
    case REPLICA_ASK_ADD:
        return TERN__CONF_CHANGE__CONF_ADD;
    case REPLICA_ASK_HANDOVER:
        return TERN__CONF_CHANGE__CONF_HANDOVER;
    case REPLICA_ASK_ADD_LEARNER:
        return TERN__CONF_CHANGE__CONF_ADD_LEARNER;
    case REPLICA_ASK_DROP_LEARNER:
        return TERN__CONF_CHANGE__CONF_DROP_LEARNER;
    }
    return TERN__CONF_CHANGE__CONF_READ;
}

static void take_ask_answer(struct control *c, const struct partition_ask *ask, struct slice packed)
{
    Tern__ConfChangeResponse *response = tern__conf_change_response__unpack(NULL, packed.len, packed.data);
    struct map_ref *ref = map_holder_get(c->options.map);
    struct replica_conf conf;
    if (response != NULL && response->conf != NULL && ref != NULL) {
        if (control_lets_us_go(c, response->conf)) {
            log_debug("control", "partition=%u goes on without this node", ask->partition);
        } else if (control_conf_of(map_ref_map(ref), response->conf, &conf)) {
            worker_pool_conf(c->workers, ask->partition, &conf, ask->id,
                             control_min_members(map_ref_map(ref)));
        } else {
            control_want_map(c); /* it names a node that we have not heard of */
        }
    }
    map_ref_release(&ref);
    if (response != NULL)
        tern__conf_change_response__free_unpacked(response, NULL);
}

/* There are enough copies without this node's, so that is deleted. */
static void take_unwanted(struct control *c, const struct partition_ask *ask, const struct rpc_call *call)
{
    take_ask_answer(c, ask, call->response);
    worker_pool_drop(c->workers, ask->partition);
}

static void tell_refusal(struct control *c, const struct partition_ask *ask, const struct rpc_call *call)
{
    if (!control_may_tell(&c->refusals))
        return;
    log_warn("control",
             "the director refuses a change of partition=%u: %s: %s (refusals=%u since it was last told)",
             ask->partition, err_text(call->status), call->detail, c->refusals.untold);
    c->refusals.untold = 0;
}

static void ask_fiber(void *arg)
{
    struct ask_job *job = arg;
    struct control *c = job->control;
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = change_of(job->ask.type);
    request.partition = job->ask.partition;
    request.epoch = job->ask.epoch;
    request.asker = c->identity.node_id;
    request.subject = job->ask.node;
    struct rpc_call call = { .method = METHOD_CONF_CHANGE,
                             .partition = job->ask.partition,
                             .request = &request.base };
    enum err err = c->stopping ? ERR_CANCELLED : control_call(c, &call);
    if (err == OK && (call.status == OK || call.status == ERR_CONFLICT))
        take_ask_answer(c, &job->ask, call.response);
    else if (err == OK && call.status == ERR_LIMIT && job->ask.type == REPLICA_ASK_ADD_LEARNER)
        take_unwanted(c, &job->ask, &call);
    else if (err == OK)
        tell_refusal(c, &job->ask, &call);
    rpc_call_fini(&call);
    atomic_fetch_sub(&c->asks, 1);
    free(job);
    control_fiber_done(c);
}

static void start_ask(void *arg)
{
    struct ask_job *job = arg;
    struct control *c = job->control;
    if (!c->stopping && fiber_spawn(c->loop, "ask", ask_fiber, job) == OK) {
        c->fibers++;
        return;
    }
    atomic_fetch_sub(&c->asks, 1);
    free(job);
}

void control_ask(void *arg, const struct partition_ask *ask)
{
    struct control *c = arg;
    if (ask->type == REPLICA_ASK_ADD_LEARNER && atomic_load(&c->leaving))
        return; /* it has just been let go */
    if (atomic_fetch_add(&c->asks, 1) >= CONTROL_ASKS_MAX || atomic_load(&c->closed)) {
        atomic_fetch_sub(&c->asks, 1);
        return;
    }
    struct ask_job *job = NEW(struct ask_job);
    job->control = c;
    job->ask = *ask;
    loop_post(c->loop, start_ask, job);
}
