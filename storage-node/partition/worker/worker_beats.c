/* SPDX-License-Identifier: Apache-2.0 */
/* Beats: what a worker's partitions promise each other, gathered into one message a node. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/worker/worker_priv.h"

static void list_add(struct beat_list *list, const struct beat_part *part)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->parts = xrealloc(list->parts, list->cap * sizeof *list->parts);
    }
    list->parts[list->count++] = *part;
}

void worker_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct worker *w = arg;
    const struct peer_transport *peers = worker_peers(w);
    if (msg->type == REPLICA_MSG_BEAT_ACK) { /* only inside worker_take_beats */
        struct beat_part part = { .partition = partition_id(p), .epoch = msg->epoch };
        list_add(&w->granted, &part);
    } else {
        peers->send(peers->arg, p, msg);
    }
}

uint8_t worker_speaks(void *arg, struct replica_node node)
{
    const struct peer_transport *peers = worker_peers(arg);
    return peers->speaks == NULL ? 0 : peers->speaks(peers->arg, node);
}

static struct beat_list *list_of(struct worker *w, struct replica_node node)
{
    for (size_t i = 0; i < w->list_count; i++) {
        if (replica_node_eq(w->lists[i].node, node))
            return &w->lists[i];
    }
    if (w->list_count == w->list_cap) {
        size_t cap = w->list_cap == 0 ? 8 : w->list_cap * 2;
        w->lists = xrealloc(w->lists, cap * sizeof *w->lists);
        memset(w->lists + w->list_cap, 0, (cap - w->list_cap) * sizeof *w->lists);
        w->list_cap = cap;
    }
    struct beat_list *list = &w->lists[w->list_count++];
    list->node = node;
    list->count = 0;
    return list;
}

static bool add_beats(struct worker *w, struct partition *p)
{
    const struct replica_conf *conf = partition_known_conf(p);
    struct beat_part part;
    for (int i = 0; i < conf->member_count; i++) {
        if (partition_beat(p, conf->members[i], &part))
            list_add(list_of(w, conf->members[i]), &part);
    }
    for (int i = 0; i < conf->learner_count; i++) {
        if (partition_beat(p, conf->learners[i], &part))
            list_add(list_of(w, conf->learners[i]), &part);
    }
    return conf->member_count + conf->learner_count > 1;
}

static void send_lists(struct worker *w)
{
    const struct peer_transport *peers = worker_peers(w);
    for (size_t i = 0; i < w->list_count; i++) {
        struct beats beats = { .peer = w->lists[i].node,
                               .parts = w->lists[i].parts,
                               .count = w->lists[i].count };
        peers->beats(peers->arg, &beats);
    }
}

/* Each node that some partition of this worker beats to gets one message. */
void worker_beat(struct worker *w, struct partition_now now)
{
    uint32_t open = atomic_load_explicit(&w->stats.partitions, memory_order_relaxed);
    bool shared = false;
    w->list_count = 0;
    for (size_t i = 0; open > 0 && i < PARTITION_COUNT_MAX / w->pool->options.workers + 1; i++) {
        if (w->slots[i].p == NULL)
            continue;
        open--;
        worker_warm_around(w, i);
        shared |= add_beats(w, w->slots[i].p);
    }
    send_lists(w);
    w->next_beat_ns = shared ? now.boot_ns + REPLICA_BEAT_NS : REPLICA_NEVER;
}

/* A primary serves reads when all members have answered a beat (R14): a new one does not wait for the next
 * round, which is up to REPLICA_BEAT_NS away. */
void worker_beat_early(struct worker *w, struct slot *slot)
{
    uint64_t since = partition_known_conf(slot->p)->since;
    if (slot->beat_since == since)
        return;
    w->list_count = 0;
    add_beats(w, slot->p);
    if (w->list_count == 0)
        return;
    slot->beat_since = since;
    send_lists(w);
}

static const struct slot *slot_ahead(struct worker *w, const struct beats_item *b, size_t i)
{
    return i < b->beats.count ? worker_slot(w, b->parts[i].partition) : NULL;
}

void worker_take_beats(struct worker *w, struct beats_item *b, struct partition_now now)
{
    const struct peer_transport *peers = worker_peers(w);
    w->granted.count = 0;
    for (size_t i = 0; i < b->beats.count && !w->stopping; i++) {
        const struct beat_part *part = &b->parts[i];
        worker_warm(slot_ahead(w, b, i + WORKER_WARM_FAR), slot_ahead(w, b, i + WORKER_WARM_NEAR));
        struct slot *slot = worker_slot(w, part->partition);
        struct replica_msg msg = { .type = REPLICA_MSG_BEAT, .peer = b->beats.peer, .epoch = part->epoch };
        if (slot == NULL || slot->p == NULL)
            continue;
        msg.beat.commit = part->commit;
        if (b->beats.answer) {
            msg.type = REPLICA_MSG_BEAT_ACK;
            msg.beat_ack.sent_at = b->beats.sent_at;
        }
        worker_must(w, partition_message(slot->p, now, &msg), "a beat");
        if (partition_has_committed(slot->p))
            worker_touch(w, slot);
        else /* as nearly always: hundreds of partitions at rest are not to be looked at five times a second
              */
            worker_want_tick(w, slot->p);
    }
    if (w->granted.count > 0) {
        struct beats answer = b->beats;
        answer.answer = true;
        answer.parts = w->granted.parts;
        answer.count = w->granted.count;
        peers->beats(peers->arg, &answer);
    }
    free(b);
}
