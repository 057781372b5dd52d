/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/client.h"
#include "tests/sim/cluster/frontend.h"
#include "tests/sim/cluster/truth.h"
#include "tests/sim/cluster/watch.h"

enum { REPAIR_MS_MIN = 2000, REPAIR_MS = 10000 }; /* the directors' repair_after */

/* ---- dice and words */

uint64_t cluster_rand(struct cluster *c) /* splitmix64 */
{
    uint64_t x = c->rand += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

uint64_t cluster_below(struct cluster *c, uint64_t n)
{
    return n == 0 ? 0 : cluster_rand(c) % n;
}

bool cluster_chance(struct cluster *c, uint64_t per_mille)
{
    return cluster_below(c, 1000) < per_mille;
}

void cluster_fail(struct cluster *c, const char *fmt, ...)
{
    va_list ap;
    if (c->failed)
        return;
    c->failed = true;
    va_start(ap, fmt);
    vsnprintf(c->failure, sizeof c->failure, fmt, ap);
    va_end(ap);
    cluster_trace(c, "VIOLATION %s", c->failure);
}

void cluster_trace(struct cluster *c, const char *fmt, ...)
{
    va_list ap;
    if (!c->trace)
        return;
    fprintf(stderr, "[%10.4f] ", (double)c->now / 1e9);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* ---- events: a heap by time, then by the order in which they were posted */

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void cluster_post(struct cluster *c, struct event *e, uint64_t at)
{
    e->at = at > c->now ? at : c->now;
    e->order = c->order++;
    if (c->heap_count == c->heap_cap) {
        c->heap_cap = c->heap_cap == 0 ? 256 : c->heap_cap * 2;
        c->heap = xrealloc(c->heap, c->heap_cap * sizeof(struct event *));
    }
    size_t i = c->heap_count++;
    for (; i > 0 && before(e, c->heap[(i - 1) / 2]); i = (i - 1) / 2)
        c->heap[i] = c->heap[(i - 1) / 2];
    c->heap[i] = e;
}

static struct event *pop(struct cluster *c)
{
    struct event *top = c->heap[0], *last = c->heap[--c->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= c->heap_count)
            break;
        if (child + 1 < c->heap_count && before(c->heap[child + 1], c->heap[child]))
            child++;
        if (!before(c->heap[child], last))
            break;
        c->heap[i] = c->heap[child];
        i = child;
    }
    if (c->heap_count > 0)
        c->heap[i] = last;
    return top;
}

/* ---- time */

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t soonest(const struct cluster *c)
{
    uint64_t at = min64(clients_next(c), frontends_next(c));
    if (!c->calm)
        at = min64(at, c->fault_at);
    if (c->heap_count > 0)
        at = min64(at, c->heap[0]->at);
    for (int i = 0; i < c->slots; i++)
        at = min64(at, node_next(c->nodes[i]));
    return at;
}

static void run_due(struct cluster *c)
{
    while (c->heap_count > 0 && c->heap[0]->at <= c->now && !c->failed) {
        struct event *e = pop(c);
        e->run(c, e);
    }
    for (int i = 0; i < c->slots && !c->failed; i++)
        node_run(c->nodes[i]);
    if (c->failed)
        return;
    frontends_run(c);
    clients_run(c);
    if (!c->calm && c->fault_at <= c->now)
        weather_fault(c);
}

void cluster_run(struct cluster *c, uint64_t end)
{
    while (!c->failed) {
        uint64_t at = soonest(c);
        if (at > end) {
            c->now = end > c->now ? end : c->now;
            return;
        }
        if (at > c->now)
            c->now = at;
        run_due(c);
    }
}

/* ---- beginning and end */

static void begin_directors(struct cluster *c)
{
    directors_init();
    directors.count = 2 + (int)cluster_below(c, 2);
    directors.lag_ms = 1 + cluster_below(c, cluster_chance(c, 500) ? 20 : 600);
    directors.twice = (unsigned)c->dup;
    directors.options =
        (struct director_options){ .partitions = (uint32_t)c->partitions,
                                   .copies = COPIES,
                                   .min_members = c->min_members,
                                   .initial_nodes = COPIES,
                                   .repair_after_ms = REPAIR_MS_MIN + cluster_below(c, REPAIR_MS),
                                   .moves_max = 1 + (uint32_t)cluster_below(c, 4),
                                   .moves_per_node = 1 + (uint32_t)cluster_below(c, 2) };
    store_init();
}

void cluster_init(struct cluster *c, uint64_t seed, const struct breaks *breaks, int weather, bool trace)
{
    memset(c, 0, sizeof *c);
    c->seed = seed;
    c->trace = trace;
    c->rand = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    c->now = 1000 * 1000 * MS;
    if (breaks != NULL)
        c->breaks = *breaks;
    c->breaks.storage.core = &c->breaks.core;
    surroundings_init(c);
    c->slots = COPIES + (int)cluster_below(c, SLOTS_FIRST_MAX - COPIES + 1);
    c->partitions = 2 + (int)cluster_below(c, PARTITIONS_MAX - 1);
    c->log_keep = 1 + (uint32_t)cluster_below(c, cluster_chance(c, 500) ? 8 : 60);
    c->copy_chunk = 500 + (uint32_t)cluster_below(c, 8000);
    c->min_members = (uint8_t)(1 + cluster_below(c, 2));
    weather_init(c, weather);
    checks_init(c);
    truth_init(c);
    begin_directors(c);
    for (int i = 0; i < c->slots; i++)
        c->nodes[i] = node_new(c, i);
    hosts_init();
    operators_init(c);
    clients_init(c);
}

void cluster_fini(struct cluster *c)
{
    for (int i = 0; i < c->slots; i++)
        node_free(&c->nodes[i]);
    hosts_fini();
    watches_end(c->clients->watches);
    frontends_free(&c->frontends);
    while (c->heap_count > 0) {
        struct event *e = c->heap[--c->heap_count];
        e->drop(e);
    }
    clients_fini(c);
    store_fini();
    operators_fini(c);
    truth_fini(c);
    checks_fini(c);
    free(c->heap);
}
