/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: from an entry or a read request to its method, by one table made of proto/methods.h.
 *
 * The life of an entry: decode; remember the time; a request id seen before gives its first answer again;
 * unpack; check; apply. A refusal takes back what the method changed. The answer is remembered under the
 * request id, beside the changes. Body bytes that came with the entry and that nobody took are handed back to
 * be deleted. */
#include "storage-node/mailbox/machine.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/mailbox/method.h"
#include "storage-node/mailbox/stage/stage.h"

typedef enum err check_fn(const ProtobufCMessage *request, size_t body_len);
typedef enum err apply_fn(struct apply *a, const ProtobufCMessage *request);
typedef enum err read_fn(struct read_ctx *r, const ProtobufCMessage *request);

struct method_row {
    uint32_t number;
    const ProtobufCMessageDescriptor *descriptor;
    check_fn *check;
    apply_fn *apply; /* WRITE */
    read_fn *read;   /* READ */
};

/* Every request struct begins with its ProtobufCMessage: a typed function may be called with that. The
 * wrappers keep the call's type exact. */
#define WRAP_CHECK_(proto, func)                                                        \
    static enum err call_check_##func(const ProtobufCMessage *request, size_t body_len) \
    {                                                                                   \
        return check_##func((const Tern__##proto##Request *)request, body_len);         \
    }
#define WRAP_METHOD_WRITE(proto, func)                                                  \
    WRAP_CHECK_(proto, func)                                                            \
    static enum err call_apply_##func(struct apply *a, const ProtobufCMessage *request) \
    {                                                                                   \
        return apply_##func(a, (const Tern__##proto##Request *)request);                \
    }
#define WRAP_METHOD_READ(proto, func)                                                     \
    WRAP_CHECK_(proto, func)                                                              \
    static enum err call_read_##func(struct read_ctx *r, const ProtobufCMessage *request) \
    {                                                                                     \
        return read_##func(r, (const Tern__##proto##Request *)request);                   \
    }
#define WRAP_METHOD_MEMORY(proto, func)
#define WRAP_METHOD_NODE(proto, func)
#define WRAP_METHOD_CLUSTER(proto, func)
#define WRAP_METHOD_NOTICE(proto, func)
#define WRAP_METHOD_(symbol, number, kind, proto, func) WRAP_METHOD_##kind(proto, func)
METHOD_LIST(WRAP_METHOD_)

#define ROW_METHOD_WRITE(symbol, func) \
    { METHOD_##symbol, &tern__##func##_request__descriptor, call_check_##func, call_apply_##func, NULL },
#define ROW_METHOD_READ(symbol, func) \
    { METHOD_##symbol, &tern__##func##_request__descriptor, call_check_##func, NULL, call_read_##func },
#define ROW_METHOD_MEMORY(symbol, func)
#define ROW_METHOD_NODE(symbol, func)
#define ROW_METHOD_CLUSTER(symbol, func)
#define ROW_METHOD_NOTICE(symbol, func)
#define ROW_METHOD_(symbol, number, kind, proto, func) ROW_METHOD_##kind(symbol, func)
static const struct method_row method_rows[] = { METHOD_LIST(ROW_METHOD_) };

static const struct method_row *find_method(uint32_t number)
{
    for (size_t i = 0; i < sizeof method_rows / sizeof method_rows[0]; i++) {
        if (method_rows[i].number == number)
            return &method_rows[i];
    }
    return NULL;
}

static void *arena_alloc_for_protobuf(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void keep_until_arena_clear(void *arena, void *ptr) {}

/* The request unpacked into the arena; NULL if it is malformed. */
static ProtobufCMessage *unpack(const struct method_row *method, struct slice request, struct arena *arena)
{
    ProtobufCAllocator allocator = { arena_alloc_for_protobuf, keep_until_arena_clear, arena };
    return protobuf_c_message_unpack(method->descriptor, &allocator, request.len,
                                     request.data == NULL ? (const uint8_t *)"" : request.data);
}

static void pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size == 0)
        return;
    out->len += protobuf_c_message_pack(message, buf_reserve(out, size));
}

/* ---- results */

/* Results live on from round to round, a thousand of them: none keeps what a rare large row needed. */
static void clear_but_keep_little(struct buf *b)
{
    enum { KEEP_MAX = 4096 };
    if (b->cap > KEEP_MAX)
        buf_fini(b);
    buf_clear(b);
}

void machine_result_clear(struct machine_result *r)
{
    r->status = OK;
    clear_but_keep_little(&r->response);
    clear_but_keep_little(&r->row);
    r->change_count = 0;
    r->free_body_count = 0;
    r->sweep_wanted = false;
    r->free_body_bytes = 0;
    arena_clear(&r->scratch);
}

void machine_result_fini(struct machine_result *r)
{
    buf_fini(&r->response);
    free(r->changes);
    free(r->free_bodies);
    arena_fini(&r->scratch);
    buf_fini(&r->row);
    *r = (struct machine_result){ 0 };
}

void apply_note_change(struct apply *a, uint64_t account, uint64_t mailbox, uint64_t modseq)
{
    struct machine_result *r = a->out;
    if (r->change_count == r->change_cap) {
        r->change_cap = r->change_cap * 2 + 4;
        r->changes = xrealloc(r->changes, r->change_cap * sizeof *r->changes);
    }
    r->changes[r->change_count++] = (struct machine_change){ account, mailbox, modseq };
}

void apply_free_body(struct apply *a, uint64_t index, uint64_t size)
{
    struct machine_result *r = a->out;
    r->free_body_bytes += size;
    if (r->free_body_count > 0 && r->free_bodies[r->free_body_count - 1].last + 1 == index) {
        r->free_bodies[r->free_body_count - 1].last = index;
        return;
    }
    if (r->free_body_count == r->free_body_cap) {
        r->free_body_cap = r->free_body_cap * 2 + 4;
        r->free_bodies = xrealloc(r->free_bodies, r->free_body_cap * sizeof *r->free_bodies);
    }
    r->free_bodies[r->free_body_count++] = (struct kv_body_range){ index, index };
}

/* ---- writing rows */

void apply_put(struct apply *a, const struct key *key)
{
    kv_txn_put(a->state.txn, KV_STATE, key_slice(key), buf_slice(a->value));
}

void apply_put_number(struct apply *a, const struct key *key, uint64_t value)
{
    number_encode(value, a->value);
    apply_put(a, key);
}

void apply_put_empty(struct apply *a, const struct key *key)
{
    static const uint8_t version[] = { ROW_VERSION };
    kv_txn_put(a->state.txn, KV_STATE, key_slice(key), slice_of(version, sizeof version));
}

void apply_delete(struct apply *a, const struct key *key)
{
    kv_txn_delete(a->state.txn, KV_STATE, key_slice(key));
}

void apply_respond(struct apply *a, const ProtobufCMessage *response)
{
    pack(response, &a->out->response);
}

/* ---- applying */

static enum err advance_clock(struct apply *a)
{
    struct key key;
    key_clock(&key, a->state.partition);
    uint64_t newest = 0;
    enum err err = state_number(&a->state, &key, &newest);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    if (a->header->time_ms > newest)
        apply_put_number(a, &key, a->header->time_ms);
    return OK;
}

/* The answer given before under this request id, or ERR_NOT_FOUND. */
static enum err find_first_answer(struct apply *a)
{
    struct key key;
    key_request(&key, a->state.partition, apply_request_id(a));
    struct kv_value value;
    TRY(state_get(&a->state, &key, &value));
    struct request_row row;
    bool good = request_decode(value.bytes, &row);
    if (good) {
        a->out->status = (enum err)row.status;
        buf_add_slice(&a->out->response, row.response);
    }
    kv_value_release(&value);
    return good ? OK : state_corrupt(&a->state, &key);
}

static void remember_answer(struct apply *a)
{
    struct key key;
    key_request(&key, a->state.partition, apply_request_id(a));
    struct request_row row = { .status = a->out->status, .response = buf_slice(&a->out->response) };
    request_encode(&row, a->value);
    apply_put(a, &key);
}

/* A request id begins with the partition's time its caller had seen; what is older than the memory of ids
 * cannot be told from a repeat. */
static enum err check_age(const struct entry_header *h)
{
    struct cursor c = cursor_of(slice_of(h->request_id, REQUEST_ID_SIZE));
    uint64_t seen_ms = cursor_be64(&c);
    if (h->time_ms > REQUEST_RETENTION_MS && seen_ms < h->time_ms - REQUEST_RETENTION_MS)
        return ERR_EXPIRED;
    if (seen_ms > h->time_ms && seen_ms - h->time_ms > CLOCK_SKEW_MAX_MS)
        return ERR_INVALID;
    return OK;
}

/* Entries of that version may be of that kind. */
static bool is_spoken(uint8_t version, uint32_t method)
{
    uint8_t since = machine_since(method);
    return since != 0 && since <= version;
}

static enum err perform(struct apply *a, struct slice request)
{
    const struct method_row *method = find_method(a->header->method);
    if (method == NULL || method->apply == NULL || !is_spoken(a->header->version, a->header->method))
        return ERR_UNSUPPORTED;
    ProtobufCMessage *message = unpack(method, request, a->state.arena);
    if (message == NULL)
        return ERR_INVALID;
    TRY(method->check(message, a->header->body_len));
    return method->apply(a, message);
}

static bool is_refusal(enum err err)
{
    return err_class(err) == ERR_CLASS_CALLER || err == ERR_EXPIRED;
}

static enum err apply_request(struct apply *a, struct slice request)
{
    enum err err = check_age(a->header);
    if (err != OK) {
        a->out->status = err;
        return OK;
    }
    err = find_first_answer(a);
    if (err != ERR_NOT_FOUND)
        return err;
    err = perform(a, request);
    if (err != OK && !is_refusal(err))
        return err;
    if (err != OK) {
        bool sweep_wanted = a->out->sweep_wanted; /* of what stood in the way */
        kv_txn_rollback_to_mark(a->state.txn);
        machine_result_clear(a->out);
        a->out->sweep_wanted = sweep_wanted;
        a->body_taken = false;
        TRY(advance_clock(a));
        if (a->idle_stage != 0)
            TRY(stage_fence(a, a->idle_stage));
    }
    a->out->status = err;
    if (err != OK || !a->unremembered)
        remember_answer(a);
    return OK;
}

static enum err apply_entry(struct apply *a, struct slice request)
{
    uint32_t method = a->header->method;
    TRY(advance_clock(a));
    switch (is_spoken(a->header->version, method) ? method : (uint32_t)METHOD_NONE) {
    case ENTRY_SWEEP:
        TRY(apply_sweep(a));
        break;
    case ENTRY_RECOVER:
        TRY(apply_recover(a));
        break;
    case ENTRY_BARRIER:
    case ENTRY_CHECK:
    case ENTRY_VERSION:
        break;
    default: /* what a program takes for a request that does not know the method */
        TRY(apply_request(a, request));
    }
    if (a->header->body_len > 0 && !a->body_taken)
        apply_free_body(a, a->index, a->header->body_len);
    return OK;
}

enum err machine_apply(struct kv_txn *txn, uint32_t partition, uint64_t index, struct slice entry,
                       struct machine_result *out)
{
    machine_result_clear(out);
    struct entry_header header;
    struct slice request;
    TRY(entry_decode(entry, &header, &request));
    struct apply a = {
        .state = { .txn = txn, .partition = partition, .arena = &out->scratch },
        .header = &header,
        .index = index,
        .out = out,
        .value = &out->row,
    };
    kv_txn_mark(txn);
    enum err err = apply_entry(&a, request);
    if (err != OK) /* nothing of a half-applied entry stays among the rows of other partitions */
        kv_txn_rollback_to_mark(txn);
    return err;
}

/* ---- looking at a request */

enum err machine_check(uint8_t version, uint32_t method_number, struct slice request, size_t body_len)
{
    const struct method_row *method = find_method(method_number);
    if (method == NULL || (method->apply != NULL && !is_spoken(version, method_number)))
        return ERR_UNSUPPORTED;
    if (body_len > BODY_CHUNK_MAX || (method->apply != NULL && request.len > ENTRY_BYTES_MAX))
        return ERR_TOO_BIG;
    struct arena arena = { 0 };
    ProtobufCMessage *message = unpack(method, request, &arena);
    enum err err = message == NULL ? ERR_INVALID : method->check(message, body_len);
    arena_fini(&arena);
    return err;
}

/* ---- reading */

void read_respond(struct read_ctx *r, const ProtobufCMessage *response)
{
    pack(response, r->response);
}

size_t read_page_size(uint32_t asked)
{
    enum { PAGE_MIN = 4096 };
    if (asked < PAGE_MIN)
        return PAGE_MIN;
    return asked > FETCH_PAGE_MAX ? FETCH_PAGE_MAX : asked;
}

enum err machine_read(struct kv *kv, const struct kv_view *view, uint32_t partition, uint32_t method_number,
                      struct slice request, struct buf *response, struct buf *body)
{
    buf_clear(response);
    buf_clear(body);
    const struct method_row *method = find_method(method_number);
    if (method == NULL || method->read == NULL)
        return ERR_UNSUPPORTED;
    struct arena arena = { 0 };
    struct read_ctx r = {
        .state = { .kv = kv, .view = view, .partition = partition, .arena = &arena },
        .response = response,
        .body = body,
    };
    ProtobufCMessage *message = unpack(method, request, &arena);
    enum err err = message == NULL ? ERR_INVALID : method->check(message, 0);
    if (err == OK)
        err = method->read(&r, message);
    if (response->len > MACHINE_READ_MAX || body->len > MACHINE_READ_MAX)
        err = ERR_LIMIT;
    if (err != OK) {
        buf_clear(response);
        buf_clear(body);
    }
    arena_fini(&arena);
    return err;
}

enum err machine_time(struct kv *kv, const struct kv_view *view, uint32_t partition, uint64_t *time_ms_out)
{
    struct state s = { .kv = kv, .view = view, .partition = partition };
    struct key key;
    key_clock(&key, partition);
    *time_ms_out = 0;
    enum err err = state_number(&s, &key, time_ms_out);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* ---- sets of UIDs in requests */

enum err uids_of_request(ProtobufCBinaryData bytes, struct uidset *out)
{
    uidset_clear(out);
    if (bytes.len == 0)
        return OK;
    struct cursor c = cursor_of(slice_of_binary(bytes));
    enum err err = uidset_decode(&c, out);
    return err == OK && cursor_done(&c) ? OK : ERR_INVALID;
}

ProtobufCBinaryData uids_for_response(const struct uidset *set, struct arena *arena)
{
    struct buf b = { 0 };
    uidset_encode(set, &b);
    struct slice copy = arena_slice(arena, buf_slice(&b));
    buf_fini(&b);
    return binary_of(copy);
}
