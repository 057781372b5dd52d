/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/bulk/copy_pace.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static uint64_t bounded(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

void copy_pace_init(struct copy_pace *pace, uint64_t ceiling)
{
    *pace =
        (struct copy_pace){ .ceiling = bounded(ceiling == 0 ? COPY_PACE_FULL : ceiling, 1, COPY_PACE_FULL) };
    pace->floor = bounded(COPY_PACE_FLOOR, 1, pace->ceiling);
    pace->rate = bounded(COPY_PACE_START, pace->floor, pace->ceiling);
}

static bool is_slow(const struct copy_pace *pace)
{
    for (int kind = 0; kind < COPY_WAIT_COUNT; kind++) {
        uint64_t normal = pace->waits[kind].normal_ns;
        if (normal == 0)
            normal = COPY_PACE_NORMAL_START_US * NS_PER_US;
        if (pace->waits[kind].count > 0 && pace->waits[kind].slowest_ns > normal * COPY_PACE_SLOW)
            return true;
    }
    return false;
}

static bool anybody_waited(const struct copy_pace *pace)
{
    for (int kind = 0; kind < COPY_WAIT_COUNT; kind++) {
        if (pace->waits[kind].count > 0)
            return true;
    }
    return false;
}

static void learn_normal(struct copy_pace *pace, uint64_t share)
{
    for (int kind = 0; kind < COPY_WAIT_COUNT; kind++) {
        uint64_t slowest = pace->waits[kind].slowest_ns, normal = pace->waits[kind].normal_ns;
        if (pace->waits[kind].count == 0)
            continue;
        if (normal == 0)
            normal = share == COPY_PACE_NORMAL_SHARE ? slowest : COPY_PACE_NORMAL_START_US * NS_PER_US;
        if (slowest > normal)
            normal += (slowest - normal) / share;
        else
            normal -= (normal - slowest) / share;
        pace->waits[kind].normal_ns = bounded(normal, COPY_PACE_NORMAL_MIN_US * NS_PER_US, UINT64_MAX);
    }
}

/* Bytes a second that were moved in the window that ends now. */
static uint64_t moved_rate(const struct copy_pace *pace, uint64_t now_ns)
{
    uint64_t ns = bounded(now_ns - pace->window_begin_ns, NS_PER_MS, UINT64_MAX);
    return (uint64_t)((double)pace->window_bytes * (double)NS_PER_S / (double)ns);
}

static void judge(struct copy_pace *pace, uint64_t now_ns)
{
    bool is_cut = false;
    uint64_t moved = moved_rate(pace, now_ns);
    uint64_t most_moved = moved > pace->moved_rate_before ? moved : pace->moved_rate_before;
    if (pace->window_bytes == 0 && !pace->moved_before) {
        learn_normal(pace, COPY_PACE_NORMAL_SHARE);
    } else if (!anybody_waited(pace)) {
        if (now_ns >= pace->waited_ns + COPY_PACE_QUIET_MS * NS_PER_MS)
            pace->rate *= 2;
    } else if (is_slow(pace)) {
        if (pace->rate == pace->floor)
            learn_normal(pace, COPY_PACE_NORMAL_SHARE_SLOW);
        is_cut = !pace->cut_before;
        if (is_cut)
            pace->rate = bounded(most_moved, pace->floor, pace->rate) / 100 * COPY_PACE_CUT_PERCENT;
    } else {
        pace->rate += COPY_PACE_STEP;
    }
    pace->cut_before = is_cut;
    pace->moved_rate_before = moved;
    pace->rate = bounded(pace->rate, pace->floor, pace->ceiling);
}

/* Windows in which nothing happened at all count as one. */
static void turn_window(struct copy_pace *pace, uint64_t now_ns)
{
    if (now_ns < pace->window_end_ns)
        return;
    if (pace->window_end_ns != 0)
        judge(pace, now_ns);
    pace->moved_before = pace->window_bytes > 0;
    pace->window_bytes = 0;
    pace->window_begin_ns = now_ns;
    pace->window_end_ns = now_ns + COPY_PACE_WINDOW_MS * NS_PER_MS;
    for (int kind = 0; kind < COPY_WAIT_COUNT; kind++) {
        pace->waits[kind].count = 0;
        pace->waits[kind].slowest_ns = 0;
    }
}

void copy_pace_waited(struct copy_pace *pace, uint64_t now_ns, enum copy_wait kind, uint64_t waited_ns)
{
    turn_window(pace, now_ns);
    pace->waited_ns = now_ns > pace->waited_ns ? now_ns : pace->waited_ns;
    pace->waits[kind].count++;
    if (waited_ns > pace->waits[kind].slowest_ns)
        pace->waits[kind].slowest_ns = waited_ns;
}

uint64_t copy_pace_take(struct copy_pace *pace, uint64_t now_ns, uint64_t bytes)
{
    turn_window(pace, now_ns);
    pace->window_bytes += bytes;
    if (pace->free_ns + COPY_PACE_SLACK_MS * NS_PER_MS < now_ns)
        pace->free_ns = now_ns - COPY_PACE_SLACK_MS * NS_PER_MS;
    pace->free_ns += (uint64_t)((double)bytes * (double)NS_PER_S / (double)pace->rate);
    return pace->free_ns;
}
