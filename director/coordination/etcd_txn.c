/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: transactions and read barriers on their way. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "director/coordination/etcd_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* ---- lists */

static void push(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->tail = job;
    list->tail = &job->next;
}

static struct job *pop(struct job_list *list)
{
    struct job *job = list->head;
    if (job != NULL) {
        list->head = job->next;
        if (list->head == NULL)
            list->tail = &list->head;
    }
    return job;
}

static void append(struct job_list *to, struct job_list *from)
{
    for (struct job *job = pop(from); job != NULL; job = pop(from))
        push(to, job);
}

/* ---- the end of a job */

static void finish(struct etcd *e, struct job *job, enum err result)
{
    struct coordination_txn *txn = job->txn;
    uint64_t revision = job->needed;
    etcd_call_fini(&job->call);
    free(job);
    txn->done(txn, result, revision, txn->arg);
    pthread_mutex_lock(&e->lock);
    e->in_flight--;
    pthread_mutex_unlock(&e->lock);
}

static void decide(struct etcd *e, struct job *job, enum err result, uint64_t needed)
{
    job->result = result;
    job->needed = needed;
    if (needed <= e->watched) {
        finish(e, job, result);
        return;
    }
    etcd_want(e, needed);
    push(&e->settling, job);
}

void settle(struct etcd *e)
{
    struct job_list later = { .tail = &later.head };
    for (struct job *job = pop(&e->settling); job != NULL; job = pop(&e->settling)) {
        if (job->needed <= e->watched)
            finish(e, job, job->result);
        else
            push(&later, job);
    }
    append(&e->settling, &later);
}

void settle_in_doubt(struct etcd *e)
{
    for (struct job *job = pop(&e->settling); job != NULL; job = pop(&e->settling))
        finish(e, job, ERR_IN_DOUBT);
}

void txn_refuse_waiting(struct etcd *e)
{
    append(&e->waiting, &e->barrier_waiting);
    for (struct job *job = pop(&e->waiting); job != NULL; job = pop(&e->waiting))
        finish(e, job, ERR_UNAVAILABLE);
}

/* ---- transactions */

/* Which revision shows that a condition did not hold: the mod of the row if it is there; of a row that is
 * gone only the store's own. */
static uint64_t conflict_revision(const struct coordination_txn *txn, const struct etcd_kv *kvs, size_t count,
                                  uint64_t revision)
{
    for (size_t i = 0; i < txn->count && i < count; i++) {
        if (kvs[i].mod != 0 && kvs[i].mod != txn->changes[i].expected_mod)
            return kvs[i].mod;
    }
    return revision;
}

/* A refusal before anything was done. Of other errors etcd itself does not know what became of the request.
 */
static bool nothing_happened(const struct etcd_call *call)
{
    return call->status >= 400 && call->status < 500 && call->status != 408;
}

static void on_refusal(struct etcd *e, struct job *job, const char *message)
{
    if (!nothing_happened(&job->call)) {
        etcd_leave(e, job->call.endpoint, message);
        finish(e, job, ERR_IN_DOUBT);
        return;
    }
    log_warn("etcd", "%s refuses a transaction: %s", e->endpoints[job->call.endpoint], message);
    finish(e, job, ERR_UNAVAILABLE);
}

static void on_decided(struct etcd *e, struct job *job, const struct etcd_answer *answer)
{
    bool succeeded;
    struct etcd_kv *kvs;
    size_t count;
    if (!etcd_saw(e, answer, job->generation, job->newest_at_send) ||
        etcd_decode_txn(answer->body, &succeeded, &kvs, &count) != OK) {
        finish(e, job, ERR_IN_DOUBT);
        return;
    }
    if (succeeded)
        decide(e, job, OK, answer->revision);
    else if (job->call.sent_more) /* the first of the two may have been what changed it */
        finish(e, job, ERR_IN_DOUBT);
    else
        decide(e, job, ERR_CONFLICT, conflict_revision(job->txn, kvs, count, answer->revision));
    etcd_kvs_free(kvs, count);
}

static void start(struct etcd *e, struct job *job);

static void on_failure(struct etcd *e, struct job *job)
{
    etcd_leave(e, job->call.endpoint, job->call.failure);
    if (job->call.sent)
        finish(e, job, ERR_IN_DOUBT);
    else if (job->attempts < e->endpoint_count)
        start(e, job);
    else
        finish(e, job, ERR_UNAVAILABLE);
}

static void on_txn_answer(struct etcd_call *call)
{
    struct job *job = call->arg;
    struct etcd *e = job->etcd;
    struct etcd_answer answer;
    e->running--;
    if (call->status == 0) {
        on_failure(e, job);
        return;
    }
    if (etcd_decode(buf_slice(&call->answer), &answer) != OK) {
        on_refusal(e, job, "what answers is no etcd with /v3");
        return;
    }
    if (answer.message != NULL)
        on_refusal(e, job, answer.message);
    else
        on_decided(e, job, &answer);
    etcd_answer_fini(&answer);
}

static void start(struct etcd *e, struct job *job)
{
    job->attempts++;
    job->generation = e->generation;
    job->newest_at_send = e->newest;
    job->call.endpoint = e->current;
    job->call.path = "/v3/kv/txn";
    job->call.timeout_ms = TXN_CALL_MS;
    job->call.done = on_txn_answer;
    job->call.arg = job;
    e->running++;
    etcd_http_start(e->http, &job->call);
}

void txn_tick(struct etcd *e)
{
    while (e->running < TXN_PARALLEL && e->waiting.head != NULL) {
        struct job *job = pop(&e->waiting);
        if (e->now_ms - job->arrived_ms > TXN_WAIT_MS) {
            finish(e, job, ERR_UNAVAILABLE);
            continue;
        }
        etcd_encode_txn(&job->call.body, job->txn, buf_slice(&e->rows_prefix), buf_slice(&e->deleted_key));
        start(e, job);
    }
}

/* ---- barriers: who asks while one is under way waits for the next, because it must be of a moment after.
 *
 * A linearizable read is cheap, but a member of etcd 3.4 that lost its leader in the middle of one answers no
 * other for 7 s; a write is taken as soon as there is a leader. So after a failure the barrier is a write. */

static void barrier_done(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct etcd_answer answer;
    bool answered = single_end(e, &e->barrier, &answer);
    if (answered && answer.message != NULL)
        etcd_leave(e, call->endpoint, answer.message);
    if (answered && answer.message == NULL &&
        etcd_saw(e, &answer, e->barrier.generation, e->barrier.newest_at_send)) {
        e->next_probe_ms = e->now_ms + PROBE_MS;
        e->barrier_by_put = false;
        etcd_want(e, answer.revision);
        for (struct job *job = pop(&e->barrier_flying); job != NULL; job = pop(&e->barrier_flying))
            decide(e, job, OK, answer.revision);
    } else {
        struct job_list newer = e->barrier_waiting;
        if (newer.head == NULL)
            newer.tail = &newer.head;
        e->barrier_waiting = (struct job_list){ NULL, &e->barrier_waiting.head };
        append(&e->barrier_waiting, &e->barrier_flying);
        append(&e->barrier_waiting, &newer);
        e->next_barrier_ms = e->next_probe_ms = e->now_ms + RETRY_MS;
        e->barrier_by_put = true;
    }
    etcd_answer_fini(&answer);
}

static void refuse_late_barriers(struct etcd *e)
{
    while (e->barrier_waiting.head != NULL &&
           e->now_ms - e->barrier_waiting.head->arrived_ms > BARRIER_WAIT_MS)
        finish(e, pop(&e->barrier_waiting), ERR_UNAVAILABLE);
}

void barrier_tick(struct etcd *e)
{
    watch_chase(e);
    refuse_late_barriers(e);
    bool wish = e->barrier_waiting.head != NULL && e->now_ms >= e->next_barrier_ms;
    if (e->barrier.busy || (!wish && e->now_ms < e->next_probe_ms))
        return;
    assert(e->barrier_flying.head == NULL);
    append(&e->barrier_flying, &e->barrier_waiting);
    struct buf *body = &e->barrier.call.body;
    if (e->barrier_by_put)
        etcd_encode_put(body, buf_slice(&e->sync_key), slice_str(e->name));
    else
        etcd_encode_barrier(body, buf_slice(&e->sync_key));
    single_start(e, &e->barrier, e->barrier_by_put ? "/v3/kv/put" : "/v3/kv/range", SHORT_CALL_MS,
                 barrier_done);
}
