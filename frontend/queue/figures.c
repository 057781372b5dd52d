/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/queue/queue_priv.h"
#include "lib/base/clock.h"
#include "lib/base/metrics.h"

static struct {
    struct metric_counter *put, *refused;
    struct metric_counter *outcomes[3];
    struct metric_gauge *items, *bytes, *held, *failed, *oldest;
} figures;

void queue_figures_register(void)
{
    static const char *const names[] = { "delivered", "put_off", "failed" };
    figures.put = metrics_counter("tern_queue_put_total", "Messages put into the queue.",
                                  METRIC_LABELS("result", "ok"));
    figures.refused = metrics_counter("tern_queue_put_total", "Messages put into the queue.",
                                      METRIC_LABELS("result", "refused"));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        figures.outcomes[i] = metrics_counter("tern_queue_attempts_total",
                                              "Attempts for a recipient of a queued message, by outcome.",
                                              METRIC_LABELS("outcome", names[i]));
    figures.items = metrics_gauge("tern_queue_items", "Queued messages of the cluster, as seen last.", NULL);
    figures.bytes = metrics_gauge("tern_queue_bytes", "Bytes of the queued messages.", NULL);
    figures.held = metrics_gauge("tern_queue_held_items", "Queued messages that are held.", NULL);
    figures.failed =
        metrics_gauge("tern_queue_failed_items", "Queued messages that failed and wait for a person.", NULL);
    figures.oldest = metrics_gauge("tern_queue_oldest_seconds", "Age of the oldest queued message.", NULL);
}

void queue_count_put(enum err err)
{
    metric_count(err == OK ? figures.put : figures.refused, 1);
}

void queue_count_outcome(enum queue_outcome outcome)
{
    metric_count(figures.outcomes[outcome], 1);
}

void queue_figures_set(const struct queue *q)
{
    struct queue_status sum = { 0 };
    for (uint32_t p = 0; p < q->slot_count; p++) {
        const struct queue_status *s = &q->slots[p].status;
        sum.items += s->items;
        sum.bytes += s->bytes;
        sum.held += s->held;
        sum.failed += s->failed;
        if (s->oldest_ms != 0 && (sum.oldest_ms == 0 || s->oldest_ms < sum.oldest_ms))
            sum.oldest_ms = s->oldest_ms;
    }
    uint64_t now_ms = clock_real_ms();
    metric_set(figures.items, (int64_t)sum.items);
    metric_set(figures.bytes, (int64_t)sum.bytes);
    metric_set(figures.held, (int64_t)sum.held);
    metric_set(figures.failed, (int64_t)sum.failed);
    metric_set(figures.oldest,
               sum.oldest_ms != 0 && sum.oldest_ms < now_ms ? (int64_t)(now_ms - sum.oldest_ms) / 1000 : 0);
}
