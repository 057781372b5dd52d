/* SPDX-License-Identifier: Apache-2.0 */
/* conf(e), the configuration of one partition, and the only ways it may change: R20-R23 of
 * docs/replication.md. Pure. */
#ifndef DIRECTOR_CONF_H
#define DIRECTOR_CONF_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "proto/cluster.pb-c.h"

enum {
    /* By how much a recovery with a loss raises the epoch: above those of lost nodes that know more than a
     * coordination store that was put back from a copy (R27), if they return. */
    CONF_RECOVER_STEP = 1024,
};

enum { CONF_NODES_MAX = 16 }; /* members and learners of one partition together */

struct conf {
    uint32_t partition;
    uint64_t epoch; /* 0: not placed yet */
    uint32_t primary;
    uint64_t since;     /* first epoch of this primary's unbroken term */
    uint64_t recovered; /* epoch of the last conf_recover, 0 none: copies of older epochs are void but for
                           that of the node it names (R29) */
    uint8_t member_count;
    uint8_t learner_count;
    bool handover;
    uint32_t members[CONF_NODES_MAX]; /* node ids; the primary included */
    uint32_t learners[CONF_NODES_MAX];
};

/* conf(1): the creation. `count` from 1 to CONF_NODES_MAX nodes, the primary among them. */
struct conf conf_create(uint32_t partition, uint32_t primary, const uint32_t *members, size_t count);

bool conf_is_member(const struct conf *conf, uint32_t node);
bool conf_is_learner(const struct conf *conf, uint32_t node);
/* Does `next` give the node a part that it has not in `conf`: as a learner, a member, or by a hand-over? */
bool conf_admits(const struct conf *conf, const struct conf *next, uint32_t node);

struct conf_request {
    Tern__ConfChange change;
    uint64_t epoch;   /* the asker's: must be the current one */
    uint32_t asker;   /* node id; 0: the director itself */
    uint32_t subject; /* node id, where the change has one */
};

/* What a request makes of `current`. OK: *next is conf(epoch + 1). Otherwise *next is not touched:
 * ERR_CONFLICT: epoch is not the current one; ERR_EXISTS: it is so already (nothing to change);
 * ERR_DENIED: not the asker's to ask; ERR_INVALID: not possible with that subject; ERR_LIMIT: CONF_NODES_MAX.
 * `may_join`: the subject is a registered node that nobody is about to remove, so it may become more than it
 * is (conf_admits), else ERR_INVALID. CONF_READ is no change: ERR_INVALID. */
MUST_CHECK enum err conf_change(const struct conf *current, const struct conf_request *request, bool may_join,
                                struct conf *next);

/* Go on from `node`'s copy alone, whatever the others had. Only because a person said so. The epoch is above
 * `known` too, the highest that a node tells of. */
struct conf conf_recover(const struct conf *current, uint32_t node, uint64_t known);
/* Go on with nothing lost above a store that was put back from an older copy (R27), where `known` is the
 * highest epoch that a node tells of: from `node`'s copy, which has all that was committed; `learners`
 * (`count` of them, `node` not among them; those beyond CONF_NODES_MAX are left out) catch up from it. */
struct conf conf_go_on(const struct conf *current, uint32_t node, uint64_t known, const uint32_t *learners,
                       size_t count);

/* What always holds for a conf that may be stored or acted on. */
bool conf_is_valid(const struct conf *conf);

/* To and from protobuf. conf_to_proto borrows from `conf`. conf_from_proto: ERR_CORRUPT unless valid. */
void conf_to_proto(const struct conf *conf, Tern__PartitionConf *out);
MUST_CHECK enum err conf_from_proto(const Tern__PartitionConf *proto, struct conf *out);

#endif
