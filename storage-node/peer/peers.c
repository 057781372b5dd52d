/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/peer/peers.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "storage-node/peer/codec.h"
#include "storage-node/peer/link.h"

struct sent_beat {
    uint64_t number, at_ns;
    struct replica_node to;
};

struct peers {
    struct link *data, *beat;
    struct replica_node self;
    struct worker_pool *workers;
    struct peer_transport transport;
    uint64_t boot;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t beats;       /* made so far */
    struct sent_beat *sent;
};

/* ---- out, on worker threads */

static void send_message(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct peers *peers = arg;
    struct peer_ends ends = { .from = peers->self, .to = msg->peer };
    struct buf frames[LINK_FRAMES];
    struct peer_entries *entries = msg->type == REPLICA_MSG_APPEND ? NEW(struct peer_entries) : NULL;
    if (entries == NULL || peer_gather(p, msg, entries)) {
        peer_encode(partition_id(p), &ends, msg, entries, frames);
        link_send(peers->data, msg->peer.id, frames);
    }
    if (entries != NULL) {
        buf_fini(&entries->entries);
        buf_fini(&entries->bodies);
        free(entries);
    }
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
    struct peers *peers = arg;
    struct beats beats = *given;
    struct peer_ends ends = { .from = peers->self, .to = beats.peer };
    struct buf frames[LINK_FRAMES];
    if (!beats.answer) {
        beats.boot = peers->boot;
        beats.number = remember_beat(peers, beats.peer);
    }
    peer_encode_beats(&ends, &beats, frames);
    link_send(peers->beat, beats.peer.id, frames);
}

/* ---- in, on the links' threads */

static bool is_for_us(const struct peers *peers, const struct peer_ends *ends)
{
    return replica_node_eq(ends->to, peers->self) && ends->from.id != peers->self.id;
}

static void on_message(void *arg, const struct slice frames[LINK_FRAMES])
{
    struct peers *peers = arg;
    struct peer_ends ends;
    struct worker_message *message;
    if (peer_decode(frames, &ends, &message) != OK) {
        log_warn("peers", "a message of another node does not decode");
        return;
    }
    if (is_for_us(peers, &ends))
        worker_pool_message(peers->workers, message);
    else
        worker_message_free(message);
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

static void on_beats(void *arg, const struct slice frames[LINK_FRAMES])
{
    struct peers *peers = arg;
    struct peer_ends ends;
    struct beats beats;
    if (peer_decode_beats(frames, &ends, &beats) != OK)
        log_warn("peers", "a beat of another node does not decode");
    else if (is_for_us(peers, &ends) && (!beats.answer || find_sent(peers, &beats)))
        worker_pool_beats(peers->workers, &beats);
    free((void *)beats.parts);
}

/* ---- life */

enum err peers_bind(void *zmq, struct rpc_keys *keys, const char *endpoint, const char *beat_endpoint,
                    struct peers **out)
{
    struct peers *peers = NEW(struct peers);
    struct link_options data = { .zmq = zmq,
                                 .keys = keys,
                                 .service = RPC_SERVICE_PEER,
                                 .endpoint = endpoint,
                                 .name = "peers",
                                 .queue_bytes_max = PEER_QUEUE_BYTES_MAX,
                                 .receive = on_message,
                                 .may_receive = may_receive,
                                 .arg = peers };
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
    peers->sent = NEW_ARRAY(struct sent_beat, PEER_BEATS_REMEMBERED);
    *out = peers;
    TRY(link_bind(&data, &peers->data));
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

const struct peer_transport *peers_transport(struct peers *peers, struct replica_node self)
{
    peers->self = self;
    peers->transport = (struct peer_transport){ peers, send_message, send_beats };
    return &peers->transport;
}

enum err peers_start(struct peers *peers, struct worker_pool *workers)
{
    peers->workers = workers;
    TRY(link_start(peers->data));
    return link_start(peers->beat);
}

void peers_take_map(struct peers *peers, const Tern__Map *map)
{
    for (size_t i = 0; i < map->n_nodes; i++) {
        const Tern__NodeInfo *node = map->nodes[i];
        if (node->id == peers->self.id)
            continue;
        link_set_node(peers->data, node->id, node->peer_endpoint);
        link_set_node(peers->beat, node->id, node->beat_endpoint);
    }
}

void peers_stop(struct peers *peers)
{
    if (peers == NULL)
        return;
    link_stop(peers->data);
    link_stop(peers->beat);
}

void peers_free(struct peers **out)
{
    struct peers *peers = *out;
    if (peers == NULL)
        return;
    link_free(&peers->data);
    link_free(&peers->beat);
    pthread_mutex_destroy(&peers->lock);
    free(peers->sent);
    free(peers);
    *out = NULL;
}

void peers_figures(const struct peers *peers, struct peers_figures *out)
{
    const struct link_stats *data = link_get_stats(peers->data), *beat = link_get_stats(peers->beat);
    *out = (struct peers_figures){ .sent = data->sent,
                                   .received = data->received,
                                   .dropped = data->dropped,
                                   .malformed = data->malformed + beat->malformed,
                                   .sent_bytes = data->sent_bytes,
                                   .received_bytes = data->received_bytes,
                                   .beats_sent = beat->sent,
                                   .beats_received = beat->received,
                                   .beats_dropped = beat->dropped };
}
