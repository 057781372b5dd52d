/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "storage-node/replica/replica_priv.h"

#define HOT_MIN 16u

void rep_log_fini(struct rep_log *log)
{
    free(log->runs);
    free(log->ends);
    *log = (struct rep_log){ 0 };
}

void rep_log_reset(struct rep_log *log, uint64_t base, uint64_t base_epoch)
{
    log->base = log->last = base;
    log->base_epoch = base_epoch;
    log->run_count = 0;
    log->hot = base + 1;
    log->hot_start = 0;
}

static void add_run(struct rep_log *log, uint64_t first, uint64_t epoch)
{
    if (log->run_count == log->run_cap) {
        log->run_cap = log->run_cap == 0 ? 4 : log->run_cap * 2;
        log->runs = xrealloc(log->runs, log->run_cap * sizeof *log->runs);
    }
    log->runs[log->run_count++] = (struct replica_run){ first, epoch };
}

bool rep_log_load(struct rep_log *log, uint64_t last, const struct replica_run *runs, uint32_t run_count)
{
    uint64_t epoch = log->base_epoch, first = log->base;
    if (last < log->base || (last > log->base) != (run_count > 0))
        return false;
    for (uint32_t i = 0; i < run_count; i++) {
        bool starts = i == 0 ? runs[i].first == log->base + 1 : runs[i].first > first;
        if (!starts || runs[i].first > last || runs[i].epoch < epoch || runs[i].epoch == 0)
            return false;
        add_run(log, runs[i].first, runs[i].epoch);
        first = runs[i].first;
        epoch = runs[i].epoch;
    }
    log->last = last;
    log->hot = last + 1;
    return true;
}

static uint32_t end_of(const struct rep_log *log, uint64_t index)
{
    return index < log->hot ? log->hot_start : log->ends[index & (log->ends_cap - 1)];
}

/* Room for one more hot entry: by growing, or by letting the oldest go cold. */
static void make_room(struct rep_log *log)
{
    uint64_t count = log->last + 1 - log->hot;
    if (count < log->ends_cap)
        return;
    if (log->ends_cap == REP_LOG_HOT_MAX) {
        log->hot_start = end_of(log, log->hot);
        log->hot++;
        return;
    }
    uint32_t cap = log->ends_cap == 0 ? HOT_MIN : log->ends_cap * 2;
    uint32_t *ends = NEW_ARRAY(uint32_t, cap);
    for (uint64_t i = log->hot; i <= log->last; i++)
        ends[i & (cap - 1)] = end_of(log, i);
    free(log->ends);
    log->ends = ends;
    log->ends_cap = cap;
}

void rep_log_append(struct rep_log *log, uint64_t epoch, uint32_t size)
{
    if (log->run_count == 0 || log->runs[log->run_count - 1].epoch != epoch)
        add_run(log, log->last + 1, epoch);
    make_room(log);
    uint32_t end = end_of(log, log->last) + size;
    log->last++;
    log->ends[log->last & (log->ends_cap - 1)] = end;
}

void rep_log_cut(struct rep_log *log, uint64_t from)
{
    assert(from > log->base && from <= log->last);
    log->last = from - 1;
    while (log->run_count > 0 && log->runs[log->run_count - 1].first >= from)
        log->run_count--;
    if (log->hot > from)
        log->hot = from;
}

void rep_log_trim(struct rep_log *log, uint64_t index)
{
    assert(index > log->base && index <= log->last);
    uint32_t gone = 0;
    log->base_epoch = rep_log_epoch(log, index);
    log->base = index;
    while (gone < log->run_count &&
           (gone + 1 < log->run_count ? log->runs[gone + 1].first <= index + 1 : log->last == index))
        gone++;
    log->run_count -= gone;
    memmove(log->runs, log->runs + gone, log->run_count * sizeof *log->runs);
    if (log->hot <= index) {
        log->hot_start = end_of(log, index);
        log->hot = index + 1;
    }
}

uint64_t rep_log_epoch(const struct rep_log *log, uint64_t index)
{
    if (index == log->base)
        return log->base_epoch;
    if (index < log->base || index > log->last)
        return 0;
    uint32_t low = 0, high = log->run_count; /* the last run with first <= index */
    if (log->runs[high - 1].first <= index)  /* nearly always */
        return log->runs[high - 1].epoch;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (log->runs[mid].first <= index)
            low = mid;
        else
            high = mid;
    }
    return log->runs[low].epoch;
}

uint32_t rep_log_bytes(const struct rep_log *log, uint64_t first, uint64_t last)
{
    return first > last ? 0 : end_of(log, last) - end_of(log, first - 1);
}
