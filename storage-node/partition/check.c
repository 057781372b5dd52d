/* SPDX-License-Identifier: Apache-2.0 */
/* Do all copies of the partition hold the same, and can every row still be read?
 *
 * Now and then, or when a person asks, the primary proposes ENTRY_CHECK. Whoever applies it takes a view of
 * the database exactly there, so all views are of one index, and reads all rows of the state and all bodies
 * at a bounded rate on another thread (work.h): RocksDB's own checksums find what rotted on this disk. The
 * members send sums to the primary, which compares what it gets for the same index and shouts.
 *
 * The chain is the hash chain over the entries applied: if it differs, the members applied different entries;
 * if only the rows differ, they made different things of them, or a disk lied without being caught.
 *
 * Not every copy can take part in every check: an entry whose body was freed by a later one is sent to a
 * member that catches up without it (partition_entry), so up to that later entry its bodies are fewer. Such
 * an index is passed over (partition.complete_from). */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "proto/message.pb-c.h"
#include "storage-node/partition/partition_priv.h"

enum { CHECK_SLICE_BYTES = 1024 * 1024 /* read in one piece of work */ };

struct check {
    struct partition_work work; /* first */
    bool reading;               /* what follows `resume_ns` is the other thread's */
    bool ended;                 /* to be freed when it comes back */
    uint64_t resume_ns;

    struct kv *kv;
    uint32_t partition;
    struct replica_check sums;
    struct kv_view *view;
    enum kv_family family; /* what comes next: the first row at or after `key` */
    struct buf key;
    uint64_t bytes; /* read by the last piece of work */
    bool last;
    enum err err;
};

static const uint64_t ns_per_ms = 1000000;

/* ---- reading, on another thread */

static uint64_t add_row(uint64_t sum, struct slice key, struct slice value)
{
    uint64_t parts[3] = { sum, hash_xxh3(key), hash_xxh3(value) };
    return hash_xxh3(slice_of(parts, sizeof parts));
}

static enum err read_family(struct check *c, uint64_t *sum, bool *more_out)
{
    struct buf lower = { 0 }, upper = { 0 };
    partition_family_range(c->partition, c->family, c->sums.index, &lower, &upper);
    struct slice from = c->key.len > 0 ? buf_slice(&c->key) : buf_slice(&lower);
    struct kv_iter *it = kv_iter_new(c->kv, c->view, c->family, from, buf_slice(&upper));
    bool found = kv_iter_seek(it, from);
    while (found && c->bytes < CHECK_SLICE_BYTES) {
        struct slice key = kv_iter_key(it), value = kv_iter_value(it);
        *sum = add_row(*sum, key, value);
        c->bytes += key.len + value.len;
        found = kv_iter_next(it);
    }
    enum err err = kv_iter_err(it);
    buf_clear(&c->key);
    if (found)
        buf_add_slice(&c->key, kv_iter_key(it));
    *more_out = found;
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    return err;
}

static void run(struct partition_work *work)
{
    struct check *c = (struct check *)work;
    bool more = false;
    c->bytes = 0;
    c->err = OK;
    if (c->family == KV_STATE) {
        c->err = read_family(c, &c->sums.state, &more);
        if (c->err == OK && !more)
            c->family = KV_BODY;
        more = true;
    }
    if (c->err == OK && c->family == KV_BODY && c->bytes < CHECK_SLICE_BYTES)
        c->err = read_family(c, &c->sums.bodies, &more);
    c->last = !more;
}

/* ---- a member's part */

static void free_check(struct check *c)
{
    kv_view_free(&c->view);
    buf_fini(&c->key);
    free(c);
}

void partition_check_end(struct partition *p)
{
    struct check *c = p->check;
    p->check = NULL;
    if (c == NULL)
        return;
    c->ended = true;
    if (!c->reading)
        free_check(c);
}

static void report(struct partition *p, const struct replica_check *sums)
{
    const struct replica_conf *conf = replica_conf(p->replica);
    struct replica_msg msg = {
        .type = REPLICA_MSG_CHECK, .peer = conf->primary, .epoch = conf->epoch, .check = *sums
    };
    if (replica_node_eq(conf->primary, p->self))
        partition_check_take(p, &msg);
    else if (conf->primary.id != 0)
        p->host->peers->send(p->host->peers->arg, p, &msg);
}

static enum err done(struct partition_work *work, const struct partition_now *now)
{
    struct check *c = (struct check *)work;
    struct partition *p = work->partition;
    c->reading = false;
    if (c->ended) {
        free_check(c);
        return OK;
    }
    c->resume_ns = pace_take(p->check_pace, now->boot_ns, c->bytes);
    if (c->err == OK && !c->last)
        return OK;
    struct replica_check sums = c->sums;
    sums.damaged = c->err != OK;
    partition_check_end(p);
    report(p, &sums);
    if (sums.damaged)
        partition_damaged(p, "a row could not be read by a check");
    return OK;
}

void partition_check_begin(struct partition *p)
{
    if (p->check != NULL || p->applied.index <= p->complete_from || p->damage != DAMAGE_NONE)
        return;
    struct check *c = NEW(struct check);
    c->work.run = run;
    c->work.done = done;
    c->kv = p->kv;
    c->partition = p->id;
    c->sums.index = p->applied.index;
    c->sums.chain = p->applied.chain;
    c->view = kv_view_new(p->kv);
    c->family = KV_STATE;
    p->check = c;
}

uint64_t partition_check_next(const struct partition *p)
{
    return p->check == NULL || p->check->reading ? REPLICA_NEVER : p->check->resume_ns;
}

/* ---- the primary's part */

/* Spread over the interval by the partition's number, also after a restart of everything. */
uint64_t partition_check_first(uint32_t partition, uint64_t interval_ms, uint64_t now_ns)
{
    uint64_t spread = hash_xxh3(slice_of(&partition, sizeof partition));
    return interval_ms == 0 ? REPLICA_NEVER : now_ns + spread % interval_ms * ns_per_ms;
}

static bool is_member(const struct replica_conf *conf, struct replica_node node)
{
    for (int i = 0; i < conf->member_count; i++) {
        if (replica_node_eq(conf->members[i], node))
            return true;
    }
    return false;
}

static bool same(const struct replica_check *a, const struct replica_check *b)
{
    return a->chain == b->chain && a->state == b->state && a->bodies == b->bodies;
}

/* Two copies that agree against one that does not: it is that one. */
static void name_odd_one(const struct check_table *t, struct buf *out)
{
    for (uint32_t i = 0; i < t->count && t->count >= 3; i++) {
        uint32_t alike = 0, others = 0;
        for (uint32_t k = 0; k < t->count; k++) {
            alike += k != i && same(&t->list[i].sums, &t->list[k].sums);
            others += k != i && same(&t->list[(i + 1) % t->count].sums, &t->list[k].sums);
        }
        if (alike == 0 && others == t->count - 1)
            buf_addf(out, "node %u differs from all others: ", t->list[i].node.id);
    }
}

static void shout(struct partition *p, const struct check_table *t)
{
    struct buf text = { 0 };
    buf_addf(&text, "copies differ at entry %llu: ", (unsigned long long)t->index);
    name_odd_one(t, &text);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct replica_check *sums = &t->list[i].sums;
        buf_addf(&text, "%snode %u chain %016llx state %016llx bodies %016llx", i > 0 ? ", " : "",
                 t->list[i].node.id, (unsigned long long)sums->chain, (unsigned long long)sums->state,
                 (unsigned long long)sums->bodies);
    }
    buf_add_byte(&text, '\0');
    log_error("partition", "%s partition=%u", (const char *)text.data, p->id);
    faults_set(p->fault_list, p->id, FAULT_CHECKSUM, (const char *)text.data);
    atomic_fetch_add_explicit(&p->stats->check_differences, 1, memory_order_relaxed);
    buf_fini(&text);
}

/* Compares with what came before. */
static void compare(struct partition *p, struct check_table *t)
{
    const struct replica_check *newest = &t->list[t->count - 1].sums;
    bool differs = false;
    for (uint32_t i = 0; i + 1 < t->count; i++)
        differs = differs || (!t->list[i].sums.damaged && !same(&t->list[i].sums, newest));
    if (newest->damaged) {
        log_error("partition", "a copy has a row that cannot be read partition=%u node=%u", p->id,
                  t->list[t->count - 1].node.id);
    } else if (differs || t->differs) {
        t->differs = true;
        shout(p, t);
    }
    t->complete = t->count >= replica_conf(p->replica)->member_count;
    if (!t->complete)
        return;
    atomic_fetch_add_explicit(&p->stats->checks, 1, memory_order_relaxed);
    if (!t->differs && p->damage == DAMAGE_NONE)
        faults_clear(p->fault_list, p->id, FAULT_CHECKSUM);
}

void partition_check_take(struct partition *p, const struct replica_msg *msg)
{
    struct check_table *t = &p->checks;
    if (!is_member(replica_conf(p->replica), msg->peer) || msg->check.index < t->index)
        return;
    if (msg->check.index > t->index)
        *t = (struct check_table){ .index = msg->check.index };
    for (uint32_t i = 0; i < t->count; i++) {
        if (replica_node_eq(t->list[i].node, msg->peer))
            return;
    }
    if (t->count == REPLICA_NODES_MAX)
        return;
    t->list[t->count].node = msg->peer;
    t->list[t->count++].sums = msg->check;
    compare(p, t);
}

enum err partition_check_tick(struct partition *p, struct partition_now now)
{
    struct replica_info info;
    if (partition_check_next(p) <= now.boot_ns) {
        p->check->reading = true;
        partition_give_work(p, &p->check->work);
    }
    if (now.boot_ns < p->next_check_ns)
        return OK;
    p->next_check_ns += p->check_interval_ms * ns_per_ms;
    if (p->next_check_ns <= now.boot_ns)
        p->next_check_ns = now.boot_ns + p->check_interval_ms * ns_per_ms;
    replica_info(p->replica, &info);
    return info.active ? partition_propose_internal(p, ENTRY_CHECK, now) : OK;
}

/* ---- when a person asks */

static void put_sums(const struct check_table *t, Tern__CheckResponse *response, Tern__CheckSums *list,
                     Tern__CheckSums **pointers)
{
    for (uint32_t i = 0; i < t->count; i++) {
        tern__check_sums__init(&list[i]);
        list[i].node = t->list[i].node.id;
        list[i].chain = t->list[i].sums.chain;
        list[i].state = t->list[i].sums.state;
        list[i].bodies = t->list[i].sums.bodies;
        list[i].damaged = t->list[i].sums.damaged;
        pointers[i] = &list[i];
    }
    response->n_sums = t->count;
    response->sums = pointers;
    response->complete = t->complete;
}

static void answer(struct partition *p, struct partition_request *request, uint64_t index)
{
    Tern__CheckResponse response = TERN__CHECK_RESPONSE__INIT;
    Tern__CheckSums list[REPLICA_NODES_MAX], *pointers[REPLICA_NODES_MAX];
    struct buf packed = { 0 };
    response.index = index;
    if (index == p->checks.index)
        put_sums(&p->checks, &response, list, pointers);
    packed.len = tern__check_response__pack(
        &response, buf_reserve(&packed, tern__check_response__get_packed_size(&response)));
    struct partition_answer out = { .status = OK, .time_ms = p->applied_time, .response = &packed };
    request->done(request, &out);
    buf_fini(&packed);
}

static enum err serve(struct partition *p, struct partition_now now, struct partition_request *request)
{
    Tern__CheckRequest *req = tern__check_request__unpack(NULL, request->request.len, request->request.data);
    if (req == NULL) {
        partition_request_end(request, ERR_INVALID, p->applied_time);
        return OK;
    }
    uint64_t index = req->index;
    tern__check_request__free_unpacked(req, NULL);
    p->proposal_refused = OK;
    if (index == 0) {
        TRY(partition_propose_internal(p, ENTRY_CHECK, now));
        index = p->check_asked;
    }
    if (p->proposal_refused != OK)
        partition_request_end(request, p->proposal_refused, p->applied_time);
    else
        answer(p, request, index);
    return OK;
}

void partition_check_request(struct partition *p, struct partition_request *request)
{
    if (p->check_waiting != NULL)
        partition_request_end(request, ERR_BUSY, p->applied_time);
    else
        p->check_waiting = request;
}

enum err partition_check_flush(struct partition *p, struct partition_now now)
{
    struct partition_request *request = p->check_waiting;
    p->check_waiting = NULL;
    return request == NULL ? OK : serve(p, now, request);
}
