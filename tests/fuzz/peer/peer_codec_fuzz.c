/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and beats from a node that may say anything: refused, or understood within the bounds that the
 * replicas rely on. What is understood keeps its meaning when it is said again.
 *
 * Input: a frame. It is tried as it is and with its check-sum set right, or nearly nothing would get past
 * that. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "storage-node/peer/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A copy of exactly this size, so that a sanitizer sees the first byte read past the end. */
static struct slice exact_copy(struct slice bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    must(copy != NULL);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return slice_of(copy, bytes.len);
}

static void set_right_sum(struct slice frame)
{
    struct buf sum = { .data = (uint8_t *)frame.data, .cap = 8 };
    if (frame.len >= 8)
        buf_add_be64(&sum, hash_xxh3(slice_sub(frame, 8, frame.len)));
}

/* An Append's entries are handles here, and its encoder gathers them from a log: not said again. */
static void say_again(const struct peer_ends *ends, const struct worker_message *message)
{
    struct slice rows = buf_slice(&message->rows);
    struct replica_msg msg = message->msg;
    struct peer_bundle bundle = { .ends = *ends };
    struct peer_ends got;
    struct inbox_chain messages;
    if (msg.type == REPLICA_MSG_APPEND)
        return;
    if (msg.type == REPLICA_MSG_CHUNK)
        msg.chunk.handle = &rows;
    peer_bundle_add(&bundle, message->partition, &msg, NULL);
    struct buf frame = peer_bundle_end(&bundle);
    must(peer_decode(buf_slice(&frame), PEER_VERSION, &got, &messages) == OK &&
         messages.first == messages.last);
    const struct worker_message *second = (const struct worker_message *)messages.first;
    must(replica_node_eq(got.from, ends->from) && replica_node_eq(got.to, ends->to));
    must(second->partition == message->partition && second->msg.type == msg.type);
    must(second->msg.epoch == msg.epoch && slice_eq(buf_slice(&second->rows), rows));
    if (msg.type == REPLICA_MSG_CHECK)
        must(second->msg.check.index == msg.check.index && second->msg.check.chain == msg.check.chain &&
             second->msg.check.state == msg.check.state && second->msg.check.bodies == msg.check.bodies &&
             second->msg.check.damaged == msg.check.damaged);
    peer_free_messages(&messages);
    buf_fini(&frame);
}

static void look_at(const struct peer_ends *ends, const struct worker_message *message)
{
    must(message->partition < PARTITION_COUNT_MAX && replica_node_eq(message->msg.peer, ends->from));
    must(message->msg.type != REPLICA_MSG_BEAT && message->msg.type != REPLICA_MSG_BEAT_ACK);
    if (message->msg.type == REPLICA_MSG_APPEND)
        must(message->msg.append.count <= REPLICA_APPEND_COUNT_MAX);
    say_again(ends, message);
}

static void try_bundle(struct slice frame)
{
    struct peer_ends ends;
    struct inbox_chain messages;
    uint32_t count = 0;
    if (peer_decode(frame, PEER_VERSION, &ends, &messages) != OK)
        return;
    must(ends.from.id != 0 && ends.to.id != 0);
    for (const struct inbox_item *item = messages.first; item != NULL; item = item->next) {
        look_at(&ends, (const struct worker_message *)item);
        count++;
    }
    must(count >= 1 && count <= PEER_BUNDLE_COUNT_MAX);
    peer_free_messages(&messages);
}

static void try_beats(struct slice frame)
{
    struct peer_ends ends, got;
    struct beats beats, second;
    if (peer_decode_beats(frame, PEER_VERSION, &ends, &beats) != OK)
        return;
    must(beats.count <= PEER_PARTS_MAX);
    struct buf again = peer_encode_beats(&ends, &beats);
    must(peer_decode_beats(buf_slice(&again), PEER_VERSION, &got, &second) == OK);
    must(second.answer == beats.answer && second.boot == beats.boot && second.number == beats.number &&
         second.count == beats.count);
    for (size_t i = 0; i < beats.count; i++)
        must(second.parts[i].partition == beats.parts[i].partition &&
             second.parts[i].epoch == beats.parts[i].epoch &&
             second.parts[i].commit == beats.parts[i].commit);
    free((void *)second.parts);
    free((void *)beats.parts);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice frame = exact_copy(slice_of(data, size));
    try_bundle(frame); /* with whatever sum it says */
    try_beats(frame);
    set_right_sum(frame);
    try_bundle(frame);
    free((void *)frame.data);
    return 0;
}
