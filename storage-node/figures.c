/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/figures.h"

#include "lib/base/metrics.h"

/* ---- sums over the workers */

static double sum(const struct node_figures *f, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < worker_pool_count(f->workers); i++) {
        const char *stats = (const char *)worker_pool_get_stats(f->workers, i);
        total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(stats + offset),
                                      memory_order_relaxed);
    }
    return (double)total;
}

#define WORKER_SUM(function, field)                            \
    static double function(void *arg)                          \
    {                                                          \
        return sum(arg, offsetof(struct worker_stats, field)); \
    }
WORKER_SUM(entries_proposed, partition.proposed)
WORKER_SUM(entries_applied, partition.applied)
WORKER_SUM(entries_rejected, partition.rejected)
WORKER_SUM(requests_expired, partition.expired)
WORKER_SUM(notices_sent, partition.notices)
WORKER_SUM(checks_done, partition.checks)
WORKER_SUM(check_differences, partition.check_differences)
WORKER_SUM(copies_damaged, partition.damaged)
WORKER_SUM(worker_turns, turns)

static double apply_seconds(void *arg)
{
    return sum(arg, offsetof(struct worker_stats, apply_ns)) / 1e9;
}

static double partitions_open(void *arg)
{
    const struct node_figures *f = arg;
    double total = 0;
    for (uint32_t i = 0; i < worker_pool_count(f->workers); i++)
        total +=
            atomic_load_explicit(&worker_pool_get_stats(f->workers, i)->partitions, memory_order_relaxed);
    return total;
}

/* ---- the log writer and the readers */

#define LOG_FIGURE(function, field, unit)                                              \
    static double function(void *arg)                                                  \
    {                                                                                  \
        const struct node_figures *f = arg;                                            \
        return (double)atomic_load_explicit(&worker_pool_log_stats(f->workers)->field, \
                                            memory_order_relaxed) *                    \
               (unit);                                                                 \
    }
LOG_FIGURE(log_batches, batches, 1.0)
LOG_FIGURE(log_jobs, jobs, 1.0)
LOG_FIGURE(log_bytes, bytes, 1.0)
LOG_FIGURE(log_seconds, sync_ns, 1e-9)
LOG_FIGURE(log_queued, queued, 1.0)

#define COPY_FIGURE(function, gate, field, unit)                                              \
    static double function(void *arg)                                                         \
    {                                                                                         \
        const struct node_figures *f = arg;                                                   \
        return (double)atomic_load_explicit(&worker_pool_copy_stats(f->workers, gate)->field, \
                                            memory_order_relaxed) *                           \
               (unit);                                                                        \
    }
COPY_FIGURE(copies_sent, COPY_GATE_SENT, bytes, 1.0)
COPY_FIGURE(copies_written, COPY_GATE_WRITTEN, bytes, 1.0)
COPY_FIGURE(copies_sent_rate, COPY_GATE_SENT, rate, 1.0)
COPY_FIGURE(copies_written_rate, COPY_GATE_WRITTEN, rate, 1.0)
COPY_FIGURE(copies_sent_paused, COPY_GATE_SENT, paused_ns, 1e-9)
COPY_FIGURE(copies_written_paused, COPY_GATE_WRITTEN, paused_ns, 1e-9)

static double reads_queued(void *arg)
{
    const struct node_figures *f = arg;
    return (double)atomic_load_explicit(&reader_pool_get_stats(f->readers)->queued, memory_order_relaxed);
}

static double request_bytes(void *arg)
{
    const struct node_figures *f = arg;
    return (double)dispatch_bytes(f->dispatch);
}

/* ---- the store */

#define STORE_FIGURE(function, field)       \
    static double function(void *arg)       \
    {                                       \
        const struct node_figures *f = arg; \
        struct kv_stats stats;              \
        kv_get_stats(f->kv, &stats);        \
        return (double)stats.field;         \
    }
STORE_FIGURE(store_disk_bytes, disk_bytes)
STORE_FIGURE(store_memtable_bytes, memtable_bytes)
STORE_FIGURE(store_wal_bytes, wal_bytes)
STORE_FIGURE(store_stalled, write_stalled)

/* ---- other nodes */

#define PEER_FIGURE(function, expression)   \
    static double function(void *arg)       \
    {                                       \
        const struct node_figures *f = arg; \
        struct peers_figures p;             \
        peers_figures(f->peers, &p);        \
        return (double)(expression);        \
    }
PEER_FIGURE(peer_sent, p.sent)
PEER_FIGURE(peer_received, p.received)
PEER_FIGURE(bundles_sent, p.bundles_sent)
PEER_FIGURE(bundles_received, p.bundles_received)
PEER_FIGURE(peer_sent_bytes, p.sent_bytes)
PEER_FIGURE(peer_received_bytes, p.received_bytes)
PEER_FIGURE(beats_sent, p.beats_sent)
PEER_FIGURE(beats_received, p.beats_received)
PEER_FIGURE(peer_dropped, p.dropped + p.beats_dropped)
PEER_FIGURE(peer_malformed, p.malformed)
PEER_FIGURE(peer_strangers, p.strangers)

static double faults_there(void *arg)
{
    const struct node_figures *f = arg;
    return (double)faults_count(f->faults);
}

static void register_peers(struct node_figures *f)
{
    const char *const *out = METRIC_LABELS("direction", "out"), *const *in = METRIC_LABELS("direction", "in");
    static const char messages[] = "messages between storage nodes, beats not counted";
    static const char bundles[] = "bundles of messages between storage nodes";
    static const char bytes[] = "bytes of these bundles";
    static const char beats[] = "beats between storage nodes, and answers";
    metrics_counter_func("tern_peer_messages_total", messages, out, peer_sent, f);
    metrics_counter_func("tern_peer_messages_total", messages, in, peer_received, f);
    metrics_counter_func("tern_peer_bundles_total", bundles, out, bundles_sent, f);
    metrics_counter_func("tern_peer_bundles_total", bundles, in, bundles_received, f);
    metrics_counter_func("tern_peer_bytes_total", bytes, out, peer_sent_bytes, f);
    metrics_counter_func("tern_peer_bytes_total", bytes, in, peer_received_bytes, f);
    metrics_counter_func("tern_peer_beats_total", beats, out, beats_sent, f);
    metrics_counter_func("tern_peer_beats_total", beats, in, beats_received, f);
    metrics_counter_func("tern_peer_dropped_total",
                         "messages and beats not sent: nobody there, or a full queue", NULL, peer_dropped, f);
    metrics_counter_func("tern_peer_malformed_total", "frames of other nodes that made no sense", NULL,
                         peer_malformed, f);
    metrics_gauge_func("tern_peer_strangers",
                       "other storage nodes that speak no version of messages that this one speaks", NULL,
                       peer_strangers, f);
    metrics_gauge_func("tern_faults", "faults of partitions that a person should look at", NULL, faults_there,
                       f);
}

static void register_copies(struct node_figures *f)
{
    const char *const *out = METRIC_LABELS("direction", "out"), *const *in = METRIC_LABELS("direction", "in");
    static const char bytes[] = "bytes of copies that were read for other nodes or written here";
    static const char rate[] = "bytes a second that such copies may move now";
    static const char paused[] = "time for which such copies gave way";
    metrics_counter_func("tern_copy_bytes_total", bytes, out, copies_sent, f);
    metrics_counter_func("tern_copy_bytes_total", bytes, in, copies_written, f);
    metrics_gauge_func("tern_copy_rate_bytes", rate, out, copies_sent_rate, f);
    metrics_gauge_func("tern_copy_rate_bytes", rate, in, copies_written_rate, f);
    metrics_counter_func("tern_copy_paused_seconds_total", paused, out, copies_sent_paused, f);
    metrics_counter_func("tern_copy_paused_seconds_total", paused, in, copies_written_paused, f);
}

void node_figures_register(struct node_figures *f)
{
    register_peers(f);
    register_copies(f);
    metrics_counter_func("tern_entries_proposed_total", "entries that became part of a log", NULL,
                         entries_proposed, f);
    metrics_counter_func("tern_entries_applied_total", "entries applied to the state", NULL, entries_applied,
                         f);
    metrics_counter_func("tern_checks_total",
                         "partitions, with their primary here, whose copies were compared", NULL, checks_done,
                         f);
    metrics_counter_func("tern_check_differences_total", "copies found to differ from others", NULL,
                         check_differences, f);
    metrics_counter_func("tern_copies_damaged_total", "copies here of which a row could not be read", NULL,
                         copies_damaged, f);
    metrics_counter_func("tern_entries_rejected_total", "proposals that were refused", NULL, entries_rejected,
                         f);
    metrics_counter_func("tern_requests_expired_total",
                         "writes whose deadline passed before they were proposed", NULL, requests_expired, f);
    metrics_counter_func("tern_notices_total", "watch notices sent", NULL, notices_sent, f);
    metrics_counter_func("tern_worker_turns_total", "turns of the workers", NULL, worker_turns, f);
    metrics_counter_func("tern_apply_seconds_total", "time spent applying entries and answering them", NULL,
                         apply_seconds, f);
    metrics_gauge_func("tern_partitions", "partitions this node has a copy of", NULL, partitions_open, f);
    metrics_counter_func("tern_log_syncs_total", "group commits: batches written and synced", NULL,
                         log_batches, f);
    metrics_counter_func("tern_log_jobs_total", "partitions' jobs in those batches", NULL, log_jobs, f);
    metrics_counter_func("tern_log_bytes_total", "bytes in those batches", NULL, log_bytes, f);
    metrics_counter_func("tern_log_seconds_total", "time spent writing and syncing", NULL, log_seconds, f);
    metrics_gauge_func("tern_log_queue", "jobs waiting for the log writer", NULL, log_queued, f);
    metrics_gauge_func("tern_read_queue", "reads waiting or being answered", NULL, reads_queued, f);
    metrics_gauge_func("tern_request_bytes", "bytes of requests under way", NULL, request_bytes, f);
    metrics_gauge_func("tern_store_disk_bytes", "bytes of the database's files", NULL, store_disk_bytes, f);
    metrics_gauge_func("tern_store_memtable_bytes", "bytes of write buffers", NULL, store_memtable_bytes, f);
    metrics_gauge_func("tern_store_wal_bytes", "bytes of write-ahead log", NULL, store_wal_bytes, f);
    metrics_gauge_func("tern_store_stalled", "1 while the store asks writers to pause", NULL, store_stalled,
                       f);
}

/* ---- readiness */

void node_figures_not_ready(struct directory *directory, struct map_holder *map, uint32_t node_id,
                            struct buf *reasons)
{
    struct map_ref *ref = map_holder_get(map);
    unsigned waiting = 0, stopped = 0;
    if (ref == NULL)
        return;
    const Tern__Map *m = map_ref_map(ref);
    for (size_t i = 0; i < m->n_partitions; i++) {
        const struct partition_public *pub = directory_find(directory, m->partitions[i]->partition);
        if (pub != NULL && atomic_load(&pub->stopped))
            stopped++;
        else if (m->partitions[i]->primary == node_id && (pub == NULL || !atomic_load(&pub->active)))
            waiting++;
    }
    map_ref_release(&ref);
    if (waiting > 0)
        buf_addf(reasons, "%u partitions of this node are not active yet\n", waiting);
    if (stopped > 0)
        buf_addf(reasons, "%u partitions have stopped: a row is damaged, see the log\n", stopped);
}
