/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between storage nodes: encoded, lost, delayed, repeated, decoded (as storage-node/peer does it
 * over sockets). */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/node.h"

enum { LATE_MS = 6000 };

struct packet {
    struct event event;        /* first */
    int from, to;              /* slots */
    bool beats, begins, again; /* begins: the first chunk of a copy; again: much later */
    struct buf frames[LINK_FRAMES];
};

static void packet_drop(struct event *e)
{
    struct packet *packet = (struct packet *)e;
    for (int i = 0; i < LINK_FRAMES; i++)
        buf_fini(&packet->frames[i]);
    free(packet);
}

static bool is_for(const struct node *n, const struct peer_ends *ends)
{
    return replica_node_eq(ends->to, n->self) && ends->from.id != n->self.id;
}

/* R17: only answers to beats of this process that are still remembered. */
static bool find_sent(struct node *n, struct beats *answer)
{
    const struct sent_beat *sent = &n->sent[answer->number % BEATS_REMEMBERED];
    answer->sent_at = sent->at_ns;
    return answer->boot == n->boot && sent->number == answer->number && sent->number != 0 &&
           replica_node_eq(sent->to, answer->peer);
}

static void take_message(struct node *n, const struct slice frames[LINK_FRAMES])
{
    struct peer_ends ends;
    struct worker_message *m;
    if (peer_decode(frames, &ends, &m) != OK)
        cluster_fail(n->c, "a message does not decode");
    else if (is_for(n, &ends)) {
        if (m->msg.type == REPLICA_MSG_CHUNK && !m->msg.chunk.last) {
            n->chunk_at = n->c->now;
            weather_copy_begins(n->c);
        }
        worker_pool_message(n->pool, m);
    } else
        worker_message_free(m);
}

static void take_beats(struct node *n, const struct slice frames[LINK_FRAMES])
{
    struct peer_ends ends;
    struct beats beats;
    if (peer_decode_beats(frames, &ends, &beats) != OK)
        cluster_fail(n->c, "a beat does not decode");
    else if (is_for(n, &ends) && (!beats.answer || find_sent(n, &beats)))
        worker_pool_beats(n->pool, &beats);
    free((void *)beats.parts);
}

static void deliver(struct cluster *c, struct event *e)
{
    struct packet *packet = (struct packet *)e;
    struct node *n = c->nodes[packet->to];
    struct slice frames[LINK_FRAMES];
    if (n->up && c->now < n->paused_until) { /* it waits in the kernel */
        cluster_post(c, e, n->paused_until);
        return;
    }
    for (int i = 0; i < LINK_FRAMES; i++)
        frames[i] = buf_slice(&packet->frames[i]);
    if (n->up && !n->dying) {
        if (packet->beats)
            take_beats(n, frames);
        else
            take_message(n, frames);
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

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct node *n = arg;
    if (n->dying || n->c->failed)
        return;
    struct packet *packet = NEW(struct packet);
    struct peer_ends ends = { .from = n->self, .to = msg->peer };
    struct peer_entries *entries = msg->type == REPLICA_MSG_APPEND ? NEW(struct peer_entries) : NULL;
    if (msg->type == REPLICA_MSG_CHUNK && msg->chunk.seq == 0)
        checks_copied(n, (int)partition_id(p), msg->chunk.index);
    if (entries == NULL || peer_gather(p, msg, entries)) {
        packet->begins = msg->type == REPLICA_MSG_CHUNK && msg->chunk.seq == 0;
        peer_encode(partition_id(p), &ends, msg, entries, packet->frames);
        post(n, msg->peer.id, packet);
    } else {
        free(packet);
    }
    if (entries != NULL) {
        buf_fini(&entries->entries);
        buf_fini(&entries->bodies);
    }
    free(entries);
}

static void on_beats(void *arg, const struct beats *given)
{
    struct node *n = arg;
    struct beats beats = *given;
    struct peer_ends ends = { .from = n->self, .to = beats.peer };
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
    peer_encode_beats(&ends, &beats, packet->frames);
    post(n, beats.peer.id, packet);
}

void links_init(struct node *n)
{
    n->transport = (struct peer_transport){ n, on_send, on_beats };
}
