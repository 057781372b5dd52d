/* SPDX-License-Identifier: Apache-2.0 */
/* What etcd's JSON gateway (v3, as of etcd 3.4) is told and answers: keys and values in base64, 64-bit
 * numbers as strings, zeros left out. Pure. Everything decoded is bounded by the bytes given. */
#ifndef DIRECTOR_COORDINATION_ETCD_CODEC_H
#define DIRECTOR_COORDINATION_ETCD_CODEC_H

#include <jansson.h>

#include "director/coordination/coordination.h"
#include "lib/base/buf.h"

/* ---- requests: each replaces what is in `out` */

void etcd_encode_txn(struct buf *out, const struct coordination_txn *txn, struct slice row_prefix,
                     struct slice deleted_key);
/* Rows of [from, to), at most `limit`, as of `revision` (0: now, linearizable). */
void etcd_encode_range(struct buf *out, struct slice from, struct slice to, uint64_t limit,
                       uint64_t revision);
/* Nothing but the header, of a moment after the request (linearizable). */
void etcd_encode_barrier(struct buf *out, struct slice key);
void etcd_encode_put(struct buf *out, struct slice key, struct slice value);
void etcd_encode_watch(struct buf *out, struct slice from, struct slice to, uint64_t revision);
void etcd_encode_grant(struct buf *out, uint64_t ttl_s);
void etcd_encode_lease(struct buf *out, uint64_t lease); /* keep alive, revoke */
/* Put `key` bound to `lease` if there is no such key; else read it. */
void etcd_encode_campaign(struct buf *out, struct slice key, struct slice value, uint64_t lease);

/* ---- answers */

/* What all answers begin with. `message` is set when etcd refuses, and points into `json`, which
 * etcd_answer_fini frees with all else. */
struct etcd_answer {
    json_t *json;
    json_t *body; /* of a stream: what stands under "result" */
    uint64_t cluster_id, revision;
    const char *message;
    int64_t code; /* gRPC's, of a refusal */
};

/* ERR_PROTOCOL: not an answer at all. A refusal is OK, with a message and without a header. */
MUST_CHECK enum err etcd_decode(struct slice text, struct etcd_answer *out);
void etcd_answer_fini(struct etcd_answer *answer);

/* A key and what it has; the memory is the receiver's until etcd_kv_fini. */
struct etcd_kv {
    struct buf key, value;
    uint64_t mod, lease;
    bool deleted;
};

void etcd_kv_fini(struct etcd_kv *kv);

/* The kvs of a range, or the events of a watch. ERR_PROTOCOL: not so. */
MUST_CHECK enum err etcd_decode_kvs(const json_t *body, struct etcd_kv **out, size_t *count_out,
                                    bool *more_out);
MUST_CHECK enum err etcd_decode_events(const json_t *body, struct etcd_kv **out, size_t *count_out);
void etcd_kvs_free(struct etcd_kv *kvs, size_t count);

/* Of a transaction. *kvs_out: what the failed branch read (nothing after success). */
MUST_CHECK enum err etcd_decode_txn(const json_t *body, bool *succeeded_out, struct etcd_kv **kvs_out,
                                    size_t *count_out);

/* What a member says of itself (maintenance/status), which anybody may ask and which touches no log. True: it
 * does its part; else why not, for a person, replaces what is in `why`. */
bool etcd_decode_status(const json_t *body, struct buf *why);

/* A number under `name`; 0 if there is none. ERR_PROTOCOL: something else is there. */
MUST_CHECK enum err etcd_decode_number(const json_t *body, const char *name, uint64_t *out);
bool etcd_decode_bool(const json_t *body, const char *name);

#endif
