/* SPDX-License-Identifier: Apache-2.0 */
#include "director/coordination/etcd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "director/coordination/etcd_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* ---- endpoints, and what answers say of etcd as a whole */

void etcd_leave(struct etcd *e, size_t endpoint, const char *why)
{
    if (e->current != endpoint)
        return;
    e->current = (e->current + 1) % e->endpoint_count;
    if (why == NULL || e->down || e->now_ms < e->next_leave_log_ms)
        return;
    e->next_leave_log_ms = e->now_ms + LOG_GAP_MS;
    log_warn("etcd", "%s: %s; going on with %s", e->endpoints[endpoint], why, e->endpoints[e->current]);
}

static void restored(struct etcd *e, const struct etcd_answer *answer)
{
    log_error("etcd",
              "the coordination store was put back from a copy, or is another: cluster %" PRIx64
              " revision %" PRIu64 " where cluster %" PRIx64 " revision %" PRIu64
              " was; reading all of it (docs/operations.md)",
              answer->cluster_id, answer->revision, e->cluster_id, e->newest);
    e->generation++;
    e->cluster_id = answer->cluster_id;
    e->newest = e->watched = e->wanted = e->sync_revision = 0;
    settle_in_doubt(e);
    watch_restart(e, true);
}

bool etcd_saw(struct etcd *e, const struct etcd_answer *answer, uint64_t generation, uint64_t newest_at_send)
{
    if (generation != e->generation)
        return false;
    if (e->cluster_id == 0)
        e->cluster_id = answer->cluster_id;
    if (answer->cluster_id != e->cluster_id || answer->revision < newest_at_send) {
        restored(e, answer);
        return false;
    }
    e->answered_ms = e->now_ms;
    if (answer->revision > e->newest)
        e->newest = answer->revision;
    return true;
}

void etcd_want(struct etcd *e, uint64_t revision)
{
    if (revision <= e->watched || revision <= e->wanted)
        return;
    if (e->wanted <= e->watched)
        e->wanted_ms = e->now_ms;
    e->wanted = revision;
}

void etcd_watched(struct etcd *e, uint64_t revision)
{
    e->watched = revision;
    if (revision > e->newest)
        e->newest = revision;
    e->wanted_ms = e->now_ms;
    settle(e);
}

void single_start(struct etcd *e, struct single *s, const char *path, uint64_t timeout_ms,
                  void (*done)(struct etcd_call *call))
{
    s->busy = true;
    s->generation = e->generation;
    s->newest_at_send = e->newest;
    s->sent_boot_ms = clock_boot_ns() / 1000000;
    s->call.endpoint = e->current;
    s->call.path = path;
    s->call.timeout_ms = timeout_ms;
    s->call.done = done;
    s->call.arg = e;
    etcd_http_start(e->http, &s->call);
}

bool single_end(struct etcd *e, struct single *s, struct etcd_answer *answer)
{
    s->busy = false;
    *answer = (struct etcd_answer){ 0 };
    if (s->call.status == 0) {
        etcd_leave(e, s->call.endpoint, s->call.failure);
        return false;
    }
    if (etcd_decode(buf_slice(&s->call.answer), answer) != OK) {
        etcd_leave(e, s->call.endpoint, "what answers is no etcd with /v3");
        return false;
    }
    return true;
}

/* ---- the thread */

static void note_down(struct etcd *e)
{
    bool down = e->now_ms - e->answered_ms > DOWN_MS;
    if (down && !e->down)
        log_warn("etcd", "etcd has not answered for %d ms (%s and %zu more); the map stays as it is", DOWN_MS,
                 e->endpoints[e->current], e->endpoint_count - 1);
    if (!down && e->down)
        log_info("etcd", "etcd answers again (%s)", e->endpoints[e->current]);
    if (down != e->down) {
        pthread_mutex_lock(&e->lock);
        e->leader_is_old = down;
        pthread_mutex_unlock(&e->lock);
    }
    e->down = down;
    if (down)
        txn_refuse_waiting(e);
}

static bool take_incoming(struct etcd *e)
{
    pthread_mutex_lock(&e->lock);
    struct job *list = e->incoming.head;
    e->incoming = (struct job_list){ NULL, &e->incoming.head };
    bool stopping = e->stopping;
    pthread_mutex_unlock(&e->lock);
    while (list != NULL) {
        struct job *job = list;
        struct job_list *to = job->txn->count == 0 ? &e->barrier_waiting : &e->waiting;
        list = job->next;
        job->next = NULL;
        *to->tail = job;
        to->tail = &job->next;
    }
    return stopping;
}

/* The picture may still come as far as what was decided; not for ever. */
static bool settles(struct etcd *e)
{
    if (e->settling.head == NULL || e->now_ms >= e->end_ms)
        return false;
    watch_tick(e);
    watch_chase(e);
    return true;
}

/* Nothing new is begun; what was sent comes to its end. */
static bool end_tick(struct etcd *e)
{
    bool waits = e->running > 0 || e->barrier.busy;
    if (waits || e->end_ms == 0)
        e->end_ms = e->now_ms + END_MS;
    txn_refuse_waiting(e);
    health_end(e);
    bool lead_ended = lead_end(e);
    bool settled = !settles(e);
    if (waits || !lead_ended || !settled)
        return false;
    settle_in_doubt(e);
    watch_end(e);
    if (e->sync.busy)
        etcd_http_cancel(e->http, &e->sync.call);
    return true;
}

static void *run(void *arg)
{
    struct etcd *e = arg;
    for (bool stopping = false;;) {
        stopping = take_incoming(e) || stopping;
        e->now_ms = clock_mono_ms(); /* not before: what was taken must not be of the future */
        note_down(e);
        if (stopping) {
            if (end_tick(e))
                return NULL;
        } else {
            watch_tick(e);
            txn_tick(e);
            barrier_tick(e);
            lead_tick(e);
            health_tick(e);
        }
        etcd_http_run(e->http, TICK_MS);
    }
}

/* ---- the seam */

static enum err etcd_submit(struct coordination *c, struct coordination_txn *txn)
{
    struct etcd *e = (struct etcd *)c;
    struct job *job = NEW(struct job);
    enum err err = OK;
    job->etcd = e;
    job->txn = txn;
    job->arrived_ms = clock_mono_ms();
    pthread_mutex_lock(&e->lock);
    if (e->in_flight >= COORDINATION_IN_FLIGHT_MAX || e->stopping) {
        err = ERR_BUSY;
    } else {
        *e->incoming.tail = job;
        e->incoming.tail = &job->next;
        e->in_flight++;
    }
    pthread_mutex_unlock(&e->lock);
    if (err != OK)
        free(job);
    else
        etcd_http_wake(e->http);
    return err;
}

/* For ever: programs of a cluster are started in any order. */
static void wait_loaded(struct etcd *e)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    pthread_mutex_lock(&e->lock);
    while (!e->loaded) {
        until.tv_sec += LOAD_TELL_MS / 1000;
        while (!e->loaded && pthread_cond_timedwait(&e->wake, &e->lock, &until) == 0) {}
        if (!e->loaded)
            log_warn("etcd", "etcd cannot be read yet, waiting for it");
    }
    pthread_mutex_unlock(&e->lock);
}

static enum err etcd_load(struct coordination *c, const struct coordination_watcher *watcher,
                          uint64_t *newest_out)
{
    struct etcd *e = (struct etcd *)c;
    e->watcher = *watcher;
    e->answered_ms = clock_mono_ms();
    int rc = pthread_create(&e->thread, NULL, run, e);
    if (rc != 0) {
        log_error("etcd", "no thread: %s", strerror(rc));
        return ERR_IO;
    }
    pthread_setname_np(e->thread, "coordination");
    e->thread_started = true;
    wait_loaded(e);
    *newest_out = e->loaded_newest;
    return OK;
}

static bool etcd_leads(struct coordination *c)
{
    return lead_is_held((struct etcd *)c);
}

static void etcd_leader(struct coordination *c, struct buf *out)
{
    struct etcd *e = (struct etcd *)c;
    pthread_mutex_lock(&e->lock);
    if (!e->leader_is_old)
        buf_add_slice(out, buf_slice(&e->leader));
    pthread_mutex_unlock(&e->lock);
}

static void free_options(struct etcd *e)
{
    for (size_t i = 0; i < e->endpoint_count; i++)
        free(e->endpoints[i]);
    free(e->ca);
    free(e->certificate);
    free(e->key);
    free(e->name);
    buf_fini(&e->prefix);
    buf_fini(&e->prefix_end);
    buf_fini(&e->rows_prefix);
    buf_fini(&e->deleted_key);
    buf_fini(&e->leader_key);
    buf_fini(&e->sync_key);
    buf_fini(&e->leader);
}

static void etcd_close(struct coordination *c)
{
    struct etcd *e = (struct etcd *)c;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_mutex_unlock(&e->lock);
    etcd_http_wake(e->http);
    if (e->thread_started)
        pthread_join(e->thread, NULL);
    etcd_call_fini(&e->barrier.call);
    etcd_call_fini(&e->sync.call);
    etcd_call_fini(&e->watch.request.call);
    etcd_call_fini(&e->lead.request.call);
    health_close(e);
    etcd_http_free(&e->http);
    free_options(e);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- opening */

static const struct coordination_ops etcd_ops = {
    .load = etcd_load,
    .submit = etcd_submit,
    .close = etcd_close,
    .leads = etcd_leads,
    .leader = etcd_leader,
    .members = health_members,
};

const char *etcd_mistake_in_endpoint(const char *endpoint)
{
    struct slice text = slice_str(endpoint);
    size_t scheme = slice_starts(text, SLICE_LIT("http://"))    ? 7
                    : slice_starts(text, SLICE_LIT("https://")) ? 8
                                                                : 0;
    if (scheme == 0)
        return "must begin with http:// or https://";
    if (text.len == scheme || text.len > ETCD_ENDPOINT_TEXT_MAX)
        return "must name a host, in at most 255 bytes";
    for (size_t i = scheme; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] == '/' || text.data[i] == '@' || text.data[i] >= 127)
            return "must be host:port after the scheme, without a path";
    }
    return NULL;
}

const char *etcd_mistake_in_prefix(const char *prefix)
{
    size_t len = strlen(prefix);
    if (len == 0 || len > ETCD_PREFIX_MAX)
        return "must have 1 to 100 bytes";
    return prefix[len - 1] == '/' ? NULL : "must end with a slash";
}

static bool is_readable(const char *file)
{
    if (file[0] == '\0' || access(file, R_OK) == 0)
        return true;
    log_error("etcd", "%s cannot be read", file);
    return false;
}

static enum err check_options(const struct etcd_options *options)
{
    const char *mistake = etcd_mistake_in_prefix(options->prefix);
    if (options->endpoint_count == 0 || options->endpoint_count > ETCD_ENDPOINTS_MAX)
        mistake = "from 1 to 16 endpoints are needed";
    for (size_t i = 0; i < options->endpoint_count && mistake == NULL; i++)
        mistake = etcd_mistake_in_endpoint(options->endpoints[i]);
    if ((options->certificate[0] == '\0') != (options->key[0] == '\0'))
        mistake = "certificate and key belong together";
    if (mistake != NULL) {
        log_error("etcd", "%s", mistake);
        return ERR_INVALID;
    }
    bool readable =
        is_readable(options->ca) && is_readable(options->certificate) && is_readable(options->key);
    return readable ? OK : ERR_IO;
}

static void add_key(struct buf *out, const char *prefix, const char *name)
{
    buf_add_str(out, prefix);
    buf_add_str(out, name);
}

static void copy_options(struct etcd *e, const struct etcd_options *options)
{
    for (size_t i = 0; i < options->endpoint_count; i++)
        e->endpoints[i] = xstrdup(options->endpoints[i]);
    e->endpoint_count = options->endpoint_count;
    e->ca = xstrdup(options->ca);
    e->certificate = xstrdup(options->certificate);
    e->key = xstrdup(options->key);
    e->name = xstrdup(options->name);
    add_key(&e->prefix, options->prefix, "");
    add_key(&e->prefix_end, options->prefix, "");
    e->prefix_end.data[e->prefix_end.len - 1]++; /* the first key behind all that begin with the prefix */
    add_key(&e->rows_prefix, options->prefix, "rows/");
    add_key(&e->deleted_key, options->prefix, "deleted");
    add_key(&e->leader_key, options->prefix, "leader");
    add_key(&e->sync_key, options->prefix, "sync");
}

static void init_lists(struct etcd *e)
{
    struct job_list *lists[] = { &e->incoming, &e->waiting, &e->barrier_waiting, &e->barrier_flying,
                                 &e->settling };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        lists[i]->tail = &lists[i]->head;
}

enum err etcd_open(const struct etcd_options *options, struct coordination **out)
{
    TRY(check_options(options));
    struct etcd *e = NEW(struct etcd);
    pthread_condattr_t attr;
    e->base.ops = &etcd_ops;
    copy_options(e, options);
    init_lists(e);
    health_open(e);
    e->watch.must_load = true;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&e->wake, &attr);
    pthread_condattr_destroy(&attr);
    struct etcd_http_options http = { .endpoints = (const char *const *)e->endpoints,
                                      .endpoint_count = e->endpoint_count,
                                      .ca = e->ca,
                                      .certificate = e->certificate,
                                      .key = e->key };
    e->http = etcd_http_new(&http);
    *out = &e->base;
    return OK;
}
