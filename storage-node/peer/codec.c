/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/peer/codec.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "proto/replication.pb-c.h"

enum { CHECKSUM_BYTES = 8 };

/* ---- parts */

static void set_node(Tern__PeerNode *out, struct replica_node node)
{
    tern__peer_node__init(out);
    out->id = node.id;
    out->store = node.store;
}

static void set_speech(Tern__PeerSpeech *out, struct peer_speech says)
{
    tern__peer_speech__init(out);
    out->min = says.min;
    out->max = says.max;
    out->machine = says.machine;
}

static uint8_t version_of(const struct peer_ends *ends)
{
    return ends->version != 0 ? ends->version : PEER_VERSION_MIN;
}

static bool get_speech(const Tern__PeerSpeech *says, struct peer_speech *out)
{
    *out = (struct peer_speech){ PEER_VERSION_MIN, PEER_VERSION_MIN, 1 };
    if (says == NULL)
        return true;
    if (says->min > says->max || says->max > UINT8_MAX || says->machine > UINT8_MAX)
        return false;
    if (says->max != 0)
        *out = (struct peer_speech){ (uint8_t)says->min, (uint8_t)says->max, out->machine };
    if (says->machine != 0)
        out->machine = (uint8_t)says->machine;
    return true;
}

uint8_t peer_version_of_both(struct peer_speech a, struct peer_speech b)
{
    uint8_t version = a.max < b.max ? a.max : b.max;
    return version >= a.min && version >= b.min ? version : 0;
}

static bool get_ends(const Tern__PeerNode *from, const Tern__PeerNode *to, uint32_t version,
                     const Tern__PeerSpeech *says, struct peer_ends *out)
{
    if (from == NULL || to == NULL || from->id == 0 || to->id == 0 || version > UINT8_MAX ||
        !get_speech(says, &out->says))
        return false;
    out->version = (uint8_t)version;
    out->from = (struct replica_node){ .store = from->store, .id = from->id };
    out->to = (struct replica_node){ .store = to->store, .id = to->id };
    return true;
}

/* As cursor_varbytes reads it. */
static void pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    buf_add_varint(out, size);
    out->len += protobuf_c_message_pack(message, buf_reserve(out, size));
}

/* ---- messages, out */

bool peer_gather(struct partition *p, const struct replica_msg *msg, struct peer_entries *out)
{
    out->count = 0;
    buf_clear(&out->data);
    while (out->count < msg->append.count && out->count < REPLICA_APPEND_COUNT_MAX) {
        uint32_t i = out->count;
        enum err err =
            partition_entry(p, msg->append.prev_index + 1 + i, &out->epochs[i], &out->entry, &out->body);
        size_t bytes = out->data.len + out->entry.len + out->body.len;
        if (err != OK || (i > 0 && bytes > msg->append.bytes_max)) {
            if (err == ERR_CORRUPT)
                partition_entry_damaged(p);
            else if (err != OK && err != ERR_NOT_FOUND)
                log_error("peer", "an entry cannot be read: %s partition=%u index=%llu", err_text(err),
                          partition_id(p), (unsigned long long)(msg->append.prev_index + 1 + i));
            break;
        }
        peer_entries_add(out, out->epochs[i], buf_slice(&out->entry), buf_slice(&out->body));
    }
    return out->count > 0 || msg->append.count == 0;
}

void peer_entries_add(struct peer_entries *e, uint64_t epoch, struct slice entry, struct slice body)
{
    e->epochs[e->count] = epoch;
    e->entry_sizes[e->count] = (uint32_t)entry.len;
    e->body_sizes[e->count] = (uint32_t)body.len;
    e->count++;
    buf_add_slice(&e->data, entry);
    buf_add_slice(&e->data, body);
}

void peer_entries_fini(struct peer_entries *e)
{
    buf_fini(&e->data);
    buf_fini(&e->entry);
    buf_fini(&e->body);
}

static void put_chunk(Tern__PeerMessage *m, const struct replica_msg *msg)
{
    m->kind = TERN__PEER_KIND__PEER_CHUNK;
    m->term = msg->chunk.term;
    m->nonce = msg->chunk.nonce;
    m->seq = msg->chunk.seq;
    m->index = msg->chunk.index;
    m->index_epoch = msg->chunk.index_epoch;
    m->is_last = msg->chunk.last;
}

static void put_append(Tern__PeerMessage *m, const struct replica_msg *msg, struct peer_entries *entries)
{
    m->kind = TERN__PEER_KIND__PEER_APPEND;
    m->prev_index = msg->append.prev_index;
    m->prev_epoch = msg->append.prev_epoch;
    m->commit = msg->append.commit;
    m->recovered = msg->append.recovered;
    m->n_entry_epochs = m->n_entry_sizes = m->n_body_sizes = entries->count;
    m->entry_epochs = entries->epochs;
    m->entry_sizes = entries->entry_sizes;
    m->body_sizes = entries->body_sizes;
}

/* The bytes that go with it. */
static struct slice put_fields(Tern__PeerMessage *m, const struct replica_msg *msg,
                               struct peer_entries *entries)
{
    switch (msg->type) {
    case REPLICA_MSG_APPEND:
        put_append(m, msg, entries);
        return buf_slice(&entries->data);
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
        put_chunk(m, msg);
        return *(const struct slice *)msg->chunk.handle;
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
    return SLICE_NULL;
}

static void begin(struct peer_bundle *b)
{
    Tern__PeerBundle head = TERN__PEER_BUNDLE__INIT;
    Tern__PeerNode from, to;
    Tern__PeerSpeech says;
    set_node(&from, b->ends.from);
    set_node(&to, b->ends.to);
    set_speech(&says, b->ends.says);
    head.version = version_of(&b->ends);
    head.from = &from;
    head.to = &to;
    head.says = &says;
    buf_add_be64(&b->frame, 0); /* peer_bundle_end */
    pack(&head.base, &b->frame);
}

void peer_bundle_add(struct peer_bundle *b, uint32_t partition, const struct replica_msg *msg,
                     struct peer_entries *entries)
{
    Tern__PeerMessage m = TERN__PEER_MESSAGE__INIT;
    if (b->count == 0)
        begin(b);
    m.partition = partition;
    m.epoch = msg->epoch;
    struct slice data = put_fields(&m, msg, entries);
    pack(&m.base, &b->frame);
    buf_add_varbytes(&b->frame, data);
    b->count++;
}

bool peer_bundle_has_room(const struct peer_bundle *b, size_t bytes)
{
    return b->count == 0 || (b->count < PEER_BUNDLE_COUNT_MAX && b->frame.len + bytes <= PEER_BUNDLE_BYTES);
}

struct buf peer_bundle_end(struct peer_bundle *b)
{
    struct buf frame = b->frame, sum = { .data = frame.data, .cap = CHECKSUM_BYTES };
    buf_add_be64(&sum, hash_xxh3(slice_sub(buf_slice(&frame), CHECKSUM_BYTES, frame.len)));
    b->frame = (struct buf){ 0 };
    b->count = 0;
    return frame;
}

/* ---- messages, in */

static bool get_append(const Tern__PeerMessage *m, struct slice data, struct worker_message *out)
{
    struct cursor c = cursor_of(data);
    size_t count = m->n_entry_epochs;
    if (count > REPLICA_APPEND_COUNT_MAX || m->n_entry_sizes != count || m->n_body_sizes != count)
        return false;
    out->msg.append.prev_index = m->prev_index;
    out->msg.append.prev_epoch = m->prev_epoch;
    out->msg.append.commit = m->commit;
    out->msg.append.recovered = m->recovered;
    out->entries = NEW_ARRAY(struct replica_entry, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct slice entry = cursor_bytes(&c, m->entry_sizes[i]), body = cursor_bytes(&c, m->body_sizes[i]);
        if (c.bad)
            return false;
        struct log_entry *e = log_entry_new(entry, body);
        out->entries[i] = (struct replica_entry){ m->entry_epochs[i], log_entry_size(e), e };
        out->msg.append.count++;
    }
    return cursor_done(&c);
}

static bool get_chunk(const Tern__PeerMessage *m, struct slice data, struct worker_message *out)
{
    out->msg.chunk.term = m->term;
    out->msg.chunk.nonce = m->nonce;
    out->msg.chunk.seq = m->seq;
    out->msg.chunk.index = m->index;
    out->msg.chunk.index_epoch = m->index_epoch;
    out->msg.chunk.last = m->is_last;
    buf_add_slice(&out->rows, data);
    return true;
}

static bool get_fields(const Tern__PeerMessage *m, struct slice data, struct worker_message *out)
{
    struct replica_msg *msg = &out->msg;
    switch (m->kind) {
    case TERN__PEER_KIND__PEER_APPEND:
        msg->type = REPLICA_MSG_APPEND;
        return get_append(m, data, out);
    case TERN__PEER_KIND__PEER_CHUNK:
        msg->type = REPLICA_MSG_CHUNK;
        return get_chunk(m, data, out);
    case TERN__PEER_KIND__PEER_ACK:
        msg->type = REPLICA_MSG_ACK;
        msg->ack.match = m->match;
        break;
    case TERN__PEER_KIND__PEER_REFUSE:
        msg->type = REPLICA_MSG_REFUSE;
        msg->refuse.commit = m->commit;
        msg->refuse.last = m->last;
        msg->refuse.prev = m->prev;
        msg->refuse.nonce = m->nonce;
        break;
    case TERN__PEER_KIND__PEER_CHUNK_ACK:
        msg->type = REPLICA_MSG_CHUNK_ACK;
        msg->chunk_ack.term = m->term;
        msg->chunk_ack.nonce = m->nonce;
        msg->chunk_ack.seq = m->seq;
        break;
    case TERN__PEER_KIND__PEER_CHECK:
        msg->type = REPLICA_MSG_CHECK;
        msg->check = (struct replica_check){ m->index, m->chain, m->state, m->bodies, m->damaged };
        break;
    default:
        return false;
    }
    return data.len == 0;
}

static bool get_message(struct cursor *c, struct replica_node from, struct inbox_chain *out)
{
    struct slice header = cursor_varbytes(c), data = cursor_varbytes(c);
    Tern__PeerMessage *m = c->bad ? NULL : tern__peer_message__unpack(NULL, header.len, header.data);
    if (m == NULL)
        return false;
    struct worker_message *message = NEW(struct worker_message);
    message->partition = m->partition;
    message->msg.peer = from;
    message->msg.epoch = m->epoch;
    message->size = sizeof *message + data.len;
    bool good = m->partition < PARTITION_COUNT_MAX && get_fields(m, data, message);
    tern__peer_message__free_unpacked(m, NULL);
    inbox_chain_add(out, &message->item);
    return good;
}

static enum err check_version(const struct peer_ends *ends, uint8_t version_max)
{
    return ends->version >= PEER_VERSION_MIN && ends->version <= version_max ? OK : ERR_UNSUPPORTED;
}

static enum err get_head(struct slice packed, uint8_t version_max, struct peer_ends *ends_out)
{
    Tern__PeerBundle *head = tern__peer_bundle__unpack(NULL, packed.len, packed.data);
    bool good = head != NULL && get_ends(head->from, head->to, head->version, head->says, ends_out);
    tern__peer_bundle__free_unpacked(head, NULL);
    return good ? check_version(ends_out, version_max) : ERR_PROTOCOL;
}

void peer_free_messages(struct inbox_chain *messages)
{
    for (struct inbox_item *next, *item = messages->first; item != NULL; item = next) {
        next = item->next;
        worker_message_free((struct worker_message *)item);
    }
    *messages = (struct inbox_chain){ 0 };
}

enum err peer_decode(struct slice frame, uint8_t version_max, struct peer_ends *ends_out,
                     struct inbox_chain *out)
{
    struct cursor c = cursor_of(frame);
    uint64_t sum = cursor_be64(&c);
    bool good = !c.bad && sum == hash_xxh3(c.rest);
    *out = (struct inbox_chain){ 0 };
    if (good)
        TRY(get_head(cursor_varbytes(&c), version_max, ends_out));
    for (uint32_t count = 0; good && !cursor_done(&c); count++)
        good = count < PEER_BUNDLE_COUNT_MAX && get_message(&c, ends_out->from, out);
    if (good && out->first != NULL)
        return OK;
    peer_free_messages(out);
    return ERR_PROTOCOL;
}

/* ---- beats */

struct buf peer_encode_beats(const struct peer_ends *ends, const struct beats *beats)
{
    Tern__PeerBeat m = TERN__PEER_BEAT__INIT;
    Tern__PeerNode from, to;
    Tern__PeerSpeech says;
    uint32_t *partitions = NEW_ARRAY(uint32_t, beats->count + 1);
    uint64_t *epochs = NEW_ARRAY(uint64_t, 2 * beats->count + 1), *commits = epochs + beats->count;
    struct buf frame = { 0 };
    for (size_t i = 0; i < beats->count; i++) {
        partitions[i] = beats->parts[i].partition;
        epochs[i] = beats->parts[i].epoch;
        commits[i] = beats->parts[i].commit;
    }
    set_node(&from, ends->from);
    set_node(&to, ends->to);
    set_speech(&says, ends->says);
    m.version = version_of(ends);
    m.from = &from;
    m.to = &to;
    m.says = &says;
    m.answer = beats->answer;
    m.boot = beats->boot;
    m.number = beats->number;
    m.n_partitions = m.n_epochs = beats->count;
    m.partitions = partitions;
    m.epochs = epochs;
    m.n_commits = beats->answer ? 0 : beats->count;
    m.commits = commits;
    size_t size = tern__peer_beat__get_packed_size(&m);
    frame.len = tern__peer_beat__pack(&m, buf_reserve(&frame, size));
    free(partitions);
    free(epochs);
    return frame;
}

static bool get_parts(const Tern__PeerBeat *m, const struct peer_ends *ends, struct beats *out)
{
    size_t count = m->n_partitions;
    if (count > PEER_PARTS_MAX || m->n_epochs != count || m->n_commits != (m->answer ? 0 : count))
        return false;
    struct beat_part *parts = NEW_ARRAY(struct beat_part, count + 1);
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct beat_part){ m->partitions[i], m->epochs[i], m->answer ? 0 : m->commits[i] };
    *out = (struct beats){ .peer = ends->from,
                           .answer = m->answer,
                           .boot = m->boot,
                           .number = m->number,
                           .parts = parts,
                           .count = count };
    return true;
}

enum err peer_decode_beats(struct slice frame, uint8_t version_max, struct peer_ends *ends_out,
                           struct beats *out)
{
    Tern__PeerBeat *m = tern__peer_beat__unpack(NULL, frame.len, frame.data);
    *out = (struct beats){ 0 };
    if (m == NULL)
        return ERR_PROTOCOL;
    enum err err = get_ends(m->from, m->to, m->version, m->says, ends_out)
                       ? check_version(ends_out, version_max)
                       : ERR_PROTOCOL;
    if (err == OK && !get_parts(m, ends_out, out))
        err = ERR_PROTOCOL;
    tern__peer_beat__free_unpacked(m, NULL);
    return err;
}
