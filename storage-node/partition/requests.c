/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the partition's callers, from their arrival until they are proposed (propose.c) or answered. */
#include "storage-node/partition/partition_priv.h"

bool partition_serves_reads(const struct partition *p, struct partition_now now)
{
    return !p->stopped && now.boot_ns < atomic_load_explicit(&p->pub->read_until, memory_order_relaxed);
}

static enum err why_not_served(const struct partition *p)
{
    struct replica_info info;
    if (p->stopped)
        return ERR_UNAVAILABLE;
    replica_info(p->replica, &info);
    return info.role == REPLICA_PRIMARY ? ERR_UNAVAILABLE : ERR_NOT_PRIMARY;
}

static void serve_memory(struct partition *p, struct partition_now now, struct partition_request *request)
{
    if (!partition_serves_reads(p, now))
        partition_request_end(request, why_not_served(p), p->applied_time);
    else if (request->method == METHOD_WATCH)
        partition_watch(p, now, request);
    else if (request->method == METHOD_LOCK)
        partition_lock(p, now, request);
    else if (request->method == METHOD_CHECK)
        partition_check_request(p, request);
    else
        partition_request_end(request, ERR_UNSUPPORTED, p->applied_time);
}

static void gather(struct partition *p, struct partition_request ***tail, uint32_t *count,
                   struct partition_request *request)
{
    if (*count >= GATHERED_MAX) {
        partition_request_end(request, ERR_BUSY, p->applied_time);
        return;
    }
    request->next = NULL;
    **tail = request;
    *tail = &request->next;
    ++*count;
}

void partition_push(struct partition *p, struct partition_now now, struct partition_request *request)
{
    if (request->kind == METHOD_MEMORY) {
        serve_memory(p, now, request);
    } else if (request->kind != METHOD_WRITE && (request->kind != METHOD_READ || p->host->read == NULL)) {
        partition_request_end(request, ERR_UNSUPPORTED, p->applied_time);
    } else if (p->stopped) {
        partition_request_end(request, ERR_UNAVAILABLE, p->applied_time);
    } else if (request->kind == METHOD_READ) {
        gather(p, &p->reads_tail, &p->reads_count, request);
    } else {
        gather(p, &p->gathered_tail, &p->gathered_count, request);
    }
}

/* A read that could not be served has done nothing, whatever became of its entry. */
static enum err read_status(enum err status)
{
    return status == ERR_IN_DOUBT ? ERR_UNAVAILABLE : status;
}

static void answer_reads(struct partition *p, struct partition_request *r, enum err status)
{
    while (r != NULL) {
        struct partition_request *next = r->next;
        r->next = NULL;
        p->reads_count--;
        if (status == OK)
            p->host->read(p->host->arg, r);
        else
            partition_request_end(r, read_status(status), p->applied_time);
        r = next;
    }
}

void partition_answer_entry(struct partition *p, struct log_entry *e, enum err status, struct buf *response)
{
    struct partition_request *request = e->request;
    if (request == NULL)
        return;
    struct partition_answer answer = { .status = status, .time_ms = p->applied_time, .response = response };
    e->request = NULL;
    if (request->kind == METHOD_READ) {
        answer_reads(p, request, status);
        return;
    }
    if (e->own_body.len == 0)
        e->body = SLICE_NULL; /* it was the request's */
    request->done(request, &answer);
}

void partition_fail(struct partition *p, uint64_t after, enum err err)
{
    for (uint64_t i = p->ring.first; i < p->ring.next; i++) {
        struct log_entry *e = log_ring_find(&p->ring, i);
        if (i <= after || e->request == NULL)
            continue;
        if (e->refs == 1)
            partition_answer_entry(p, e, err, NULL);
        else
            e->failed = true; /* the log writer still reads the request's bytes */
    }
}

static void answer_gathered(struct partition *p, enum err status)
{
    struct partition_request *r = p->gathered_first;
    answer_reads(p, p->reads_first, status);
    p->reads_first = NULL;
    p->reads_tail = &p->reads_first;
    p->gathered_first = NULL;
    p->gathered_tail = &p->gathered_first;
    p->gathered_count = 0;
    while (r != NULL) {
        struct partition_request *next = r->next;
        partition_request_end(r, status, p->applied_time);
        r = next;
    }
}

void partition_fail_all(struct partition *p)
{
    answer_gathered(p, ERR_UNAVAILABLE);
    partition_fail(p, 0, ERR_IN_DOUBT);
    if (p->check_waiting != NULL)
        partition_request_end(p->check_waiting, ERR_UNAVAILABLE, p->applied_time);
    p->check_waiting = NULL;
}
