/* SPDX-License-Identifier: Apache-2.0 */
/* A request to a partition, without the wire: made by storage-node/rpc or by a simulator, and given back
 * exactly once through `done`. */
#ifndef STORAGE_NODE_PARTITION_REQUEST_H
#define STORAGE_NODE_PARTITION_REQUEST_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/inbox.h"
#include "proto/methods.h"

enum { PARTITION_PEER_MAX = 32 };

/* Names whoever is told of changes (a front-end's connection); a value that is compared as bytes. */
struct partition_peer {
    uint8_t bytes[PARTITION_PEER_MAX];
    uint8_t len;
};

struct partition_answer {
    enum err status;
    uint64_t time_ms;     /* the partition's time */
    const char *detail;   /* for a person, or NULL; valid during the call */
    struct buf *response; /* packed; may be taken (then left empty); NULL: none */
    struct buf *body;     /* likewise */
};

struct partition_request {
    struct inbox_item item; /* first; for the queue it stands in */
    uint32_t partition;
    uint32_t method;
    enum method_kind kind;
    uint8_t request_id[REQUEST_ID_SIZE];
    uint64_t deadline_mono_ms; /* not worked on later than this */
    struct slice request;      /* packed; valid until done */
    struct slice body;         /* likewise */
    struct partition_peer peer;
    uint64_t arrived_mono_ns; /* for figures */
    /* Ends the request's life: on a worker or reader thread. */
    void (*done)(struct partition_request *request, const struct partition_answer *answer);
    struct partition_request *next; /* the partition's */
};

/* Answer with a status alone. */
static inline void partition_request_end(struct partition_request *request, enum err status, uint64_t time_ms)
{
    struct partition_answer answer = { .status = status, .time_ms = time_ms };
    request->done(request, &answer);
}

#endif
