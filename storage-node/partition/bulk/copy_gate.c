/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/bulk/copy_gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

enum { NAP_US_MAX = 10 * 1000 /* so long at most after copy_gates_open */ };

struct copy_gates {
    struct {
        pthread_mutex_t lock; /* guards `pace` */
        struct copy_pace pace;
        struct copy_gate_stats stats;
    } gates[COPY_GATE_COUNT];
    _Atomic bool open;
};

struct copy_gates *copy_gates_new(uint64_t send_rate)
{
    struct copy_gates *g = NEW(struct copy_gates);
    for (int i = 0; i < COPY_GATE_COUNT; i++) {
        pthread_mutex_init(&g->gates[i].lock, NULL);
        copy_pace_init(&g->gates[i].pace, i == COPY_GATE_SENT ? send_rate : 0);
        atomic_store(&g->gates[i].stats.rate, g->gates[i].pace.rate);
    }
    return g;
}

void copy_gates_free(struct copy_gates **gates)
{
    if (*gates == NULL)
        return;
    for (int i = 0; i < COPY_GATE_COUNT; i++)
        pthread_mutex_destroy(&(*gates)->gates[i].lock);
    free(*gates);
    *gates = NULL;
}

void copy_gates_waited(struct copy_gates *g, enum copy_wait kind, uint64_t waited_ns)
{
    if (g == NULL)
        return;
    uint64_t now = clock_mono_ns();
    for (int i = 0; i < COPY_GATE_COUNT; i++) {
        pthread_mutex_lock(&g->gates[i].lock);
        copy_pace_waited(&g->gates[i].pace, now, kind, waited_ns);
        atomic_store_explicit(&g->gates[i].stats.rate, g->gates[i].pace.rate, memory_order_relaxed);
        pthread_mutex_unlock(&g->gates[i].lock);
    }
}

static void pause_until(struct copy_gates *g, uint64_t until_ns)
{
    for (uint64_t now; !atomic_load(&g->open) && (now = clock_mono_ns()) < until_ns;) {
        uint64_t us = (until_ns - now) / 1000 + 1;
        usleep(us < NAP_US_MAX ? (useconds_t)us : NAP_US_MAX);
    }
}

void copy_gates_pass(struct copy_gates *g, enum copy_gate gate, uint64_t bytes)
{
    if (g == NULL || bytes == 0)
        return;
    struct copy_gate_stats *stats = &g->gates[gate].stats;
    uint64_t begin = clock_mono_ns();
    pthread_mutex_lock(&g->gates[gate].lock);
    uint64_t until = copy_pace_take(&g->gates[gate].pace, begin, bytes);
    atomic_store_explicit(&stats->rate, g->gates[gate].pace.rate, memory_order_relaxed);
    pthread_mutex_unlock(&g->gates[gate].lock);
    pause_until(g, until);
    atomic_fetch_add_explicit(&stats->bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->paused_ns, clock_mono_ns() - begin, memory_order_relaxed);
}

void copy_gates_open(struct copy_gates *g)
{
    if (g != NULL)
        atomic_store(&g->open, true);
}

const struct copy_gate_stats *copy_gates_get_stats(const struct copy_gates *g, enum copy_gate gate)
{
    return &g->gates[gate].stats;
}
