/* SPDX-License-Identifier: Apache-2.0 */
/* Requests become entries: checked, timed, encoded, and given to the core in proposals of bounded size. */
#include "lib/base/alloc.h"
#include "storage-node/partition/partition_priv.h"

static struct log_entry *make_entry(struct partition *p, const struct entry_header *header,
                                    struct slice request)
{
    struct log_entry *e = NEW(struct log_entry);
    e->refs = 1;
    e->time_ms = header->time_ms;
    e->body_len = header->body_len;
    log_row_begin(0, &e->row);
    buf_reserve(&e->row, request.len + 64);
    entry_encode(header, request, &e->row);
    return e;
}

/* No entry's time is below the one before it, whatever the clock does. */
static uint64_t next_time(struct partition *p, struct partition_now now)
{
    if (now.real_ms > p->entry_time)
        p->entry_time = now.real_ms;
    return p->entry_time;
}

struct log_entry *partition_make_internal(struct partition *p, uint32_t method, struct partition_now now)
{
    struct entry_header header = { .version = p->version, .method = method, .time_ms = next_time(p, now) };
    return make_entry(p, &header, SLICE_NULL);
}

static struct log_entry *entry_of_request(struct partition *p, struct partition_request *r,
                                          struct partition_now now)
{
    struct entry_header header = { .version = p->version, .method = r->method, .time_ms = next_time(p, now) };
    memcpy(header.request_id, r->request_id, REQUEST_ID_SIZE);
    header.body_len = (uint32_t)r->body.len;
    struct log_entry *e = make_entry(p, &header, r->request);
    e->body = r->body;
    e->request = r;
    return e;
}

static struct partition_request *pop_gathered(struct partition *p)
{
    struct partition_request *r = p->gathered_first;
    if (r == NULL)
        return NULL;
    p->gathered_first = r->next;
    if (p->gathered_first == NULL)
        p->gathered_tail = &p->gathered_first;
    p->gathered_count--;
    r->next = NULL;
    return r;
}

/* Of the primary alone the version is known; elsewhere the core refuses, and says who it is. */
static enum err check(struct partition *p, const struct partition_request *r)
{
    bool active = atomic_load_explicit(&p->pub->active, memory_order_relaxed);
    return machine_check(active ? p->version : p->version_max, r->method, r->request, r->body.len);
}

/* Whether a request may become an entry; if not it is answered. */
static bool admit(struct partition *p, struct partition_request *r, struct partition_now now)
{
    enum err err = OK;
    if (r->deadline_mono_ms <= now.mono_ms) {
        atomic_fetch_add_explicit(&p->stats->expired, 1, memory_order_relaxed);
        err = ERR_TIMEOUT;
    }
    if (err == OK)
        err = check(p, r);
    if (err != OK)
        partition_request_end(r, err, p->applied_time);
    return err == OK;
}

/* Step EV_PROPOSE with `count` entries of p->proposal; drops the makers' references. */
static enum err step_proposal(struct partition *p, uint32_t count, struct partition_now now)
{
    struct replica_event event = { .type = REPLICA_EV_PROPOSE, .now = now.boot_ns };
    event.propose.entries = p->proposal;
    event.propose.count = count;
    p->proposal_refused = OK;
    enum err err = partition_step(p, &event, now);
    _Atomic uint64_t *figure = p->proposal_refused == OK ? &p->stats->proposed : &p->stats->rejected;
    atomic_fetch_add_explicit(figure, count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        struct log_entry *e = p->proposal[i].handle;
        if (p->proposal_refused != OK)
            partition_answer_entry(p, e, p->proposal_refused, NULL);
        log_entry_unref(e);
    }
    return err;
}

enum err partition_propose(struct partition *p, struct partition_now now)
{
    while (p->gathered_first != NULL && !p->stopped) {
        uint32_t count = 0;
        size_t bytes = 0;
        while (count < PROPOSE_COUNT_MAX && bytes < PROPOSE_BYTES_MAX) {
            struct partition_request *r = pop_gathered(p);
            if (r == NULL)
                break;
            if (!admit(p, r, now))
                continue;
            struct log_entry *e = entry_of_request(p, r, now);
            p->proposal[count++] = (struct replica_entry){ .size = log_entry_size(e), .handle = e };
            bytes += log_entry_size(e);
        }
        if (count > 0)
            TRY(step_proposal(p, count, now));
    }
    return OK;
}

enum err partition_propose_internal(struct partition *p, uint32_t method, struct partition_now now)
{
    struct log_entry *e = partition_make_internal(p, method, now);
    p->proposal[0] = (struct replica_entry){ .size = log_entry_size(e), .handle = e };
    log_entry_ref(e);
    enum err err = step_proposal(p, 1, now);
    if (p->proposal_refused == OK && method == ENTRY_SWEEP)
        p->sweep_index = e->index;
    if (p->proposal_refused == OK && method == ENTRY_CHECK)
        p->check_asked = e->index;
    log_entry_unref(e);
    return err;
}

/* A commit round instead of a lease: the entry reaches the commit index only if every member acknowledged it
 * in this epoch after the reads had come, so nobody else had begun to serve by then, whatever the clocks
 * say. One that is refused, or falls with the seat, answers its reads (partition_answer_entry). */
enum err partition_propose_reads(struct partition *p, struct partition_now now)
{
    struct partition_request *waiting = p->reads_first, **tail = &waiting;
    p->reads_first = NULL;
    p->reads_tail = &p->reads_first;
    while (*tail != NULL) {
        struct partition_request *r = *tail;
        if (r->deadline_mono_ms > now.mono_ms) {
            tail = &r->next;
            continue;
        }
        *tail = r->next;
        p->reads_count--;
        partition_request_end(r, ERR_TIMEOUT, p->applied_time);
    }
    if (waiting == NULL)
        return OK;
    struct log_entry *e = partition_make_internal(p, ENTRY_BARRIER, now);
    e->request = waiting;
    p->proposal[0] = (struct replica_entry){ .size = log_entry_size(e), .handle = e };
    return step_proposal(p, 1, now);
}

enum err partition_propose_version(struct partition *p, uint8_t version, struct partition_now now)
{
    uint8_t before = p->version;
    p->version = version;
    enum err err = partition_propose_internal(p, ENTRY_VERSION, now);
    if (p->proposal_refused != OK)
        p->version = before;
    return err;
}
