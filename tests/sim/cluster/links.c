/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between storage nodes: bundled, encoded, lost, delayed, repeated, decoded (as storage-node/peer
 * does it over sockets). In every other run each message goes alone: then more can happen to each. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/node.h"

enum { LATE_MS = 6000 };

struct packet {
    struct event event;        /* first */
    int from, to;              /* slots */
    bool beats, begins, again; /* begins: the first chunk of a copy; again: much later */
    struct buf frame;
};

static void packet_drop(struct event *e)
{
    struct packet *packet = (struct packet *)e;
    buf_fini(&packet->frame);
    free(packet);
}

static bool is_for(const struct node *n, const struct peer_ends *ends)
{
    return replica_node_eq(ends->to, n->self) && ends->from.id != n->self.id;
}

static void hear(struct node *n, const struct peer_ends *ends)
{
    if (ends->from.id < IDS_MAX)
        n->heard[ends->from.id] = ends->says.machine;
}

/* R17: only answers to beats of this process that are still remembered. */
static bool find_sent(struct node *n, struct beats *answer)
{
    const struct sent_beat *sent = &n->sent[answer->number % BEATS_REMEMBERED];
    answer->sent_at = sent->at_ns;
    return answer->boot == n->boot && sent->number == answer->number && sent->number != 0 &&
           replica_node_eq(sent->to, answer->peer);
}

static void look_at_chunks(struct node *n, const struct inbox_chain *messages)
{
    for (struct inbox_item *item = messages->first; item != NULL; item = item->next) {
        const struct worker_message *m = (const struct worker_message *)item;
        if (m->msg.type == REPLICA_MSG_CHUNK && !m->msg.chunk.last) {
            n->chunk_at = n->c->now;
            weather_copy_begins(n->c);
        }
    }
}

static void take_bundle(struct node *n, struct slice frame)
{
    struct peer_ends ends;
    struct inbox_chain messages;
    if (peer_decode(frame, PEER_VERSION, &ends, &messages) != OK)
        cluster_fail(n->c, "a message does not decode");
    else if (is_for(n, &ends)) {
        hear(n, &ends);
        look_at_chunks(n, &messages);
        worker_pool_messages(n->pool, &messages);
    } else
        peer_free_messages(&messages);
}

static void take_beats(struct node *n, struct slice frame)
{
    struct peer_ends ends;
    struct beats beats;
    if (peer_decode_beats(frame, PEER_VERSION, &ends, &beats) != OK)
        cluster_fail(n->c, "a beat does not decode");
    else if (is_for(n, &ends)) {
        hear(n, &ends);
        if (!beats.answer || find_sent(n, &beats))
            worker_pool_beats(n->pool, &beats);
    }
    free((void *)beats.parts);
}

static void deliver(struct cluster *c, struct event *e)
{
    struct packet *packet = (struct packet *)e;
    struct node *n = c->nodes[packet->to];
    if (n->up && c->now < n->paused_until) { /* it waits in the kernel */
        cluster_post(c, e, n->paused_until);
        return;
    }
    if (n->up && !n->dying && n->pool != NULL) {
        if (packet->beats)
            take_beats(n, buf_slice(&packet->frame));
        else
            take_bundle(n, buf_slice(&packet->frame));
        node_poke(n);
    }
    if (packet->again)
        weather_copy_repeated(c, packet->from);
    if (!c->calm && packet->begins && c->late > 0 && cluster_chance(c, c->late)) {
        packet->again = true;
        cluster_post(c, e, c->now + 1 + cluster_below(c, LATE_MS * MS));
    } else if (!c->calm && cluster_chance(c, c->dup)) /* once more, later */
        cluster_post(c, e, c->now + 1 + cluster_below(c, (cluster_chance(c, 300) ? 3000 : 20) * MS));
    else
        packet_drop(e);
}

static void post(struct node *n, uint32_t to, struct packet *packet)
{
    struct node *other = node_find(n->c, to);
    uint64_t at;
    packet->event.run = deliver;
    packet->event.drop = packet_drop;
    if (other == NULL || !network_route(n->c, n->slot, other->slot, &at)) {
        packet_drop(&packet->event);
        return;
    }
    packet->from = n->slot;
    packet->to = other->slot;
    cluster_post(n->c, &packet->event, at);
}

static void send_bundle(struct outbox *o, size_t i)
{
    struct node *n = o->node;
    struct packet *packet = NEW(struct packet);
    packet->begins = o->begins[i];
    packet->frame = peer_bundle_end(&o->bundles[i]);
    o->begins[i] = false;
    if (n->dying || n->c->failed)
        packet_drop(&packet->event);
    else
        post(n, o->bundles[i].ends.to.id, packet);
}

static void on_flush(void *arg)
{
    struct outbox *o = arg;
    for (size_t i = 0; i < o->count; i++) {
        if (o->bundles[i].count > 0)
            send_bundle(o, i);
    }
    o->count = 0;
}

static struct peer_ends ends_to(const struct node *n, struct replica_node to)
{
    return (
        struct peer_ends){ .from = n->self, .to = to, .says = { PEER_VERSION_MIN, PEER_VERSION, n->speaks } };
}

static size_t bundle_for(struct outbox *o, struct replica_node to)
{
    for (size_t i = 0; i < o->count; i++) {
        if (replica_node_eq(o->bundles[i].ends.to, to))
            return i;
    }
    if (o->count == BUNDLES_MAX)
        on_flush(o);
    o->bundles[o->count] = (struct peer_bundle){ .ends = ends_to(o->node, to) };
    return o->count++;
}

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct outbox *o = arg;
    struct node *n = o->node;
    bool begins = msg->type == REPLICA_MSG_CHUNK && msg->chunk.seq == 0;
    if (n->dying || n->c->failed)
        return;
    if (begins)
        checks_copied(n, (int)partition_id(p), msg->chunk.index);
    if (msg->type == REPLICA_MSG_APPEND && !peer_gather(p, msg, &o->entries))
        return;
    size_t i = bundle_for(o, msg->peer);
    if (!peer_bundle_has_room(&o->bundles[i], msg->type == REPLICA_MSG_APPEND ? o->entries.data.len : 0))
        send_bundle(o, i);
    peer_bundle_add(&o->bundles[i], partition_id(p), msg, &o->entries);
    o->begins[i] |= begins;
    if (n->c->seed % 2 == 0)
        send_bundle(o, i);
}

static void on_beats(void *arg, const struct beats *given)
{
    struct node *n = ((struct outbox *)arg)->node;
    struct beats beats = *given;
    struct peer_ends ends = ends_to(n, beats.peer);
    if (n->dying || n->c->failed)
        return;
    struct packet *packet = NEW(struct packet);
    if (!beats.answer) {
        beats.boot = n->boot;
        beats.number = ++n->beat_number;
        n->sent[beats.number % BEATS_REMEMBERED] =
            (struct sent_beat){ beats.number, node_now(n).boot_ns, beats.peer };
    }
    packet->beats = true;
    packet->frame = peer_encode_beats(&ends, &beats);
    post(n, beats.peer.id, packet);
}

/* The newest message says it, of whatever process of that node. */
static uint8_t speaks(void *arg, struct replica_node node)
{
    const struct node *n = ((struct outbox *)arg)->node;
    return node.id < IDS_MAX ? n->heard[node.id] : 0;
}

void links_init(struct node *n)
{
    for (size_t i = 0; i < WORKERS_SIM_MAX; i++) {
        n->outboxes[i].node = n;
        n->transports[i] = (struct peer_transport){ &n->outboxes[i], on_send, on_beats, on_flush, speaks };
    }
}

void links_drop(struct node *n)
{
    for (size_t i = 0; i < WORKERS_SIM_MAX; i++)
        on_flush(&n->outboxes[i]);
}

void links_fini(struct node *n)
{
    for (size_t i = 0; i < WORKERS_SIM_MAX; i++)
        peer_entries_fini(&n->outboxes[i].entries);
}
