/* SPDX-License-Identifier: Apache-2.0 */
/* Time, chance, links, and what the directors' code takes from its surroundings: clocks and random bytes
 * (lib/base/clock.h, lib/base/rand.h), here in place of the system's. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/rand.h"
#include "tests/sim/director/dsim.h"

enum { CLOCK_BASE_MS = 1000000, CLOCK_APART_MS = 77777, LATE_MS = 4000 };
enum { SMALL_DISK_EVERY = 10, SMALL_DISK_SEED = 6 }; /* seeds that end so */

struct sim *sim;

uint64_t clock_mono_ms(void)
{
    return sim->now + CLOCK_BASE_MS +
           (directors.running < 0 ? 0 : (uint64_t)directors.running * CLOCK_APART_MS);
}

uint64_t clock_mono_ns(void)
{
    return clock_mono_ms() * 1000000;
}

uint64_t clock_boot_ns(void)
{
    return clock_mono_ns();
}

uint64_t clock_real_ms(void)
{
    return UINT64_C(1800000000000) + sim->now;
}

uint64_t sim_now(void)
{
    return sim->now;
}

bool sim_calm(void)
{
    return sim->calm;
}

uint64_t sim_rand(void) /* splitmix64 */
{
    uint64_t x = sim->rand += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

uint64_t rand_u64(void)
{
    return sim_rand();
}

void rand_bytes(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)sim_rand();
}

uint64_t sim_below(uint64_t n)
{
    return n == 0 ? 0 : sim_rand() % n;
}

bool sim_chance(unsigned per_mille)
{
    return sim_below(1000) < per_mille;
}

/* ---- time: a heap by (at, order) */

static bool is_before(const struct todo *a, const struct todo *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_post(struct todo *todo, uint64_t at)
{
    todo->at = at < sim->now ? sim->now : at;
    todo->order = ++sim->orders;
    if (sim->heap_count == sim->heap_cap) {
        sim->heap_cap = sim->heap_cap == 0 ? 256 : 2 * sim->heap_cap;
        sim->heap = xrealloc(sim->heap, sim->heap_cap * sizeof *sim->heap);
    }
    size_t i = sim->heap_count++;
    for (; i > 0 && is_before(todo, sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sim->heap[i] = sim->heap[(i - 1) / 2];
    sim->heap[i] = todo;
}

static struct todo *pop(void)
{
    struct todo *first = sim->heap[0], *last = sim->heap[--sim->heap_count];
    size_t i = 0, count = sim->heap_count;
    while (2 * i + 1 < count) {
        size_t child = 2 * i + 1;
        if (child + 1 < count && is_before(sim->heap[child + 1], sim->heap[child]))
            child++;
        if (!is_before(sim->heap[child], last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return first;
}

void sim_run(uint64_t until)
{
    while (!sim->failed && sim->heap_count > 0 && sim->heap[0]->at <= until) {
        struct todo *todo = pop();
        sim->now = todo->at;
        todo->run(todo);
    }
    if (!sim->failed)
        sim->now = until;
}

/* ---- links */

uint64_t sim_cut_until(int from, int to)
{
    return sim->cut_until[from][to];
}

bool sim_cut(int from, int to)
{
    return sim->now < sim_cut_until(from, to);
}

bool sim_route(int from, int to, uint64_t *at_out)
{
    *at_out = sim->now + 1 + sim_below(sim->delay_ms + 1);
    if (sim->calm)
        return true;
    if (sim_cut(from, to) || sim_chance(sim->loss))
        return false;
    if (sim_chance(sim->late))
        *at_out += sim_below(LATE_MS);
    return true;
}

/* ---- small things */

void numbers_add(struct numbers *n, uint32_t number)
{
    if (n->count == n->cap) {
        n->cap = n->cap == 0 ? 64 : 2 * n->cap;
        n->list = xrealloc(n->list, n->cap * sizeof *n->list);
    }
    n->list[n->count++] = number;
}

void numbers_fini(struct numbers *n)
{
    free(n->list);
    *n = (struct numbers){ 0 };
}

void sim_trace(const char *fmt, ...)
{
    va_list args;
    if (!sim->trace)
        return;
    printf("%8.3f  ", (double)sim->now / 1000);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void sim_fail(const char *fmt, ...)
{
    va_list args;
    if (sim->failed)
        return;
    sim->failed = true;
    va_start(args, fmt);
    int at = snprintf(sim->failure, sizeof sim->failure, "%.3f s: ", (double)sim->now / 1000);
    vsnprintf(sim->failure + at, sizeof sim->failure - (size_t)at, fmt, args);
    va_end(args);
    sim_trace("FAILED: %s", sim->failure);
}

/* ---- life */

void sim_init(struct sim *s, uint64_t seed, const struct dbreaks *breaks, bool haste, bool trace)
{
    *s = (struct sim){ .seed = seed, .breaks = *breaks, .haste = haste, .trace = trace };
    sim = s;
    s->small_disk = seed % SMALL_DISK_EVERY == SMALL_DISK_SEED;
    s->rand = seed * UINT64_C(0x2545f4914f6cdd1d) + 7;
    s->partitions = 4 + (uint32_t)sim_below(PARTITIONS_MAX - 4);
    s->copies = sim_chance(700) ? 3 : 2;
    s->moves_max = 1 + (uint32_t)sim_below(4);
    s->moves_per_node = 1 + (uint32_t)sim_below(2);
    s->zones = (uint32_t)sim_below(4); /* 0: each node has its own */
    directors_init();
    directors.count = DIRECTORS;
    directors.breaks.cas = breaks->cas;
    directors.breaks.lease = breaks->lease;
    directors.breaks.mark = breaks->mark;
    directors.options =
        (struct director_options){ .partitions = s->partitions,
                                   .copies = s->copies,
                                   .initial_nodes = s->copies,
                                   .repair_after_ms = breaks->repair ? 0 : REPAIR_MS,
                                   .moves_max = breaks->moves ? 1000 : s->moves_max,
                                   .moves_per_node = breaks->moves ? 1000 : s->moves_per_node };
    checks_init();
    store_init();
    hosts_init();
    weather_init();
}

void sim_fini(struct sim *s)
{
    s->failed = true; /* nothing is checked on the way out */
    hosts_fini();
    while (s->heap_count > 0) {
        struct todo *todo = pop();
        todo->drop(todo);
    }
    free(s->heap);
    for (int i = 0; i < NODES_MAX; i++)
        node_fini(&s->nodes[i]);
    store_fini();
    checks_fini();
}
