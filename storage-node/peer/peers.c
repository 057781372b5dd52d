/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/peer/peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "storage-node/peer/link.h"
#include "storage-node/peer/voices.h"

struct sent_beat {
    uint64_t number, at_ns;
    struct replica_node to;
};

/* To one node on one link. */
struct outgoing {
    struct link *link;
    struct peer_bundle bundle;
};

/* What one worker says in one turn; its thread's alone. */
struct outbox {
    struct peers *peers;
    struct outgoing *bundles; /* the first `count` are in use */
    size_t count, cap;
    struct peer_entries entries; /* scratch */
};

struct peers {
    struct link *data, *copies, *beat;
    struct voices *voices;
    struct replica_node self;
    struct worker_pool *workers;
    uint32_t outbox_count;
    struct outbox *outboxes;
    struct peer_transport *transports; /* one an outbox */
    struct inbox_chain in;             /* decoded and not handed on; the data link's thread */
    size_t in_bytes;
    struct {
        _Atomic uint64_t sent, received, dropped;
    } messages;
    uint64_t boot;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t beats;       /* made so far */
    struct sent_beat *sent;
};

/* ---- out, on worker threads */

static void add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

static struct peer_ends ends_to(const struct peers *peers, struct replica_node node)
{
    return (struct peer_ends){ .from = peers->self,
                               .to = node,
                               .version = voices_version(peers->voices, node),
                               .says = voices_own(peers->voices) };
}

static struct peer_bundle *bundle_for(struct outbox *o, struct link *link, struct replica_node node)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->bundles[i].link == link && replica_node_eq(o->bundles[i].bundle.ends.to, node))
            return &o->bundles[i].bundle;
    }
    if (o->count == o->cap) {
        o->cap = o->cap == 0 ? 8 : o->cap * 2;
        o->bundles = xrealloc(o->bundles, o->cap * sizeof *o->bundles);
    }
    struct outgoing *out = &o->bundles[o->count++];
    *out = (struct outgoing){ .link = link, .bundle = { .ends = ends_to(o->peers, node) } };
    return &out->bundle;
}

static void send_bundle(struct peers *peers, struct link *link, struct peer_bundle *bundle)
{
    uint32_t count = bundle->count;
    if (count == 0)
        return;
    struct buf frame = peer_bundle_end(bundle);
    bool sent = link_send(link, bundle->ends.to.id, &frame);
    add(sent ? &peers->messages.sent : &peers->messages.dropped, count);
}

static size_t bytes_of(const struct replica_msg *msg, const struct peer_entries *entries)
{
    if (msg->type == REPLICA_MSG_CHUNK)
        return ((const struct slice *)msg->chunk.handle)->len;
    return msg->type == REPLICA_MSG_APPEND ? entries->data.len : 0;
}

static void send_message(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct outbox *o = arg;
    if (msg->type == REPLICA_MSG_APPEND && !peer_gather(p, msg, &o->entries))
        return;
    struct link *link = msg->type == REPLICA_MSG_CHUNK ? o->peers->copies : o->peers->data;
    struct peer_bundle *bundle = bundle_for(o, link, msg->peer);
    if (!peer_bundle_has_room(bundle, bytes_of(msg, &o->entries)))
        send_bundle(o->peers, link, bundle);
    peer_bundle_add(bundle, partition_id(p), msg, &o->entries);
}

static void flush(void *arg)
{
    struct outbox *o = arg;
    for (size_t i = 0; i < o->count; i++)
        send_bundle(o->peers, o->bundles[i].link, &o->bundles[i].bundle);
    o->count = 0;
}

static uint64_t remember_beat(struct peers *peers, struct replica_node to)
{
    pthread_mutex_lock(&peers->lock);
    uint64_t number = ++peers->beats;
    peers->sent[number % PEER_BEATS_REMEMBERED] =
        (struct sent_beat){ .number = number, .at_ns = clock_boot_ns(), .to = to };
    pthread_mutex_unlock(&peers->lock);
    return number;
}

static void send_beats(void *arg, const struct beats *given)
{
    struct peers *peers = ((struct outbox *)arg)->peers;
    struct beats beats = *given;
    struct peer_ends ends = ends_to(peers, beats.peer);
    if (!beats.answer) {
        beats.boot = peers->boot;
        beats.number = remember_beat(peers, beats.peer);
    }
    struct buf frame = peer_encode_beats(&ends, &beats);
    link_send(peers->beat, beats.peer.id, &frame);
}

static uint8_t speaks(void *arg, struct replica_node node)
{
    return voices_machine(((struct outbox *)arg)->peers->voices, node);
}

/* ---- in, on the links' threads */

static bool is_for_us(const struct peers *peers, const struct peer_ends *ends)
{
    return replica_node_eq(ends->to, peers->self) && ends->from.id != peers->self.id;
}

static void hand_on(void *arg)
{
    struct peers *peers = arg;
    worker_pool_messages(peers->workers, &peers->in);
    peers->in_bytes = 0;
}

static void take_in(struct peers *peers, struct inbox_chain *messages)
{
    uint64_t count = 0;
    for (struct inbox_item *next, *item = messages->first; item != NULL; item = next) {
        next = item->next;
        peers->in_bytes += ((struct worker_message *)item)->size;
        inbox_chain_add(&peers->in, item);
        count++;
    }
    add(&peers->messages.received, count);
    if (peers->in_bytes >= PEER_GATHER_BYTES)
        hand_on(peers);
}

/* Say what we speak, in what it speaks. */
static void say(struct peers *peers, const struct peer_ends *to)
{
    struct beats nothing = { .peer = to->from, .answer = true };
    struct peer_ends ends = ends_to(peers, to->from);
    if (peer_version_of_both(voices_own(peers->voices), to->says) == 0)
        return;
    struct buf frame = peer_encode_beats(&ends, &nothing);
    link_send(peers->beat, to->from.id, &frame);
}

/* Of a frame that is for us, whether or not it can be read. */
static void hear(struct peers *peers, const struct peer_ends *ends, enum err err)
{
    voices_hear(peers->voices, ends->from, ends->says);
    if (err == ERR_UNSUPPORTED)
        say(peers, ends);
}

static void on_bundle(void *arg, struct slice frame)
{
    struct peers *peers = arg;
    struct peer_ends ends;
    struct inbox_chain messages;
    enum err err = peer_decode(frame, voices_own(peers->voices).max, &ends, &messages);
    if (err == ERR_PROTOCOL)
        log_warn("peers", "a message of another node does not decode");
    else if (is_for_us(peers, &ends))
        hear(peers, &ends, err);
    if (err == OK && is_for_us(peers, &ends))
        take_in(peers, &messages);
    else
        peer_free_messages(&messages);
}

static bool may_receive(void *arg)
{
    struct peers *peers = arg;
    return worker_pool_message_bytes(peers->workers) < PEER_RECEIVE_BYTES_MAX;
}

/* Only of this process, and only if it is still remembered (R17). */
static bool find_sent(struct peers *peers, struct beats *answer)
{
    if (answer->boot != peers->boot)
        return false;
    pthread_mutex_lock(&peers->lock);
    struct sent_beat sent = peers->sent[answer->number % PEER_BEATS_REMEMBERED];
    pthread_mutex_unlock(&peers->lock);
    answer->sent_at = sent.at_ns;
    return sent.number == answer->number && sent.number != 0 && replica_node_eq(sent.to, answer->peer);
}

static void on_beats(void *arg, struct slice frame)
{
    struct peers *peers = arg;
    struct peer_ends ends;
    struct beats beats;
    enum err err = peer_decode_beats(frame, voices_own(peers->voices).max, &ends, &beats);
    if (err == ERR_PROTOCOL)
        log_warn("peers", "a beat of another node does not decode");
    else if (is_for_us(peers, &ends))
        hear(peers, &ends, err);
    if (err == OK && is_for_us(peers, &ends) && (!beats.answer || find_sent(peers, &beats)))
        worker_pool_beats(peers->workers, &beats);
    free((void *)beats.parts);
}

/* ---- life */

enum err peers_bind(void *zmq, struct rpc_keys *keys, const char *endpoint, const char *beat_endpoint,
                    struct peer_speech speech, struct peers **out)
{
    struct peers *peers = NEW(struct peers);
    struct link_options data = { .zmq = zmq,
                                 .keys = keys,
                                 .service = RPC_SERVICE_PEER,
                                 .endpoint = endpoint,
                                 .name = "peers",
                                 .queue_bytes_max = PEER_QUEUE_BYTES_MAX,
                                 .receive = on_bundle,
                                 .received = hand_on,
                                 .may_receive = may_receive,
                                 .arg = peers };
    struct link_options copies = { .zmq = zmq,
                                   .keys = keys,
                                   .name = "copies",
                                   .queue_bytes_max = PEER_QUEUE_BYTES_MAX,
                                   .unsent_bytes_max = PEER_COPY_UNSENT_MAX };
    struct link_options beat = { .zmq = zmq,
                                 .keys = keys,
                                 .service = RPC_SERVICE_BEAT,
                                 .endpoint = beat_endpoint,
                                 .name = "beats",
                                 .queue_bytes_max = PEER_BEAT_BYTES_MAX,
                                 .receive = on_beats,
                                 .arg = peers };
    pthread_mutex_init(&peers->lock, NULL);
    peers->boot = rand_u64();
    peers->voices = voices_new(speech);
    peers->sent = NEW_ARRAY(struct sent_beat, PEER_BEATS_REMEMBERED);
    *out = peers;
    TRY(link_bind(&data, &peers->data));
    TRY(link_bind(&copies, &peers->copies));
    return link_bind(&beat, &peers->beat);
}

const char *peers_endpoint(const struct peers *peers)
{
    return link_endpoint(peers->data);
}

const char *peers_beat_endpoint(const struct peers *peers)
{
    return link_endpoint(peers->beat);
}

const struct peer_transport *peers_transports(struct peers *peers, struct replica_node self, uint32_t workers)
{
    peers->self = self;
    peers->outbox_count = workers;
    peers->outboxes = NEW_ARRAY(struct outbox, workers);
    peers->transports = NEW_ARRAY(struct peer_transport, workers);
    for (uint32_t i = 0; i < workers; i++) {
        peers->outboxes[i].peers = peers;
        peers->transports[i] =
            (struct peer_transport){ &peers->outboxes[i], send_message, send_beats, flush, speaks };
    }
    return peers->transports;
}

enum err peers_start(struct peers *peers, struct worker_pool *workers)
{
    peers->workers = workers;
    TRY(link_start(peers->data));
    TRY(link_start(peers->copies));
    return link_start(peers->beat);
}

void peers_take_map(struct peers *peers, const Tern__Map *map)
{
    for (size_t i = 0; i < map->n_nodes; i++) {
        const Tern__NodeInfo *node = map->nodes[i];
        if (node->id == peers->self.id)
            continue;
        link_set_node(peers->data, node->id, node->peer_endpoint);
        link_set_node(peers->copies, node->id, node->peer_endpoint);
        link_set_node(peers->beat, node->id, node->beat_endpoint);
    }
}

void peers_stop(struct peers *peers)
{
    if (peers == NULL)
        return;
    link_stop(peers->data);
    link_stop(peers->copies);
    link_stop(peers->beat);
}

static void free_outbox(struct outbox *o)
{
    for (size_t i = 0; i < o->count; i++)
        buf_fini(&o->bundles[i].bundle.frame);
    free(o->bundles);
    peer_entries_fini(&o->entries);
}

void peers_free(struct peers **out)
{
    struct peers *peers = *out;
    if (peers == NULL)
        return;
    voices_free(&peers->voices);
    link_free(&peers->data);
    link_free(&peers->copies);
    link_free(&peers->beat);
    pthread_mutex_destroy(&peers->lock);
    for (uint32_t i = 0; i < peers->outbox_count; i++)
        free_outbox(&peers->outboxes[i]);
    free(peers->outboxes);
    free(peers->transports);
    free(peers->sent);
    free(peers);
    *out = NULL;
}

void peers_figures(const struct peers *peers, struct peers_figures *out)
{
    const struct link_stats *data = link_get_stats(peers->data), *beat = link_get_stats(peers->beat);
    const struct link_stats *copies = link_get_stats(peers->copies);
    *out = (struct peers_figures){ .sent = peers->messages.sent,
                                   .received = peers->messages.received,
                                   .dropped = peers->messages.dropped,
                                   .bundles_sent = data->sent + copies->sent,
                                   .bundles_received = data->received,
                                   .malformed = data->malformed + beat->malformed,
                                   .sent_bytes = data->sent_bytes + copies->sent_bytes,
                                   .received_bytes = data->received_bytes,
                                   .beats_sent = beat->sent,
                                   .beats_received = beat->received,
                                   .beats_dropped = beat->dropped,
                                   .strangers = voices_strangers(peers->voices) };
}
