/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/farewell.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/rpc/frame.h"

enum { AGAIN_MS = 20 }; /* until the next farewell, which shows who is gone */

static bool same(const struct rpc_peer_id *a, const struct rpc_peer_id *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static struct farewell_peer *find(struct farewell *farewell, const struct rpc_peer_id *id)
{
    for (size_t i = 0; i < farewell->count; i++) {
        if (same(&farewell->peers[i].id, id))
            return &farewell->peers[i];
    }
    return NULL;
}

static struct farewell_peer *place_for_another(struct farewell *farewell)
{
    if (farewell->count < FAREWELL_PEERS_MAX)
        return &farewell->peers[farewell->count++];
    struct farewell_peer *oldest = &farewell->peers[0];
    for (size_t i = 1; i < farewell->count; i++) {
        if (farewell->peers[i].sent_mono_ms < oldest->sent_mono_ms)
            oldest = &farewell->peers[i];
    }
    return oldest;
}

void farewell_note(struct farewell *farewell, const struct rpc_peer_id *id)
{
    struct farewell_peer *peer = find(farewell, id);
    if (peer == NULL) {
        peer = place_for_another(farewell);
        peer->id = *id;
    }
    peer->sent_mono_ms = clock_mono_ms();
}

static void forget(struct farewell *farewell, struct farewell_peer *peer)
{
    *peer = farewell->peers[--farewell->count];
}

static void forget_older(struct farewell *farewell, uint64_t mono_ms)
{
    for (size_t i = farewell->count; i-- > 0;) {
        if (farewell->peers[i].sent_mono_ms < mono_ms)
            forget(farewell, &farewell->peers[i]);
    }
}

/* False: nobody is there any more, or a queue as full as that is not read. */
static bool send_one(const struct rpc_peer_id *id, const struct doors *doors)
{
    void *socket = doors_socket(doors, id->bytes[0]);
    Tern__ResponseHeader header = TERN__RESPONSE_HEADER__INIT;
    zmq_msg_t msg;
    if (socket == NULL || id->len < 2 ||
        zmq_send(socket, id->bytes + 1, id->len - 1u, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return false;
    header.version = RPC_VERSION;
    header.method = FAREWELL_METHOD;
    frame_pack(&msg, &header.base);
    bool sent = zmq_msg_send(&msg, socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
    zmq_msg_close(&msg);
    return sent && zmq_send(socket, "", 0, ZMQ_DONTWAIT) >= 0;
}

static void send_all(struct farewell *farewell, const struct doors *doors)
{
    for (size_t i = farewell->count; i-- > 0;) {
        if (!send_one(&farewell->peers[i].id, doors))
            forget(farewell, &farewell->peers[i]);
    }
}

static void take_frame(struct farewell *farewell, const struct rpc_peer_id *from, zmq_msg_t *msg)
{
    struct frame_request header;
    if (frame_decode_request(frame_slice(msg), &header) != OK || header.method != FAREWELL_METHOD)
        return;
    struct farewell_peer *peer = find(farewell, from);
    if (peer != NULL)
        forget(farewell, peer);
}

/* One message: who sends it, a header, and what does not matter. */
static void receive_one(struct farewell *farewell, const struct door *door)
{
    struct rpc_peer_id from = { .len = 0 };
    bool more = true;
    for (int frame = 0; more; frame++) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        if (zmq_msg_recv(&msg, door->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&msg);
            return;
        }
        size_t len = zmq_msg_size(&msg);
        if (frame == 0 && len < RPC_PEER_ID_MAX) {
            from.len = (uint8_t)(len + 1);
            from.bytes[0] = door->number;
            memcpy(from.bytes + 1, zmq_msg_data(&msg), len);
        } else if (frame == 1) {
            take_frame(farewell, &from, &msg);
        }
        more = zmq_msg_more(&msg);
        zmq_msg_close(&msg);
    }
}

/* What comes until then. */
static void receive(struct farewell *farewell, const struct doors *doors, uint64_t until_mono_ms)
{
    zmq_pollitem_t items[DOORS_MAX];
    for (size_t i = 0; i < doors->count; i++)
        items[i] = (zmq_pollitem_t){ .socket = doors->list[i].socket, .events = ZMQ_POLLIN };
    uint64_t now;
    while (farewell->count > 0 && (now = clock_mono_ms()) < until_mono_ms &&
           zmq_poll(items, (int)doors->count, (long)(until_mono_ms - now)) > 0) {
        for (size_t i = 0; i < doors->count; i++) {
            if (items[i].revents & ZMQ_POLLIN)
                receive_one(farewell, &doors->list[i]);
        }
    }
}

void farewell_wait(struct farewell *farewell, const struct doors *doors)
{
    uint64_t now = clock_mono_ms(), end = now + FAREWELL_WAIT_MS;
    forget_older(farewell, now > FAREWELL_RECENT_MS ? now - FAREWELL_RECENT_MS : 0);
    for (; farewell->count > 0 && now < end; now = clock_mono_ms()) {
        send_all(farewell, doors);
        receive(farewell, doors, now + AGAIN_MS);
    }
    farewell->count = 0;
}
