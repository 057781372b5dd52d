/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the director: state of the one thread, and transactions that answer requests. */
#ifndef DIRECTOR_DIRECTOR_PRIV_H
#define DIRECTOR_DIRECTOR_PRIV_H

#include <stdatomic.h>

#include "director/director.h"
#include "director/events.h"
#include "director/heard.h"
#include "director/map.h"
#include "director/moves.h"
#include "director/publish.h"
#include "director/rows.h"
#include "director/tell.h"
#include "lib/base/metrics.h"
#include "lib/rpc/server.h"

enum { DIRECTOR_METHODS_MAX = 16 };

struct figures {
    struct metric_counter *requests[DIRECTOR_METHODS_MAX]; /* in the order of director.c */
    struct metric_counter *commits, *conflicts;
    struct metric_histogram *commit_seconds;
    struct metric_gauge *map_version, *nodes, *nodes_alive, *placed, *subscribers, *leads;
    struct metric_gauge *moves, *copies_missing, *not_active, *faults, *members, *members_well;
    uint64_t summed_ms; /* when those of the line before were set */
};

/* See drive.c. */
struct drive {
    struct moves_plan plan;
    size_t changes; /* under way */
    uint64_t next_ms, made_ms, made_version;
    uint64_t noted_version; /* the map's, when short_since was last written */
    uint64_t unquiet_ms;    /* when something was last amiss */
    uint64_t *short_since;  /* by partition: since when copies are missing, 0: none is */
};

/* See hearing.c. */
struct hearing {
    uint64_t number;   /* of this time of hearing, by this director; not 0 */
    uint64_t begun_ms; /* on the monotonic clock */
    uint64_t first_ms; /* the first hello since it began, on the monotonic clock; 0: none yet */
    bool store_is_old; /* maps of a higher version than the store's were told of since then */
};

struct director {
    struct director_options options;
    struct coordination *coordination;
    struct events events;
    pthread_t thread;
    struct rpc_server *server;
    atomic_bool draining; /* read on the network thread */

    /* the thread's own */
    struct map map;
    struct heard heard; /* of nodes, beside what map_node has */
    struct publish publish;
    struct change
        *waiting; /* decided by the store, the picture not yet there; in the order of their answers */
    struct change **waiting_tail;
    size_t changes_open;   /* submitted and not finished */
    size_t creating;       /* transactions of the first placement under way */
    bool told_placed;      /* why there is none is in the log */
    uint64_t seen_version; /* of a map, the highest that anybody told of */
    uint32_t told_node_id; /* the highest id of a node that nodes have told of */
    bool raising;          /* versions are being raised above it */
    uint64_t started_mono_ms;
    struct hearing hearing;
    struct drive drive; /* of the copies to where they should be (drive.c) */
    struct tell tell;   /* what is to be logged of partitions */

    struct figures figures;
};

/* ---- one director without threads (turn.c) */

/* Nothing is loaded. Takes options->coordination. */
struct director *director_new(const struct director_options *options);
/* The picture, from the store. Blocks as coordination_load does. */
MUST_CHECK enum err director_load(struct director *d);
/* Any thread: takes a request; it is answered in a turn. */
void director_request(struct director *d, struct rpc_request *request);
/* Only what has happened; the events' owner from now on. */
void director_run_events(struct director *d, struct event *list);
/* What has happened, and what there is to do by itself now. */
void director_turn(struct director *d, struct event *list);
/* No turn comes any more: closes the store, finishes what it still decides, and answers everything. */
void director_end(struct director *d);
/* After director_end; its server must be gone. */
void director_free(struct director **d);

/* ---- a transaction on the way, with what follows (change.c) */

struct change;
/* What follows: the picture includes what the store decided. Frees nothing; `request` (may be NULL) must be
 * answered here. */
typedef void change_finish(struct director *d, struct change *change, enum err result);

struct change {
    struct event event;
    struct coordination_txn txn;
    size_t parts_max;
    struct coordination_change *parts;
    struct buf *keys, *values; /* of the parts */
    struct director *director;
    change_finish *finish;
    struct rpc_request *request;
    uint64_t begun_mono_ns;
    enum err result;
    uint64_t revision;
    struct change *next_waiting;
    /* for the finisher */
    uint32_t number;
    enum err answer;
    struct conf_request asked;
    uint8_t id[MAP_ID_SIZE];
    struct buf name;
    bool old_store, hearing;
    uint64_t *told; /* highest epochs that nodes had told of, by partition */
    uint32_t told_count;
};

/* With room for parts_max changes, at most COORDINATION_CHANGES_MAX. */
struct change *change_new(struct director *d, struct rpc_request *request, size_t parts_max,
                          change_finish *finish);
void change_add_put(struct change *change, enum row_kind kind, uint32_t number, struct slice name,
                    uint64_t expected_mod, const ProtobufCMessage *value);
void change_add_delete(struct change *change, enum row_kind kind, uint32_t number, struct slice name,
                       uint64_t expected_mod);
/* Only if a node's row is as the picture shows it. */
void change_add_check(struct change *change, uint32_t node);
/* The partition that `next` is of goes on with it, if its row is as the picture shows it, and so are those of
 * the nodes that `next` takes in (conf_admits): who is about to be removed is not taken in (retire.c). Adds
 * at most change_conf_parts(next) changes. */
void change_add_conf(struct change *change, const struct conf *next);
size_t change_conf_parts(const struct conf *next);
/* Takes the change; `finish` is called in every case, perhaps at once (the store takes no more: ERR_BUSY). */
void change_submit(struct change *change);
/* Finish what waited for the picture to come this far. */
void changes_resume(struct director *d);
/* Finish all that still waits, as if the store had not answered: nothing will come any more. */
void changes_abandon(struct director *d);

/* ---- answers (answer.c) */

/* Answers and frees. `response` (may be NULL) is packed; `detail` (may be NULL) is for a person. */
void answer(struct director *d, struct rpc_request *request, enum err status, const char *detail,
            const ProtobufCMessage *response);
/* The request's message; NULL (and answered ERR_PROTOCOL) if it does not decode. Freed by the caller. */
ProtobufCMessage *answer_unpack(struct director *d, struct rpc_request *request,
                                const ProtobufCMessageDescriptor *descriptor);

/* ---- handlers: each takes the request */

void on_map(struct director *d, struct rpc_request *request); /* publish.c */
/* Somebody of this cluster has a map of that version. If the store never had so many revisions, it was put
 * back from an older copy: versions go on above it, or nobody would take a map of this director. One above
 * 2^56 is passed over (publish.c). */
void publish_see_version(struct director *d, uint64_t version);
void on_node_hello(struct director *d, struct rpc_request *request); /* nodes.c */
/* Logs once of each node that it is not here. */
void nodes_tell_silent(struct director *d, uint64_t now_mono_ms);
void on_conf_change(struct director *d, struct rpc_request *request); /* partitions.c */
void on_domain_add(struct director *d, struct rpc_request *request);  /* names.c */
void on_domain_delete(struct director *d, struct rpc_request *request);
void on_setting_put(struct director *d, struct rpc_request *request);
void on_node_drain(struct director *d, struct rpc_request *request); /* retire.c */
void on_node_remove(struct director *d, struct rpc_request *request);
void on_partition_recover(struct director *d, struct rpc_request *request); /* recover.c */

void on_cluster_status(struct director *d, struct rpc_request *request); /* status.c */

/* ---- what it sees (status.c) */

enum { PROBLEMS_MAX = 20 };

/* All partitions counted. */
struct summary {
    uint32_t active, not_active, unknown; /* unknown: not heard of since this director started */
    uint32_t unattended;                  /* of those not active: no member is alive */
    uint32_t few;                         /* fewer living members than wanted */
    uint32_t missing;                     /* copies that these lack together */
    uint32_t read_only;                   /* fewer members than min_members */
    uint32_t learners;
    uint64_t behind; /* most entries that a copy lacks, and which */
    uint32_t behind_partition, behind_node;
};
void status_sum(const struct director *d, uint64_t now_mono_ms, struct summary *out);
/* Gauges that look at all partitions, once a second. */
void status_gauges(struct director *d, uint64_t now_mono_ms);
/* This director has run for so long that every node that lives has said hello and what it has. */
bool status_is_settled(const struct director *d, uint64_t now_mono_ms);
/* What is wrong, for a person: a sentence or two each, with what to do; the worst first, at most
 * PROBLEMS_MAX. Returns how many; they are the caller's to free (problems.c). */
size_t problems_find(struct director *d, const struct summary *sum, uint64_t now_mono_ms,
                     char *out[static PROBLEMS_MAX]);

/* A duration in a sentence: "40 s", "3 min", "5 h". */
void problems_add_time(struct buf *out, uint64_t ms);

/* ---- the servers of the coordination store (members.c) */

void members_gauges(struct director *d);
/* Of one that fails: for how long, about. */
uint64_t members_unwell_ms(const struct coordination_member *member, uint64_t now_mono_ms);
/* Adds what is wrong with them, as a problem; false and nothing: all are well. */
bool members_problem(const struct director *d, uint64_t now_mono_ms, struct buf *out);

/* ---- what nodes know must be heard first (hearing.c) */

/* It knows nothing of what nodes have. */
void hearing_begin(struct director *d);
/* versions.c: which nodes can take what others have (R30). */
/* The highest state-machine version that any partition's entries have. */
uint32_t versions_highest(const struct director *d);
/* That a node speaks. */
uint32_t versions_machine(const Tern__NodeInfo *node);
/* Does it speak that of the partition? */
bool versions_may_hold(const struct director *d, const Tern__NodeInfo *node, uint32_t partition);
/* Is there a version of messages between storage nodes that both speak? */
bool versions_meet(const Tern__NodeInfo *a, const Tern__NodeInfo *b);
/* The range that a node speaks of them. */
void versions_peer(const Tern__NodeInfo *node, uint32_t *min_out, uint32_t *max_out);

/* A hello of `node`, whose heard_mono_ms is still that of the one before; `number`: it tells of all copies as
 * they were after the hearing of that number had asked (NodeHelloRequest), 0: it does not. */
void hearing_take(struct director *d, struct map_node *node, uint64_t number, uint64_t now_mono_ms);
/* No configuration may be changed yet, by nobody's wish: a node may still tell that the store is older than
 * the disks. Nodes are asked to tell of all their copies. */
bool hearing_lasts(const struct director *d, uint64_t now_mono_ms);
/* No node is given an id: nodes that were not heard yet may know of ids that the store has forgotten. Never
 * before the first placement, and at most as long as the hearing may last. */
bool hearing_holds_ids(const struct director *d, uint64_t now_mono_ms);

/* ---- nodes that an older store names and that will not come (give_up.c) */

/* While some partition is ahead of the store: may the node, which is silent, be given up? ERR_DENIED,
 * ERR_BUSY, with the reason in `why`. */
MUST_CHECK enum err give_up_judge(const struct director *d, uint32_t node, uint64_t now_mono_ms,
                                  struct buf *why);
/* Remove one that no configuration names any more. The leading director's. */
void give_up_finish(struct director *d);

/* ---- nodes that go for ever (retire.c) */

/* Take a mark away that a removal has left behind which came to nothing. The leading director's. */
void retire_unmark(struct director *d, uint64_t now_mono_ms);

/* ---- what the director does by itself */

/* The cluster's row, if there is none; ERR_INVALID if it does not fit the options (create.c). */
MUST_CHECK enum err create_cluster(struct director *d);
/* Give every partition its first configuration once enough nodes are there, unless one of them tells that it
 * had partitions before. Called every turn. */
void create_partitions(struct director *d, uint64_t now_mono_ms);
/* Drive the copies to where they should be. Called every turn (drive.c). */
void drive_copies(struct director *d, uint64_t now_mono_ms);
/* After so many milliseconds drive_copies has something to do, even if nothing happens; UINT64_MAX: no need.
 */
uint64_t drive_wait_ms(const struct director *d, uint64_t now_mono_ms);
/* Forgets the plan and the times; it may be driven on. */
void drive_fini(struct drive *drive);
/* What the leading director wishes of the primaries on `node` now, at most `max`; how many there are. */
size_t drive_wishes(const struct director *d, uint32_t node, Tern__Wish *out, size_t max);
/* Why partitions are not placed, in `out`; empty if they are. True: what it takes is nodes that start. */
bool create_problem(struct director *d, uint64_t now_mono_ms, struct buf *out);

#endif
