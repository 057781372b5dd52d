/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a process in Prometheus' text format: counters, gauges and histograms with relaxed atomics. One
 * registry a process. Labels are fixed at registration, so that counting is one addition. Registering is
 * thread-safe, takes a lock and gives the same figure for the same name and labels; figures live as long as
 * the process. */
#ifndef LIB_BASE_METRICS_H
#define LIB_BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum {
    METRICS_LABELS_MAX = 8,   /* of one figure */
    METRICS_BUCKETS_MAX = 32, /* of a histogram */
};

struct metric_counter {
    _Atomic uint64_t value;
};
struct metric_gauge {
    _Atomic int64_t value;
};
struct metric_histogram {
    size_t bound_count;
    uint64_t bounds[METRICS_BUCKETS_MAX];              /* inclusive upper bounds, ascending */
    _Atomic uint64_t buckets[METRICS_BUCKETS_MAX + 1]; /* the last: above all bounds */
    _Atomic uint64_t sum;
};

/* Pairs: METRIC_LABELS("method", "FETCH", "status", "ok"). NULL for none. Copied. */
#define METRIC_LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Names follow Prometheus: "tern_rpc_requests_total", "tern_imap_sessions", "tern_commit_seconds". One name
 * has one kind and one help text. */
struct metric_counter *metrics_counter(const char *name, const char *help, const char *const *labels);
struct metric_gauge *metrics_gauge(const char *name, const char *help, const char *const *labels);
/* Observed values are whole numbers; printed times `unit` (observe microseconds, unit 1e-6, to print
 * seconds). `bounds` ascending, at most METRICS_BUCKETS_MAX. */
struct metric_histogram *metrics_histogram(const char *name, const char *help, const char *const *labels,
                                           const uint64_t *bounds, size_t bound_count, double unit);
/* A histogram of durations: observe microseconds (100 us to 60 s), printed in seconds. */
struct metric_histogram *metrics_histogram_seconds(const char *name, const char *help,
                                                   const char *const *labels);
/* A gauge that is asked when printed, on the printing thread: `read` must be thread-safe and quick. */
void metrics_gauge_func(const char *name, const char *help, const char *const *labels,
                        double (*read)(void *arg), void *arg);
/* The same for a figure that only grows. */
void metrics_counter_func(const char *name, const char *help, const char *const *labels,
                          double (*read)(void *arg), void *arg);

static inline void metric_count(struct metric_counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(&c->value, n, memory_order_relaxed);
}

static inline void metric_set(struct metric_gauge *g, int64_t value)
{
    atomic_store_explicit(&g->value, value, memory_order_relaxed);
}

static inline void metric_add(struct metric_gauge *g, int64_t n)
{
    atomic_fetch_add_explicit(&g->value, n, memory_order_relaxed);
}

void metric_observe(struct metric_histogram *h, uint64_t value);

/* Figures every process has: start time, resident memory, open files, CPU seconds,
 * tern_build_info{version,program}. */
void metrics_register_process(const char *program);

/* All figures as text, sorted by name. */
void metrics_print(struct buf *out);

#endif
