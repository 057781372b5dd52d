/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM, KIND_COUNTER_FUNC, KIND_GAUGE_FUNC };

/* One registered figure: a name with one set of labels. */
struct metric {
    struct metric *next;
    enum metric_kind kind;
    char *name;
    char *help;
    char *labels; /* `method="FETCH",status="ok"`, escaped; empty if none */
    double unit;
    union {
        struct metric_counter counter;
        struct metric_gauge gauge;
        struct metric_histogram histogram;
        struct {
            double (*read)(void *arg);
            void *arg;
        } func;
    };
};

/* Sorted by name, then labels. Figures are never removed, so a pointer handed out stays good. */
static struct metric *registry;
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_escaped(struct buf *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            buf_add_str(out, "\\\\");
        else if (*text == '\n')
            buf_add_str(out, "\\n");
        else if (*text == '"' && quotes)
            buf_add_str(out, "\\\"");
        else
            buf_add_byte(out, (uint8_t)*text);
    }
}

static char *format_labels(const char *const *labels)
{
    struct buf text = { 0 };
    size_t count = 0;
    for (; labels != NULL && labels[0] != NULL; labels += 2) {
        assert(labels[1] != NULL && ++count <= METRICS_LABELS_MAX);
        buf_addf(&text, "%s%s=\"", text.len > 0 ? "," : "", labels[0]);
        add_escaped(&text, labels[1], true);
        buf_add_byte(&text, '"');
    }
    (void)count;
    char *copy = xstrdup(buf_cstr(&text));
    buf_fini(&text);
    return copy;
}

static int metric_cmp(const struct metric *m, const char *name, const char *labels)
{
    int order = strcmp(m->name, name);
    return order != 0 ? order : strcmp(m->labels, labels);
}

/* The figure of that name and labels; a fresh one is zero but for what names it. The lock is held. */
static struct metric *find_or_add(const char *name, const char *help, const char *const *labels,
                                  enum metric_kind kind, bool *fresh_out)
{
    char *text = format_labels(labels);
    struct metric **at = &registry;
    while (*at != NULL && metric_cmp(*at, name, text) < 0)
        at = &(*at)->next;
    *fresh_out = *at == NULL || metric_cmp(*at, name, text) != 0;
    if (!*fresh_out) {
        assert((*at)->kind == kind);
        free(text);
        return *at;
    }
    struct metric *m = NEW(struct metric);
    m->kind = kind;
    m->name = xstrdup(name);
    m->help = xstrdup(help);
    m->labels = text;
    m->next = *at;
    *at = m;
    return m;
}

struct metric_counter *metrics_counter(const char *name, const char *help, const char *const *labels)
{
    bool fresh;
    pthread_mutex_lock(&registry_lock);
    struct metric *m = find_or_add(name, help, labels, KIND_COUNTER, &fresh);
    pthread_mutex_unlock(&registry_lock);
    return &m->counter;
}

struct metric_gauge *metrics_gauge(const char *name, const char *help, const char *const *labels)
{
    bool fresh;
    pthread_mutex_lock(&registry_lock);
    struct metric *m = find_or_add(name, help, labels, KIND_GAUGE, &fresh);
    pthread_mutex_unlock(&registry_lock);
    return &m->gauge;
}

struct metric_histogram *metrics_histogram(const char *name, const char *help, const char *const *labels,
                                           const uint64_t *bounds, size_t bound_count, double unit)
{
    assert(bound_count <= METRICS_BUCKETS_MAX);
    bool fresh;
    pthread_mutex_lock(&registry_lock);
    struct metric *m = find_or_add(name, help, labels, KIND_HISTOGRAM, &fresh);
    if (fresh) {
        m->unit = unit;
        m->histogram.bound_count = bound_count;
        memcpy(m->histogram.bounds, bounds, bound_count * sizeof *bounds);
    }
    pthread_mutex_unlock(&registry_lock);
    return &m->histogram;
}

struct metric_histogram *metrics_histogram_seconds(const char *name, const char *help,
                                                   const char *const *labels)
{
    static const uint64_t bounds_us[] = { 100,     200,     500,     1000,     2000,    5000,
                                          10000,   20000,   50000,   100000,   200000,  500000,
                                          1000000, 2000000, 5000000, 10000000, 60000000 };
    return metrics_histogram(name, help, labels, bounds_us, sizeof bounds_us / sizeof bounds_us[0], 1e-6);
}

static void add_func(const char *name, const char *help, const char *const *labels, enum metric_kind kind,
                     double (*read)(void *arg), void *arg)
{
    bool fresh;
    pthread_mutex_lock(&registry_lock);
    struct metric *m = find_or_add(name, help, labels, kind, &fresh);
    m->func.read = read;
    m->func.arg = arg;
    pthread_mutex_unlock(&registry_lock);
}

void metrics_gauge_func(const char *name, const char *help, const char *const *labels,
                        double (*read)(void *arg), void *arg)
{
    add_func(name, help, labels, KIND_GAUGE_FUNC, read, arg);
}

void metrics_counter_func(const char *name, const char *help, const char *const *labels,
                          double (*read)(void *arg), void *arg)
{
    add_func(name, help, labels, KIND_COUNTER_FUNC, read, arg);
}

void metric_observe(struct metric_histogram *h, uint64_t value)
{
    size_t i = 0;
    while (i < h->bound_count && value > h->bounds[i])
        i++;
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

/* Whole numbers as such, so that large counters keep every digit. */
static void add_number(struct buf *out, double value)
{
    if (value == floor(value) && fabs(value) < 9e15)
        buf_addf(out, "%.0f", value);
    else
        buf_addf(out, "%.15g", value);
}

static void print_labels(struct buf *out, const char *labels)
{
    if (labels[0] != '\0')
        buf_addf(out, "{%s}", labels);
    buf_add_byte(out, ' ');
}

static void print_histogram(struct buf *out, const struct metric *m)
{
    const struct metric_histogram *h = &m->histogram;
    const char *comma = m->labels[0] != '\0' ? "," : "";
    uint64_t total = 0;
    for (size_t i = 0; i <= h->bound_count; i++) {
        total += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        buf_addf(out, "%s_bucket{%s%sle=\"", m->name, m->labels, comma);
        if (i < h->bound_count)
            add_number(out, (double)h->bounds[i] * m->unit);
        else
            buf_add_str(out, "+Inf");
        buf_addf(out, "\"} %" PRIu64 "\n", total);
    }
    buf_addf(out, "%s_sum", m->name);
    print_labels(out, m->labels);
    add_number(out, (double)atomic_load_explicit(&h->sum, memory_order_relaxed) * m->unit);
    buf_addf(out, "\n%s_count", m->name);
    print_labels(out, m->labels);
    buf_addf(out, "%" PRIu64 "\n", total);
}

static void print_value(struct buf *out, const struct metric *m)
{
    if (m->kind == KIND_HISTOGRAM) {
        print_histogram(out, m);
        return;
    }
    buf_add_str(out, m->name);
    print_labels(out, m->labels);
    if (m->kind == KIND_COUNTER)
        buf_add_u64(out, atomic_load_explicit(&m->counter.value, memory_order_relaxed));
    else if (m->kind == KIND_GAUGE)
        buf_addf(out, "%" PRId64, atomic_load_explicit(&m->gauge.value, memory_order_relaxed));
    else
        add_number(out, m->func.read(m->func.arg));
    buf_add_byte(out, '\n');
}

static void print_heading(struct buf *out, const struct metric *m)
{
    static const char *const types[] = { [KIND_COUNTER] = "counter",
                                         [KIND_GAUGE] = "gauge",
                                         [KIND_HISTOGRAM] = "histogram",
                                         [KIND_COUNTER_FUNC] = "counter",
                                         [KIND_GAUGE_FUNC] = "gauge" };
    buf_addf(out, "# HELP %s ", m->name);
    add_escaped(out, m->help, false);
    buf_addf(out, "\n# TYPE %s %s\n", m->name, types[m->kind]);
}

void metrics_print(struct buf *out)
{
    const char *last = "";
    pthread_mutex_lock(&registry_lock);
    for (const struct metric *m = registry; m != NULL; m = m->next) {
        if (strcmp(m->name, last) != 0)
            print_heading(out, m);
        last = m->name;
        print_value(out, m);
    }
    pthread_mutex_unlock(&registry_lock);
}
