/* SPDX-License-Identifier: Apache-2.0 */
/* Seats of primaries: the director's wishes about them, and handing all of them over before the process ends
 * (R22), so that users wait for one change of configuration and not for leases to run out. */
#include <stdlib.h>

#include "storage-node/partition/worker/worker_priv.h"

static bool find_member(const struct replica_conf *conf, uint32_t id, struct replica_node *out)
{
    for (int i = 0; i < conf->member_count; i++) {
        if (conf->members[i].id == id) {
            *out = conf->members[i];
            return true;
        }
    }
    return false;
}

/* False: refused, which the next attempt may not be. */
static bool hand_over(struct worker *w, struct slot *slot, struct replica_node heir, struct partition_now now)
{
    enum err refused = OK;
    worker_must(w, partition_handover(slot->p, now, heir, &refused), "handing a seat over");
    worker_touch(w, slot);
    return refused == OK;
}

static void grant(struct worker *w, struct slot *slot, const struct worker_wish *wish,
                  struct partition_now now)
{
    struct replica_info info;
    struct replica_node node;
    partition_info(slot->p, &info);
    if (!info.active || info.handing || info.epoch != wish->epoch ||
        !find_member(partition_known_conf(slot->p), wish->node, &node))
        return; /* late or twice */
    if (wish->kind == WORKER_WISH_HANDOVER) {
        hand_over(w, slot, node, now);
        return;
    }
    /* R20: the request names the epoch, so it may be late; the answer is a configuration like any other. */
    struct partition_ask ask = {
        .partition = wish->partition, .type = REPLICA_ASK_EVICT, .epoch = wish->epoch, .node = wish->node
    };
    w->host.ask(w->host.arg, &ask);
}

void worker_take_wish(struct worker *w, struct wish_item *item, struct partition_now now)
{
    struct slot *slot = worker_slot(w, item->wish.partition);
    if (slot != NULL && slot->p != NULL && !w->stopping)
        grant(w, slot, &item->wish, now);
    free(item);
}

/* ---- before the end */

/* There is somebody to hand it to, or will be. */
static bool may_be_handed(const struct slot *slot)
{
    struct replica_node heir;
    return slot->handed < WORKER_HANDOVERS_MAX &&
           (partition_heir(slot->p, &heir) || partition_expects_heir(slot->p));
}

/* Counts the seats that are left, those that are on their way, and those whose heirs have yet to begin. */
static uint32_t count_seats(struct worker *w, size_t slots, uint32_t *handing_out)
{
    uint32_t seats = 0, open = atomic_load_explicit(&w->stats.partitions, memory_order_relaxed);
    *handing_out = 0;
    for (size_t i = 0; open > 0 && i < slots; i++) {
        struct replica_info info;
        if (w->slots[i].p == NULL)
            continue;
        open--;
        partition_info(w->slots[i].p, &info);
        *handing_out += info.handing;
        seats += info.handing || partition_awaits_heir(w->slots[i].p) || may_be_handed(&w->slots[i]);
    }
    return seats;
}

static bool offer(struct worker *w, struct slot *slot, struct partition_now now)
{
    struct replica_info info;
    struct replica_node heir;
    if (slot->p == NULL || slot->handed >= WORKER_HANDOVERS_MAX)
        return false;
    partition_info(slot->p, &info);
    if (!info.active || info.handing || !partition_heir(slot->p, &heir) || !hand_over(w, slot, heir, now))
        return false;
    slot->handed++;
    return true;
}

void worker_hand_over(struct worker *w, struct partition_now now)
{
    size_t slots = PARTITION_COUNT_MAX / w->pool->options.workers + 1;
    uint32_t handing, seats = count_seats(w, slots, &handing);
    for (size_t i = 0; seats > 0 && i < slots && handing < WORKER_HANDING_MAX; i++)
        handing += offer(w, &w->slots[i], now);
    atomic_store(&w->stats.seats, seats);
    w->next_leave_ns = now.boot_ns + WORKER_LEAVE_SCAN_MS * REPLICA_MS;
}
