/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and beats from a node that may say anything: refused, or understood within the bounds that the
 * replicas rely on. What is understood keeps its meaning when it is said again.
 *
 * Input: three frames, varbytes each. The check-sum of the last two is set right where the first decodes, or
 * nearly nothing would get past it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "proto/replication.pb-c.h"
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

static struct slice with_right_sum(struct slice frames[LINK_FRAMES])
{
    Tern__PeerMessage *m = tern__peer_message__unpack(NULL, frames[0].len, frames[0].data);
    if (m == NULL)
        return exact_copy(frames[0]);
    uint64_t sums[2] = { hash_xxh3(frames[1]), hash_xxh3(frames[2]) };
    m->checksum = hash_xxh3(slice_of(sums, sizeof sums));
    size_t len = tern__peer_message__get_packed_size(m);
    uint8_t *packed = malloc(len > 0 ? len : 1);
    must(packed != NULL);
    tern__peer_message__pack(m, packed);
    tern__peer_message__free_unpacked(m, NULL);
    return slice_of(packed, len);
}

static void to_slices(struct buf bufs[LINK_FRAMES], struct slice out[LINK_FRAMES])
{
    for (int i = 0; i < LINK_FRAMES; i++)
        out[i] = buf_slice(&bufs[i]);
}

static void free_bufs(struct buf bufs[LINK_FRAMES])
{
    for (int i = 0; i < LINK_FRAMES; i++)
        buf_fini(&bufs[i]);
}

/* An Append's entries are handles here, and its encoder gathers them from a log: not said again. */
static void say_again(const struct peer_ends *ends, const struct worker_message *message)
{
    struct buf bufs[LINK_FRAMES];
    struct slice frames[LINK_FRAMES], rows = buf_slice(&message->rows);
    struct replica_msg msg = message->msg;
    struct peer_ends got;
    struct worker_message *second;
    if (msg.type == REPLICA_MSG_APPEND)
        return;
    if (msg.type == REPLICA_MSG_CHUNK)
        msg.chunk.handle = &rows;
    peer_encode(message->partition, ends, &msg, NULL, bufs);
    to_slices(bufs, frames);
    must(peer_decode(frames, &got, &second) == OK);
    must(replica_node_eq(got.from, ends->from) && replica_node_eq(got.to, ends->to));
    must(second->partition == message->partition && second->msg.type == msg.type);
    must(second->msg.epoch == msg.epoch && slice_eq(buf_slice(&second->rows), rows));
    if (msg.type == REPLICA_MSG_CHECK)
        must(second->msg.check.index == msg.check.index && second->msg.check.chain == msg.check.chain &&
             second->msg.check.state == msg.check.state && second->msg.check.bodies == msg.check.bodies &&
             second->msg.check.damaged == msg.check.damaged);
    worker_message_free(second);
    free_bufs(bufs);
}

static void try_message(const struct slice frames[LINK_FRAMES])
{
    struct peer_ends ends;
    struct worker_message *message;
    if (peer_decode(frames, &ends, &message) != OK)
        return;
    must(message->partition < PARTITION_COUNT_MAX && ends.from.id != 0 && ends.to.id != 0);
    must(message->msg.type != REPLICA_MSG_BEAT && message->msg.type != REPLICA_MSG_BEAT_ACK);
    if (message->msg.type == REPLICA_MSG_APPEND)
        must(message->msg.append.count <= REPLICA_APPEND_COUNT_MAX);
    say_again(&ends, message);
    worker_message_free(message);
}

static void try_beats(const struct slice frames[LINK_FRAMES])
{
    struct peer_ends ends, got;
    struct beats beats, second;
    struct buf bufs[LINK_FRAMES];
    struct slice again[LINK_FRAMES];
    if (peer_decode_beats(frames, &ends, &beats) != OK)
        return;
    must(beats.count <= PEER_PARTS_MAX);
    peer_encode_beats(&ends, &beats, bufs);
    to_slices(bufs, again);
    must(peer_decode_beats(again, &got, &second) == OK);
    must(second.answer == beats.answer && second.boot == beats.boot && second.number == beats.number &&
         second.count == beats.count);
    for (size_t i = 0; i < beats.count; i++)
        must(second.parts[i].partition == beats.parts[i].partition &&
             second.parts[i].epoch == beats.parts[i].epoch &&
             second.parts[i].commit == beats.parts[i].commit);
    free((void *)second.parts);
    free((void *)beats.parts);
    free_bufs(bufs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct slice frames[LINK_FRAMES];
    for (int i = 0; i < LINK_FRAMES; i++)
        frames[i] = cursor_varbytes(&c);
    try_message(frames); /* with whatever sum it says */
    struct slice first = with_right_sum(frames);
    for (int i = 1; i < LINK_FRAMES; i++)
        frames[i] = exact_copy(frames[i]);
    frames[0] = first;
    try_message(frames);
    try_beats(frames);
    for (int i = 0; i < LINK_FRAMES; i++)
        free((void *)frames[i].data);
    return 0;
}
