/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/peer/codec.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "proto/replication.pb-c.h"

/* ---- parts */

static void set_node(Tern__PeerNode *out, struct replica_node node)
{
    tern__peer_node__init(out);
    out->id = node.id;
    out->store = node.store;
}

static bool get_ends(const Tern__PeerNode *from, const Tern__PeerNode *to, struct peer_ends *out)
{
    if (from == NULL || to == NULL || from->id == 0 || to->id == 0)
        return false;
    out->from = (struct replica_node){ .store = from->store, .id = from->id };
    out->to = (struct replica_node){ .store = to->store, .id = to->id };
    return true;
}

static void pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    out->len += protobuf_c_message_pack(message, buf_reserve(out, size));
}

static uint64_t checksum(struct slice second, struct slice third)
{
    uint64_t sums[2] = { hash_xxh3(second), hash_xxh3(third) };
    return hash_xxh3(slice_of(sums, sizeof sums));
}

/* ---- messages, out */

bool peer_gather(struct partition *p, const struct replica_msg *msg, struct peer_entries *out)
{
    struct buf entry = { 0 }, body = { 0 };
    while (out->count < msg->append.count && out->count < REPLICA_APPEND_COUNT_MAX) {
        uint32_t i = out->count;
        enum err err = partition_entry(p, msg->append.prev_index + 1 + i, &out->epochs[i], &entry, &body);
        size_t bytes = out->entries.len + out->bodies.len + entry.len + body.len;
        if (err != OK || (i > 0 && bytes > msg->append.bytes_max)) {
            if (err == ERR_CORRUPT)
                partition_entry_damaged(p);
            else if (err != OK && err != ERR_NOT_FOUND)
                log_error("peer", "an entry cannot be read: %s partition=%u index=%llu", err_text(err),
                          partition_id(p), (unsigned long long)(msg->append.prev_index + 1 + i));
            break;
        }
        out->entry_sizes[i] = (uint32_t)entry.len;
        out->body_sizes[i] = (uint32_t)body.len;
        buf_add_slice(&out->entries, buf_slice(&entry));
        buf_add_slice(&out->bodies, buf_slice(&body));
        out->count++;
    }
    buf_fini(&entry);
    buf_fini(&body);
    return out->count > 0 || msg->append.count == 0;
}

static void put_chunk(Tern__PeerMessage *m, const struct replica_msg *msg, struct buf *rows_out)
{
    const struct slice *rows = msg->chunk.handle;
    m->term = msg->chunk.term;
    m->nonce = msg->chunk.nonce;
    m->seq = msg->chunk.seq;
    m->index = msg->chunk.index;
    m->index_epoch = msg->chunk.index_epoch;
    m->is_last = msg->chunk.last;
    buf_add_slice(rows_out, *rows);
}

static void put_append(Tern__PeerMessage *m, const struct replica_msg *msg, struct peer_entries *entries,
                       struct buf frames[LINK_FRAMES])
{
    m->prev_index = msg->append.prev_index;
    m->prev_epoch = msg->append.prev_epoch;
    m->commit = msg->append.commit;
    m->recovered = msg->append.recovered;
    m->n_entry_epochs = m->n_entry_sizes = m->n_body_sizes = entries->count;
    m->entry_epochs = entries->epochs;
    m->entry_sizes = entries->entry_sizes;
    m->body_sizes = entries->body_sizes;
    frames[1] = entries->entries;
    frames[2] = entries->bodies;
    entries->entries = entries->bodies = (struct buf){ 0 };
}

static void put_fields(Tern__PeerMessage *m, const struct replica_msg *msg, struct peer_entries *entries,
                       struct buf frames[LINK_FRAMES])
{
    switch (msg->type) {
    case REPLICA_MSG_APPEND:
        m->kind = TERN__PEER_KIND__PEER_APPEND;
        put_append(m, msg, entries, frames);
        break;
    case REPLICA_MSG_ACK:
        m->kind = TERN__PEER_KIND__PEER_ACK;
        m->match = msg->ack.match;
        break;
    case REPLICA_MSG_REFUSE:
        m->kind = TERN__PEER_KIND__PEER_REFUSE;
        m->commit = msg->refuse.commit;
        m->last = msg->refuse.last;
        m->prev = msg->refuse.prev;
        m->nonce = msg->refuse.nonce;
        break;
    case REPLICA_MSG_CHUNK:
        m->kind = TERN__PEER_KIND__PEER_CHUNK;
        put_chunk(m, msg, &frames[1]);
        break;
    case REPLICA_MSG_CHUNK_ACK:
        m->kind = TERN__PEER_KIND__PEER_CHUNK_ACK;
        m->term = msg->chunk_ack.term;
        m->nonce = msg->chunk_ack.nonce;
        m->seq = msg->chunk_ack.seq;
        break;
    case REPLICA_MSG_CHECK:
        m->kind = TERN__PEER_KIND__PEER_CHECK;
        m->index = msg->check.index;
        m->chain = msg->check.chain;
        m->state = msg->check.state;
        m->bodies = msg->check.bodies;
        m->damaged = msg->check.damaged;
        break;
    case REPLICA_MSG_BEAT:
    case REPLICA_MSG_BEAT_ACK:
        break; /* peer_encode_beats */
    }
}

void peer_encode(uint32_t partition, const struct peer_ends *ends, const struct replica_msg *msg,
                 struct peer_entries *entries, struct buf frames[LINK_FRAMES])
{
    Tern__PeerMessage m = TERN__PEER_MESSAGE__INIT;
    Tern__PeerNode from, to;
    for (int i = 0; i < LINK_FRAMES; i++)
        frames[i] = (struct buf){ 0 };
    set_node(&from, ends->from);
    set_node(&to, ends->to);
    m.version = PEER_VERSION;
    m.from = &from;
    m.to = &to;
    m.partition = partition;
    m.epoch = msg->epoch;
    put_fields(&m, msg, entries, frames);
    m.checksum = checksum(buf_slice(&frames[1]), buf_slice(&frames[2]));
    pack(&m.base, &frames[0]);
}

/* ---- messages, in */

static bool get_append(const Tern__PeerMessage *m, const struct slice frames[LINK_FRAMES],
                       struct worker_message *out)
{
    size_t count = m->n_entry_epochs, entries_at = 0, bodies_at = 0;
    if (count > REPLICA_APPEND_COUNT_MAX || m->n_entry_sizes != count || m->n_body_sizes != count)
        return false;
    out->msg.append.prev_index = m->prev_index;
    out->msg.append.prev_epoch = m->prev_epoch;
    out->msg.append.commit = m->commit;
    out->msg.append.recovered = m->recovered;
    out->entries = NEW_ARRAY(struct replica_entry, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (m->entry_sizes[i] > frames[1].len - entries_at || m->body_sizes[i] > frames[2].len - bodies_at)
            return false;
        struct log_entry *e = log_entry_new(slice_sub(frames[1], entries_at, entries_at + m->entry_sizes[i]),
                                            slice_sub(frames[2], bodies_at, bodies_at + m->body_sizes[i]));
        entries_at += m->entry_sizes[i];
        bodies_at += m->body_sizes[i];
        out->entries[i] = (struct replica_entry){ m->entry_epochs[i], log_entry_size(e), e };
        out->msg.append.count++;
    }
    return entries_at == frames[1].len && bodies_at == frames[2].len;
}

static bool get_fields(const Tern__PeerMessage *m, const struct slice frames[LINK_FRAMES],
                       struct worker_message *out)
{
    struct replica_msg *msg = &out->msg;
    switch (m->kind) {
    case TERN__PEER_KIND__PEER_APPEND:
        msg->type = REPLICA_MSG_APPEND;
        return get_append(m, frames, out);
    case TERN__PEER_KIND__PEER_ACK:
        msg->type = REPLICA_MSG_ACK;
        msg->ack.match = m->match;
        return true;
    case TERN__PEER_KIND__PEER_REFUSE:
        msg->type = REPLICA_MSG_REFUSE;
        msg->refuse.commit = m->commit;
        msg->refuse.last = m->last;
        msg->refuse.prev = m->prev;
        msg->refuse.nonce = m->nonce;
        return true;
    case TERN__PEER_KIND__PEER_CHUNK:
        msg->type = REPLICA_MSG_CHUNK;
        msg->chunk.term = m->term;
        msg->chunk.nonce = m->nonce;
        msg->chunk.seq = m->seq;
        msg->chunk.index = m->index;
        msg->chunk.index_epoch = m->index_epoch;
        msg->chunk.last = m->is_last;
        buf_add_slice(&out->rows, frames[1]);
        return true;
    case TERN__PEER_KIND__PEER_CHUNK_ACK:
        msg->type = REPLICA_MSG_CHUNK_ACK;
        msg->chunk_ack.term = m->term;
        msg->chunk_ack.nonce = m->nonce;
        msg->chunk_ack.seq = m->seq;
        return true;
    case TERN__PEER_KIND__PEER_CHECK:
        msg->type = REPLICA_MSG_CHECK;
        msg->check = (struct replica_check){ m->index, m->chain, m->state, m->bodies, m->damaged };
        return true;
    default:
        return false;
    }
}

enum err peer_decode(const struct slice frames[LINK_FRAMES], struct peer_ends *ends_out,
                     struct worker_message **out)
{
    Tern__PeerMessage *m = tern__peer_message__unpack(NULL, frames[0].len, frames[0].data);
    if (m == NULL)
        return ERR_PROTOCOL;
    struct worker_message *message = NEW(struct worker_message);
    bool good = m->version == PEER_VERSION && get_ends(m->from, m->to, ends_out) &&
                m->partition < PARTITION_COUNT_MAX && m->checksum == checksum(frames[1], frames[2]);
    if (good) {
        message->partition = m->partition;
        message->msg.peer = ends_out->from;
        message->msg.epoch = m->epoch;
        message->size = sizeof *message + frames[1].len + frames[2].len;
        good = get_fields(m, frames, message);
    }
    tern__peer_message__free_unpacked(m, NULL);
    if (!good) {
        worker_message_free(message);
        return ERR_PROTOCOL;
    }
    *out = message;
    return OK;
}

/* ---- beats */

void peer_encode_beats(const struct peer_ends *ends, const struct beats *beats,
                       struct buf frames[LINK_FRAMES])
{
    Tern__PeerBeat m = TERN__PEER_BEAT__INIT;
    Tern__PeerNode from, to;
    uint32_t *partitions = NEW_ARRAY(uint32_t, beats->count + 1);
    uint64_t *epochs = NEW_ARRAY(uint64_t, 2 * beats->count + 1), *commits = epochs + beats->count;
    for (int i = 0; i < LINK_FRAMES; i++)
        frames[i] = (struct buf){ 0 };
    for (size_t i = 0; i < beats->count; i++) {
        partitions[i] = beats->parts[i].partition;
        epochs[i] = beats->parts[i].epoch;
        commits[i] = beats->parts[i].commit;
    }
    set_node(&from, ends->from);
    set_node(&to, ends->to);
    m.version = PEER_VERSION;
    m.from = &from;
    m.to = &to;
    m.answer = beats->answer;
    m.boot = beats->boot;
    m.number = beats->number;
    m.n_partitions = m.n_epochs = beats->count;
    m.partitions = partitions;
    m.epochs = epochs;
    m.n_commits = beats->answer ? 0 : beats->count;
    m.commits = commits;
    pack(&m.base, &frames[0]);
    free(partitions);
    free(epochs);
}

enum err peer_decode_beats(const struct slice frames[LINK_FRAMES], struct peer_ends *ends_out,
                           struct beats *out)
{
    Tern__PeerBeat *m = tern__peer_beat__unpack(NULL, frames[0].len, frames[0].data);
    *out = (struct beats){ 0 };
    if (m == NULL)
        return ERR_PROTOCOL;
    size_t count = m->n_partitions;
    bool good = m->version == PEER_VERSION && get_ends(m->from, m->to, ends_out) && count <= PEER_PARTS_MAX &&
                m->n_epochs == count && m->n_commits == (m->answer ? 0 : count);
    if (good) {
        struct beat_part *parts = NEW_ARRAY(struct beat_part, count + 1);
        for (size_t i = 0; i < count; i++)
            parts[i] = (struct beat_part){ m->partitions[i], m->epochs[i], m->answer ? 0 : m->commits[i] };
        *out = (struct beats){ .peer = ends_out->from,
                               .answer = m->answer,
                               .boot = m->boot,
                               .number = m->number,
                               .parts = parts,
                               .count = count };
    }
    tern__peer_beat__free_unpacked(m, NULL);
    return good ? OK : ERR_PROTOCOL;
}
