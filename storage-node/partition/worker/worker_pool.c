/* SPDX-License-Identifier: Apache-2.0 */
/* Handing work to the workers, from any thread. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/partition/worker/worker_priv.h"

static void push_to(struct worker *w, struct inbox_item *item, enum item_kind kind)
{
    item->kind = kind;
    inbox_push(&w->inbox, item);
}

static struct worker *worker_of(struct worker_pool *pool, uint32_t partition)
{
    return &pool->workers[partition % pool->options.workers];
}

/* One for each worker: one push, and one wake-up at most. */
static void push_chains(struct worker_pool *pool, struct inbox_chain chains[WORKERS_MAX])
{
    for (uint32_t i = 0; i < pool->options.workers; i++)
        inbox_push_chain(&pool->workers[i].inbox, &chains[i]);
}

/* On the log writer's thread. */
static void give_back(void *arg, struct inbox_item *jobs)
{
    struct worker_pool *pool = arg;
    struct inbox_chain chains[WORKERS_MAX] = { 0 };
    while (jobs != NULL) {
        struct inbox_item *next = jobs->next;
        jobs->kind = ITEM_WRITTEN;
        inbox_chain_add(&chains[partition_id(((struct log_job *)jobs)->partition) % pool->options.workers],
                        jobs);
        jobs = next;
    }
    push_chains(pool, chains);
}

static void submit(void *arg, struct inbox_chain *jobs)
{
    struct worker_pool *pool = arg;
    log_writer_submit(pool->log_writer, jobs);
}

static void work(void *arg, struct partition_work *work)
{
    struct worker_pool *pool = arg;
    bulk_submit(pool->bulk, work);
}

static void give_work_back(void *arg, struct partition_work *work)
{
    push_to(worker_of(arg, partition_id(work->partition)), &work->item, ITEM_WORKED);
}

static void fatal(void *arg, const char *what, enum err err)
{
    log_fatal("worker", "%s: %s; the node stops so that nothing wrong is acknowledged", what, err_text(err));
}

struct worker_pool *worker_pool_start(const struct worker_pool_options *options)
{
    struct worker_pool *pool = xcalloc(1, sizeof *pool + options->workers * sizeof pool->workers[0]);
    pool->options = *options;
    pool->seam = (struct worker_seam){ .arg = pool, .submit = submit, .work = work, .fatal = fatal };
    pool->gates = copy_gates_new(options->copy_rate);
    pool->log_writer = log_writer_start(options->kv, pool->gates, give_back, pool);
    pool->bulk = bulk_start(give_work_back, pool, pool->gates);
    pool->check_pace.rate = options->check_rate;
    for (uint32_t i = 0; i < options->workers; i++)
        worker_start(pool, i);
    return pool;
}

void worker_pool_stop(struct worker_pool **out)
{
    struct worker_pool *pool = *out;
    if (pool == NULL)
        return;
    for (uint32_t i = 0; i < pool->options.workers; i++)
        push_to(&pool->workers[i], &pool->workers[i].stop_item, ITEM_STOP);
    for (uint32_t i = 0; i < pool->options.workers; i++)
        pthread_join(pool->workers[i].thread, NULL);
    copy_gates_open(pool->gates);
    log_writer_stop(&pool->log_writer);
    bulk_stop(&pool->bulk);
    copy_gates_free(&pool->gates);
    for (uint32_t i = 0; i < pool->options.workers; i++)
        worker_free(&pool->workers[i]);
    free(pool);
    *out = NULL;
}

void worker_pool_push(struct worker_pool *pool, struct partition_request *request)
{
    push_to(worker_of(pool, request->partition), &request->item, ITEM_REQUEST);
}

void worker_pool_conf(struct worker_pool *pool, uint32_t partition, const struct replica_conf *conf,
                      uint64_t ask_id, uint8_t min_members)
{
    struct conf_item *c = NEW(struct conf_item);
    c->partition = partition;
    c->conf = *conf;
    c->ask_id = ask_id;
    c->min_members = min_members;
    push_to(worker_of(pool, partition), &c->item, ITEM_CONF);
}

void worker_message_free(struct worker_message *m)
{
    for (uint32_t i = 0; m->msg.type == REPLICA_MSG_APPEND && i < m->msg.append.count; i++)
        log_entry_unref(m->entries[i].handle);
    free(m->entries);
    buf_fini(&m->rows);
    free(m);
}

void worker_pool_messages(struct worker_pool *pool, struct inbox_chain *messages)
{
    struct inbox_chain chains[WORKERS_MAX] = { 0 };
    for (struct inbox_item *next, *item = messages->first; item != NULL; item = next) {
        struct worker_message *m = (struct worker_message *)item;
        next = item->next;
        item->kind = ITEM_MESSAGE;
        atomic_fetch_add(&pool->message_bytes, m->size);
        inbox_chain_add(&chains[m->partition % pool->options.workers], item);
    }
    *messages = (struct inbox_chain){ 0 };
    push_chains(pool, chains);
}

size_t worker_pool_message_bytes(const struct worker_pool *pool)
{
    return atomic_load(&pool->message_bytes);
}

void worker_pool_beats(struct worker_pool *pool, const struct beats *beats)
{
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        struct beats_item *b = xcalloc(1, sizeof *b + beats->count * sizeof b->parts[0]);
        b->beats = *beats;
        b->beats.count = 0;
        b->beats.parts = b->parts;
        for (size_t k = 0; k < beats->count; k++) {
            if (beats->parts[k].partition % pool->options.workers == i)
                b->parts[b->beats.count++] = beats->parts[k];
        }
        if (b->beats.count > 0)
            push_to(&pool->workers[i], &b->item, ITEM_BEATS);
        else
            free(b);
    }
}

void worker_pool_drop(struct worker_pool *pool, uint32_t partition)
{
    struct drop_item *d = NEW(struct drop_item);
    d->partition = partition;
    push_to(worker_of(pool, partition), &d->item, ITEM_DROP);
}

void worker_pool_wish(struct worker_pool *pool, const struct worker_wish *wish)
{
    struct wish_item *item = NEW(struct wish_item);
    item->wish = *wish;
    push_to(worker_of(pool, wish->partition), &item->item, ITEM_WISH);
}

void worker_pool_leave(struct worker_pool *pool)
{
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        atomic_store(&pool->workers[i].stats.seats, 1); /* until it has counted */
        push_to(&pool->workers[i], &pool->workers[i].leave_item, ITEM_LEAVE);
    }
}

uint32_t worker_pool_seats(const struct worker_pool *pool)
{
    uint32_t seats = 0;
    for (uint32_t i = 0; i < pool->options.workers; i++)
        seats += atomic_load(&pool->workers[i].stats.seats);
    return seats;
}

/* An item that is in an inbox already may be before something that was handed over since: it keeps the lower
 * number that it has. */
uint64_t worker_pool_tell(struct worker_pool *pool)
{
    uint64_t number = atomic_fetch_add(&pool->tell_numbers, 1) + 1;
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        struct worker *w = &pool->workers[i];
        if (atomic_exchange(&w->telling, true))
            continue;
        w->tell_number = number;
        push_to(w, &w->tell_item, ITEM_TELL);
    }
    return number;
}

uint64_t worker_pool_told(const struct worker_pool *pool)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < pool->options.workers; i++) {
        uint64_t told = atomic_load(&pool->workers[i].told);
        least = told < least ? told : least;
    }
    return least;
}

uint32_t worker_pool_count(const struct worker_pool *pool)
{
    return pool->options.workers;
}

const struct worker_stats *worker_pool_get_stats(const struct worker_pool *pool, uint32_t i)
{
    return &pool->workers[i].stats;
}

const struct log_writer_stats *worker_pool_log_stats(const struct worker_pool *pool)
{
    return log_writer_get_stats(pool->log_writer);
}

void worker_pool_waited(struct worker_pool *pool, uint64_t waited_ns)
{
    copy_gates_waited(pool->gates, COPY_WAIT_REQUEST, waited_ns);
}

const struct copy_gate_stats *worker_pool_copy_stats(const struct worker_pool *pool, enum copy_gate gate)
{
    return copy_gates_get_stats(pool->gates, gate);
}
