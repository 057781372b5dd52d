/* SPDX-License-Identifier: Apache-2.0 */
/* What the method files share: the context they work in and the functions the dispatch table names. Only for
 * the state machine.
 *
 * A method is up to three functions:
 *   check_x   bounds of the request alone, no state: ERR_INVALID, ERR_TOO_BIG, ERR_LIMIT
 *   apply_x   WRITE: checks against the state, then changes rows through the context; an error of
 *             the caller's class takes every change back and is what the caller hears
 *   read_x    READ: fills response and body
 */
#ifndef STORAGE_NODE_MAILBOX_METHOD_H
#define STORAGE_NODE_MAILBOX_METHOD_H

#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "proto/queue.pb-c.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/mailbox/rows/state.h"

enum {
    MAILBOXES_MAX = 5000, /* of one account */
    ALIAS_TARGETS_MAX = 100,
    VANISHED_MAX = 20000, /* VANISHED rows a mailbox keeps; the oldest go and raise its floor */
    UNDELETE_MS =
        3600 * 1000, /* a body without references is kept this long: readers may be on their way to it */
    SWEEP_ROWS_MAX = 2000,    /* rows one sweep entry deletes, about */
    UPLOAD_CHUNKS_MAX = 4096, /* of one message: 1 GiB */
    CREDENTIAL_FIELD_MAX = 1024,
    CLOCK_SKEW_MAX_MS = 24 * 3600 * 1000, /* an id's time may be ahead of the partition's by this */
    ADDRESS_LIST_MAX = 1000,              /* rows of one page */
    REQUEST_GRACE_MS = 1000,              /* ids are kept a little longer than they are accepted */
    UID_LAST = UINT32_MAX - 1,
};

/* One entry being applied. */
struct apply {
    struct state state;
    const struct entry_header *header;
    uint64_t index;
    struct machine_result *out;
    struct buf *value;   /* scratch to encode rows in */
    bool body_taken;     /* the body beside the entry is referred to */
    bool unremembered;   /* a repeat is known by other rows: no REQUEST row is needed */
    uint64_t idle_stage; /* the account whose stage stood in the way of what is refused, though nobody goes on
                            with it; 0 none */
};

static inline struct slice apply_request_id(const struct apply *a)
{
    return slice_of(a->header->request_id, REQUEST_ID_SIZE);
}

/* Write the row that was encoded into a->value, or delete one. */
void apply_put(struct apply *a, const struct key *key);
void apply_put_number(struct apply *a, const struct key *key, uint64_t value);
void apply_put_empty(struct apply *a, const struct key *key);
void apply_delete(struct apply *a, const struct key *key);
/* Pack the response. */
void apply_respond(struct apply *a, const ProtobufCMessage *response);
void apply_note_change(struct apply *a, uint64_t account, uint64_t mailbox, uint64_t modseq);
/* The bytes beside entry `index` belong to nobody any more. */
void apply_free_body(struct apply *a, uint64_t index, uint64_t size);

/* One read being answered. */
struct read_ctx {
    struct state state;
    struct buf *response;
    struct buf *body;
};
void read_respond(struct read_ctx *r, const ProtobufCMessage *response);

/* The size of a page: what was asked, within 4 KiB and FETCH_PAGE_MAX. */
size_t read_page_size(uint32_t asked);

/* Bytes of a request's set decoded; ERR_INVALID if they are none. *out was initialised. */
MUST_CHECK enum err uids_of_request(ProtobufCBinaryData bytes, struct uidset *out);
/* The set encoded, in the arena. */
ProtobufCBinaryData uids_for_response(const struct uidset *set, struct arena *arena);

static inline struct slice slice_of_binary(ProtobufCBinaryData b)
{
    return slice_of(b.data, b.len);
}
static inline ProtobufCBinaryData binary_of(struct slice s)
{
    return (ProtobufCBinaryData){ .len = s.len, .data = (uint8_t *)s.data };
}

/* check and apply of WRITE methods, read of READ methods, named by proto/methods.h; check is of both. */
#define DECLARE_METHOD_WRITE(proto, func)                                          \
    enum err check_##func(const Tern__##proto##Request *request, size_t body_len); \
    enum err apply_##func(struct apply *a, const Tern__##proto##Request *request);
#define DECLARE_METHOD_READ(proto, func)                                           \
    enum err check_##func(const Tern__##proto##Request *request, size_t body_len); \
    enum err read_##func(struct read_ctx *r, const Tern__##proto##Request *request);
#define DECLARE_METHOD_MEMORY(proto, func)
#define DECLARE_METHOD_NODE(proto, func)
#define DECLARE_METHOD_CLUSTER(proto, func)
#define DECLARE_METHOD_NOTICE(proto, func)
#define DECLARE_METHOD_(symbol, number, kind, proto, func) DECLARE_METHOD_##kind(proto, func)
METHOD_LIST(DECLARE_METHOD_)
#undef DECLARE_METHOD_

enum err apply_sweep(struct apply *a);
/* ENTRY_RECOVER (recover.c). */
enum err apply_recover(struct apply *a);

#endif
