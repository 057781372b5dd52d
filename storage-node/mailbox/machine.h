/* SPDX-License-Identifier: Apache-2.0 */
/* The mail state machine of a partition: a pure function of the entries applied to it. It knows neither
 * replication nor the wire; time and ids come in the entries, so every replica that applies the same entries
 * holds the same rows. All rows live in KV_STATE under the partition's prefix (see keys.h, the only place
 * that knows key layouts); bodies are found in KV_BODY under (partition, index).
 *
 * An entry is [header][request]: the header is fixed binary, the same in all versions; the request is the
 * method's protobuf exactly as the caller sent it.
 *
 * What an entry means hangs on the state-machine version that its header names, for ever: a program applies
 * entries of all versions from 1 to the highest it speaks, each in its own way (docs/replication.md, R30).
 * Where that differs, the code looks at the version of the header (struct apply in method.h). */
#ifndef STORAGE_NODE_MAILBOX_MACHINE_H
#define STORAGE_NODE_MAILBOX_MACHINE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "proto/methods.h"
#include "storage-node/kv/kv.h"

enum {
    MACHINE_VERSION = 1, /* the highest state-machine version this source speaks */
    MACHINE_READ_MAX =
        7 * 512 * 1024, /* bytes of an answer's response or body: below what a frame may have */
};

struct entry_header {
    uint8_t version;  /* state-machine version the entry is to be applied with */
    uint32_t method;  /* enum method, kind METHOD_WRITE or one of the internal ones below */
    uint64_t time_ms; /* max(previous entry's time, the primary's clock) */
    uint8_t request_id[REQUEST_ID_SIZE]; /* zero for internal entries */
    uint32_t body_len;                   /* bytes stored in KV_BODY beside the entry; 0: none */
};

/* Entries the primary makes by itself. */
enum {
    ENTRY_BARRIER = 1000, /* no effect */
    ENTRY_SWEEP = 1001,   /* forget request ids, delivery ids, uploads, expunged bodies that are due at the
                             entry's time, within a row bound */
    ENTRY_RECOVER = 1002, /* a barrier of a partition that goes on from an older copy (R29): each mailbox gets
                             a new UIDVALIDITY */
    ENTRY_CHECK = 1003,   /* no effect; copies are compared as of it (storage-node/partition/check.c) */
    ENTRY_VERSION = 1004, /* no effect on rows; the first entry of its version, which all later ones have */
    ENTRY_END,            /* none: behind the last */
};

void entry_encode(const struct entry_header *h, struct slice request, struct buf *out);
/* ERR_CORRUPT if it is no entry. It may be of any version: whether that can be applied is the driver's to
 * judge, once (storage-node/partition/version.c). *request_out borrows from `entry`. */
MUST_CHECK enum err entry_decode(struct slice entry, struct entry_header *h_out, struct slice *request_out);

/* Cheap: looks only at where the method stands. */
bool entry_is_check(struct slice entry);
/* Likewise; 0: it is no entry. */
uint8_t entry_version(struct slice entry);

/* What applying changed in a mailbox, for watches. */
struct machine_change {
    uint64_t account;
    uint64_t mailbox;
    uint64_t modseq;
};

/* The outcome of one entry, owned by the caller, reusable: clear keeps a little memory. */
struct machine_result {
    enum err status;     /* what the caller of the request is told */
    struct buf response; /* the method's packed response (empty unless status is OK) */
    struct machine_change *changes;
    size_t change_count, change_cap;
    struct kv_body_range {
        uint64_t first, last;
    } * free_bodies; /* KV_BODY indexes that no row refers to any more: the driver deletes them in the same
                        batch */
    size_t free_body_count, free_body_cap;
    uint64_t free_body_bytes; /* their bytes together */
    bool sweep_wanted;        /* ENTRY_SWEEP has something to do now */
    struct arena scratch;     /* the machine's own, while it applies */
    struct buf row;
};
void machine_result_clear(struct machine_result *r);
void machine_result_fini(struct machine_result *r);

/* Apply entry `index` of `partition` in `txn` (the caller commits it together with the applied index).
 * `status` in the result is what the client hears: a refusal (NOT_FOUND, OVER_QUOTA ...) leaves no rows but
 * is remembered under the request id. A request id seen before has no effect and yields the first answer; one
 * older than REQUEST_RETENTION_MS is ERR_EXPIRED without effect. Returns other than OK only for ERR_IO,
 * ERR_NO_SPACE, ERR_CORRUPT: the node must not go on with this partition. */
MUST_CHECK enum err machine_apply(struct kv_txn *txn, uint32_t partition, uint64_t index, struct slice entry,
                                  struct machine_result *out);

/* The lowest version of entries that may be of this kind: a method that writes, or one of the ENTRY_ ones
 * (since.c). 0: none. In an entry below it a method is what it was before it was known, UNSUPPORTED, whatever
 * the program speaks: so replicas of both sides of an upgrade apply the same. */
uint8_t machine_since(uint32_t method);

/* A look at arrival, before an entry of `version` is made: is the request well formed and within its bounds
 * (body_len included)? Cheap, reads no state. ERR_UNSUPPORTED (no method of the state machine, or of a higher
 * version: the caller does as its predecessor did), ERR_INVALID, ERR_TOO_BIG, ERR_LIMIT. What depends on
 * state is decided in machine_apply. */
MUST_CHECK enum err machine_check(uint8_t version, uint32_t method, struct slice request, size_t body_len);

/* Answer a METHOD_READ request from a view: packed response in `response`, body frame (rows, bytes) in
 * `body`. Runs on reader threads; may take milliseconds; bounded by the request's own page sizes. The error
 * is what the caller is told. */
MUST_CHECK enum err machine_read(struct kv *kv, const struct kv_view *view, uint32_t partition,
                                 uint32_t method, struct slice request, struct buf *response,
                                 struct buf *body);

/* Time of the newest applied entry, 0 if none. */
MUST_CHECK enum err machine_time(struct kv *kv, const struct kv_view *view, uint32_t partition,
                                 uint64_t *time_ms_out);
/* True if ENTRY_SWEEP would find something due at `now_ms` (cheap: looks at the oldest rows). */
MUST_CHECK enum err machine_sweep_due(struct kv *kv, uint32_t partition, uint64_t now_ms, bool *due_out);

/* The smallest and the first key behind all of a partition's rows in KV_STATE (for snapshots and deletion).
 */
void machine_key_range(uint32_t partition, struct buf *lower, struct buf *upper);
/* The key of the body bytes beside entry `index`. */
void machine_body_key(uint32_t partition, uint64_t index, struct buf *key);

#endif
