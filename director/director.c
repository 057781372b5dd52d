/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director.h"

#include <string.h>
#include <unistd.h>

#include "director/director_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* On the network thread. */
static void on_request(struct rpc_request *request, void *arg)
{
    director_request(arg, request);
}

static uint64_t wait_ms(const struct director *d)
{
    uint64_t drive = drive_wait_ms(d, clock_mono_ms());
    return drive < DIRECTOR_TICK_MS ? drive : DIRECTOR_TICK_MS;
}

static void *run(void *arg)
{
    struct director *d = arg;
    struct event *list;
    while (events_take(&d->events, wait_ms(d), &list))
        director_turn(d, list);
    return NULL;
}

/* Before the thread runs, this one is it: wait until the cluster's row is in the picture. */
static enum err prepare(struct director *d)
{
    TRY(director_load(d));
    for (bool again = false; !again || d->map.cluster_mod == 0; again = true) {
        if (again) /* the store did not take it, and has said why */
            usleep(DIRECTOR_TICK_MS * 1000);
        TRY(create_cluster(d));
        while (d->changes_open > 0) {
            struct event *list;
            if (events_take(&d->events, DIRECTOR_TICK_MS, &list))
                director_run_events(d, list);
        }
    }
    log_info("director", "map version %llu: %u partitions, %u placed, %zu nodes, %zu domains",
             (unsigned long long)d->map.version, d->map.partition_count, d->map.placed_count,
             d->map.node_count, d->map.domain_count);
    return OK;
}

static enum err serve(struct director *d)
{
    struct rpc_server_options options = { .zmq = d->options.zmq,
                                          .keys = d->options.keys,
                                          .service = RPC_SERVICE_DIRECTOR,
                                          .endpoint = d->options.listen,
                                          .requests_max = DIRECTOR_REQUESTS_MAX,
                                          .handler = on_request,
                                          .arg = d };
    d->publish.told_version = d->map.version;
    TRY(rpc_server_start(&options, &d->server));
    int rc = pthread_create(&d->thread, NULL, run, d);
    if (rc != 0)
        log_fatal("director", "no thread: %s", strerror(rc));
    pthread_setname_np(d->thread, "director");
    return OK;
}

/* The thread has ended, or never ran. */
static void dispose(struct director *d)
{
    director_end(d);
    if (d->server != NULL) {
        rpc_server_stop(d->server);
        rpc_server_free(&d->server);
    }
    director_free(&d);
}

enum err director_start(const struct director_options *options, struct director **out)
{
    struct director *d = director_new(options);
    enum err err = prepare(d);
    if (err == OK)
        err = serve(d);
    if (err != OK) {
        dispose(d);
        return err;
    }
    *out = d;
    return OK;
}

const char *director_endpoint(const struct director *d)
{
    return rpc_server_endpoint(d->server);
}

void director_stop(struct director **dp)
{
    struct director *d = *dp;
    if (d == NULL)
        return;
    atomic_store(&d->draining, true); /* from here the network thread refuses */
    for (uint64_t i = 0; i < d->options.drain_timeout_ms && rpc_server_pending(d->server) > 0; i++)
        usleep(1000);
    events_stop(&d->events);
    pthread_join(d->thread, NULL);
    dispose(d);
    *dp = NULL;
}
