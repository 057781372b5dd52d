/* SPDX-License-Identifier: Apache-2.0 */
/* What a director does with what comes to it, without threads and sockets: whoever runs it posts requests and
 * lets it take turns (director.c; a simulator). */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "proto/methods.h"

/* ---- requests */

static const struct {
    enum method method;
    void (*handle)(struct director *d, struct rpc_request *request);
} handlers[] = {
    { METHOD_MAP, on_map },
    { METHOD_NODE_HELLO, on_node_hello },
    { METHOD_CONF_CHANGE, on_conf_change },
    { METHOD_DOMAIN_ADD, on_domain_add },
    { METHOD_DOMAIN_DELETE, on_domain_delete },
    { METHOD_SETTING_PUT, on_setting_put },
    { METHOD_NODE_DRAIN, on_node_drain },
    { METHOD_NODE_REMOVE, on_node_remove },
    { METHOD_PARTITION_RECOVER, on_partition_recover },
    { METHOD_CLUSTER_STATUS, on_cluster_status },
};

enum { HANDLERS = sizeof handlers / sizeof handlers[0] };
_Static_assert((int)HANDLERS <= (int)DIRECTOR_METHODS_MAX, "each needs a figure");

struct request_event {
    struct event event;
    struct rpc_request *request;
};

static void run_request(struct event *event, void *arg)
{
    struct director *d = arg;
    struct rpc_request *request = ((struct request_event *)event)->request;
    free(event);
    if (clock_mono_ms() >= request->deadline_mono_ms) {
        answer(d, request, ERR_TIMEOUT, "too late", NULL);
        return;
    }
    for (size_t i = 0; i < HANDLERS; i++) {
        if (handlers[i].method == (enum method)request->method) {
            metric_count(d->figures.requests[i], 1);
            handlers[i].handle(d, request);
            return;
        }
    }
    answer(d, request, ERR_UNSUPPORTED, "not a method of the director", NULL);
}

void director_request(struct director *d, struct rpc_request *request)
{
    if (atomic_load(&d->draining)) {
        struct rpc_reply_info info = { .detail = "the director is going down" };
        rpc_reply(&request, ERR_UNAVAILABLE, &info, NULL, NULL);
        return;
    }
    struct request_event *event = NEW(struct request_event);
    event->event.run = run_request;
    event->request = request;
    events_post(&d->events, &event->event);
}

/* ---- changes of the store */

struct rows_event {
    struct event event;
    bool reload; /* these are all rows; the newest change was at `newest` */
    uint64_t newest, revision;
    size_t count;
    struct coordination_row *rows; /* with keys and values */
};

static void rows_event_free(struct rows_event *event)
{
    for (size_t i = 0; i < event->count; i++) {
        free((void *)event->rows[i].key.data);
        free((void *)event->rows[i].value.data);
    }
    free(event->rows);
    free(event);
}

/* Who was heard of is no row, and stays. */
static void keep_heard(const struct map *old, struct map *map)
{
    for (size_t i = 0; i < old->node_count; i++) {
        const struct map_node *was = &old->nodes[i];
        struct map_node *is = map_find_node(map, was->info->id);
        if (is == NULL)
            continue;
        is->heard_mono_ms = was->heard_mono_ms;
        is->heard_real_ms = was->heard_real_ms;
        is->disk_total = was->disk_total;
        is->disk_free = was->disk_free;
        is->disk_reserve = was->disk_reserve;
        is->map_version = was->map_version;
        is->whole = was->whole;
        is->told_for = was->told_for;
        is->not_active = was->not_active;
        is->leaving = was->leaving;
        is->disk_low = was->disk_low;
        is->told_silent = was->told_silent;
        is->placed = was->placed;
    }
}

/* A new picture. If it is older than the one before, or another cluster's, or none, the store was put back or
 * replaced, and what waits for revisions of the history that is gone would wait for ever. */
static enum err reload(struct director *d, const struct rows_event *event)
{
    struct map old = d->map;
    d->map = (struct map){ 0 };
    enum err err = map_apply(&d->map, event->rows, event->count, event->revision);
    d->map.version = event->newest + d->map.base;
    keep_heard(&old, &d->map);
    bool same = d->map.cluster_mod != 0 && d->map.partition_count == old.partition_count &&
                memcmp(d->map.cluster_id, old.cluster_id, MAP_ID_SIZE) == 0;
    if (!same)
        log_error("director",
                  "the coordination store holds another cluster, or none: nothing is served by it");
    if (!same) { /* they name partitions that may be no more */
        drive_fini(&d->drive);
        heard_fini(&d->heard);
    }
    bool back = event->revision < old.revision || !same;
    if (back)
        changes_abandon(d);
    if (back || map_went_back(&old, &d->map)) { /* nodes that it does not know must come first */
        d->started_mono_ms = clock_mono_ms();
        hearing_begin(d);
    }
    map_fini(&old);
    return err;
}

/* A picture that cannot follow its store is no picture: end, and let the next start tell the same if it is
 * still so. */
static void run_rows(struct event *event, void *arg)
{
    struct director *d = arg;
    struct rows_event *change = (struct rows_event *)event;
    enum err err = change->reload ? reload(d, change)
                                  : map_apply(&d->map, change->rows, change->count, change->revision);
    if (err != OK)
        log_fatal("director", "cannot follow the coordination store");
    rows_event_free(change);
    changes_resume(d);
}

static struct rows_event *rows_event_new(const struct coordination_row *rows, size_t count, uint64_t revision)
{
    struct rows_event *event = NEW(struct rows_event);
    event->event.run = run_rows;
    event->revision = revision;
    event->count = count;
    event->rows = xmemdup(rows, count * sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        event->rows[i].key.data = xmemdup(rows[i].key.data, rows[i].key.len);
        event->rows[i].value.data = xmemdup(rows[i].value.data, rows[i].value.len);
    }
    return event;
}

/* On the store's thread. */
static void on_change(const struct coordination_row *rows, size_t count, uint64_t revision, void *arg)
{
    struct director *d = arg;
    events_post(&d->events, &rows_event_new(rows, count, revision)->event);
}

/* On the store's thread. */
static void on_reload(const struct coordination_row *rows, size_t count, uint64_t newest, uint64_t revision,
                      void *arg)
{
    struct director *d = arg;
    struct rows_event *event = rows_event_new(rows, count, revision);
    event->reload = true;
    event->newest = newest;
    events_post(&d->events, &event->event);
}

/* ---- a turn */

void director_run_events(struct director *d, struct event *list)
{
    while (list != NULL) {
        struct event *event = list;
        list = event->next;
        event->run(event, d);
    }
}

static void tell_subscribers(struct director *d)
{
    if (d->publish.told_version == d->map.version)
        return;
    d->publish.told_version = d->map.version;
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    uint8_t packed[16];
    notice.version = d->map.version;
    size_t len = tern__map_notice__pack(&notice, packed);
    for (size_t i = 0; i < d->publish.count; i++)
        rpc_notify(d->server, &d->publish.subscribers[i].peer, METHOD_MAP_NOTICE, 0, slice_of(packed, len));
}

static void update_gauges(struct director *d, uint64_t now)
{
    size_t alive = 0;
    for (size_t i = 0; i < d->map.node_count; i++)
        alive += map_node_is_alive(&d->map.nodes[i], now);
    metric_set(d->figures.map_version, (int64_t)d->map.version);
    metric_set(d->figures.nodes, (int64_t)d->map.node_count);
    metric_set(d->figures.nodes_alive, (int64_t)alive);
    metric_set(d->figures.placed, (int64_t)d->map.placed_count);
    metric_set(d->figures.subscribers, (int64_t)d->publish.count);
    metric_set(d->figures.leads, coordination_leads(d->coordination));
    status_gauges(d, now);
}

void director_turn(struct director *d, struct event *list)
{
    uint64_t now = clock_mono_ms();
    director_run_events(d, list);
    if (coordination_leads(d->coordination))
        create_partitions(d, now);
    drive_copies(d, now);
    publish_expire(&d->publish, now);
    tell_subscribers(d);
    tell_flush(&d->tell, now, false);
    nodes_tell_silent(d, now);
    update_gauges(d, now);
}

/* ---- begin and end */

static void make_figures(struct figures *f)
{
    for (size_t i = 0; i < HANDLERS; i++)
        f->requests[i] = metrics_counter("tern_director_requests_total", "Requests by method",
                                         METRIC_LABELS("method", method_name(handlers[i].method)));
    f->commits =
        metrics_counter("tern_director_commits_total", "Transactions the coordination store has taken", NULL);
    f->conflicts =
        metrics_counter("tern_director_conflicts_total", "Transactions that found a changed row", NULL);
    f->commit_seconds =
        metrics_histogram_seconds("tern_director_commit_seconds", "Time of a transaction", NULL);
    f->map_version = metrics_gauge("tern_director_map_version", "Version of the map", NULL);
    f->nodes = metrics_gauge("tern_director_nodes", "Storage nodes registered", NULL);
    f->nodes_alive = metrics_gauge("tern_director_nodes_alive", "Storage nodes heard of lately", NULL);
    f->placed = metrics_gauge("tern_director_partitions_placed", "Partitions with a configuration", NULL);
    f->subscribers =
        metrics_gauge("tern_director_subscribers", "Connections that are told of new maps", NULL);
    f->moves = metrics_gauge("tern_director_moves", "Copies that move, are made anew or are to", NULL);
    f->copies_missing = metrics_gauge("tern_director_copies_missing",
                                      "Copies that partitions lack, of those on living nodes", NULL);
    f->not_active = metrics_gauge("tern_director_partitions_not_active",
                                  "Partitions that no primary is known to serve", NULL);
    f->faults = metrics_gauge("tern_director_faults", "Faults of partitions that nodes told of", NULL);
    f->members = metrics_gauge("tern_director_coordination_members",
                               "Servers of the coordination store in the configuration", NULL);
    f->members_well = metrics_gauge("tern_director_coordination_members_well",
                                    "Servers of the coordination store that answer and are well", NULL);
    f->leads = metrics_gauge("tern_director_leads", "1 while this director is the leading one", NULL);
}

struct director *director_new(const struct director_options *options)
{
    struct director *d = NEW(struct director);
    d->options = *options;
    d->started_mono_ms = clock_mono_ms();
    hearing_begin(d);
    d->coordination = options->coordination;
    d->waiting_tail = &d->waiting;
    events_init(&d->events);
    make_figures(&d->figures);
    return d;
}

enum err director_load(struct director *d)
{
    struct coordination_watcher watcher = { on_change, on_reload, d };
    struct event *list;
    uint64_t newest;
    TRY(coordination_load(d->coordination, &watcher, &newest));
    if (events_take(&d->events, 0, &list))
        director_run_events(d, list);
    if (newest + d->map.base > d->map.version) /* the newest row may have been deleted: versions must not go
                                                  back */
        d->map.version = newest + d->map.base;
    return map_apply(&d->map, NULL, 0, newest);
}

void director_end(struct director *d)
{
    struct event *list;
    coordination_close(&d->coordination);
    while (events_take(&d->events, 0, &list) && list != NULL)
        director_run_events(d, list);
    changes_abandon(d);
}

void director_free(struct director **dp)
{
    struct director *d = *dp;
    events_fini(&d->events);
    publish_fini(&d->publish);
    map_fini(&d->map);
    heard_fini(&d->heard);
    drive_fini(&d->drive);
    tell_flush(&d->tell, 0, true);
    tell_fini(&d->tell);
    free(d);
    *dp = NULL;
}
