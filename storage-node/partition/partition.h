/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of one partition: the place where replication (replica_step), storage (kv) and mail (machine)
 * meet. No threads, no clocks and no sockets in here: time comes in as a value, and what leaves goes through
 * `struct partition_host`. The server runs it on worker threads (worker.h), the simulator in one thread with
 * virtual time.
 *
 * The life of a write
 * -------------------
 *   partition_push     the request waits in `gathered`
 *   partition_flush    deadline and machine_check; time = max(newest entry's, clock); entry_encode;
 *                      EV_PROPOSE. The core answers ACT_WRITE: the entry gets its index and stands in
 *                      the ring, one log_job {log row, body, record} goes to host.submit
 *   host               log_commit: all partitions' jobs in one batch, one fsync; the job comes back
 *   partition_written  remembers the token
 *   partition_flush    EV_DURABLE; the core says how far to apply
 *   partition_apply    machine_apply of every committed entry into one kv_txn, the applied index in
 *                      the same; kv_txn_commit (no fsync: the log has it); then answers, notices,
 *                      EV_APPLIED
 *
 * If the process dies before log_commit returned, nobody was answered: the caller repeats under the same
 * request id (R15). If it dies between log_commit and the apply, the entry is applied from the log once the
 * new term's barrier commits. If it dies after the apply, the state and the applied index are both there or
 * both not (one batch).
 *
 * Errors returned here are those after which the process must end: ERR_IO, ERR_NO_SPACE, ERR_INTERNAL (the
 * replica core found a broken rule). A state machine that finds a damaged row (ERR_CORRUPT) stops this
 * partition only: it serves nothing, says so (P9), and leaves if there are other members (R28). */
#ifndef STORAGE_NODE_PARTITION_PARTITION_H
#define STORAGE_NODE_PARTITION_PARTITION_H

#include <stdatomic.h>

#include "lib/base/err.h"
#include "storage-node/kv/kv.h"
#include "storage-node/partition/bulk/pace.h"
#include "storage-node/partition/bulk/work.h"
#include "storage-node/partition/log/log_job.h"
#include "storage-node/partition/request.h"
#include "storage-node/replica/replica.h"

enum {
    PROPOSE_COUNT_MAX = 256,             /* entries of one EV_PROPOSE */
    PROPOSE_BYTES_MAX = 4 * 1024 * 1024, /* bytes of one EV_PROPOSE, more only if one entry is larger */
    GATHERED_MAX = 4096,    /* writes waiting to be proposed, reads for a commit; beyond: ERR_BUSY */
    APPLY_ROUND_MAX = 1024, /* entries applied in one transaction */
    APPLY_TURN_MS = 20,     /* of a worker's turn for applying, and the entry that is under way then */
    LOG_KEEP_COUNT = 1024,  /* entries kept behind the applied index for members that come back ... */
    LOG_KEEP_BYTES = 2 * 1024 * 1024, /* ... or bytes; between one and two times as much is kept */
    COPY_CHUNK_BYTES = 256 * 1024,    /* a chunk of a copy of the state ends with the row that reaches this */
    COPY_FIRST_BYTES = 64 * 1024,     /* the first one with the row that reaches this */
    SWEEP_INTERVAL_MS = 60 * 1000,
    RECORD_COMMIT_LAG =
        256, /* entries by which the commit index on disk may lag while nothing else of the record changes */
};

struct partition;
struct faults;        /* faults.h */
struct board_figures; /* board.h */
struct board_copy;

/* The moment of a call. */
struct partition_now {
    uint64_t boot_ns; /* CLOCK_BOOTTIME: leases and ticks */
    uint64_t mono_ms; /* deadlines */
    uint64_t real_ms; /* entries */
};

/* What readers and the network thread see of a partition; everything else is its worker's. Lives as long as
 * the process. */
struct partition_public {
    _Atomic uint64_t read_until; /* CLOCK_BOOTTIME ns; 0: reads are not served here (R14) */
    _Atomic uint64_t time_ms;    /* newest applied entry's time */
    _Atomic uint64_t applied;
    _Atomic uint64_t epoch;
    _Atomic uint32_t primary; /* node id of the primary last heard of, 0 unknown */
    _Atomic uint32_t role;    /* enum replica_role */
    _Atomic bool active;      /* primary that may commit */
    _Atomic uint64_t wiped;   /* how often the copy was deleted: a read that spans one saw nothing (R14) */
    _Atomic bool stopped;     /* a damaged row was found: nothing is served */
    _Atomic bool damaged;     /* set by a reader that found a damaged row; the worker takes it */
};

/* The seam to the director: performs a REPLICA_ACT_ASK; whatever comes back is handed to partition_conf with
 * the ask's id. */
struct partition_ask {
    uint32_t partition;
    enum replica_ask_type type;
    uint64_t id, epoch;
    uint32_t node; /* whom it is about */
};

/* A beat between two nodes, or its answer: the partitions whose promise it renews or grants (R16). */
struct beat_part {
    uint32_t partition;
    uint64_t epoch, commit; /* no commit in an answer */
};
struct beats {
    struct replica_node peer; /* to or from whom */
    bool answer;
    uint64_t boot, number; /* of the beat, echoed by its answer; filled in by the transport for a beat */
    uint64_t sent_at;      /* an answer that came in: when its beat left, CLOCK_BOOTTIME ns (R17) */
    const struct beat_part *parts;
    size_t count;
};

/* The seam to other members: sends a message of the core. An Append's entries are read with partition_entry
 * during the call; a chunk's handle points to the struct slice of its rows, valid during the call. Messages
 * may be lost. One thread's: each worker has its own. */
struct peer_transport {
    void *arg;
    void (*send)(void *arg, struct partition *p, const struct replica_msg *msg);
    void (*beats)(void *arg, const struct beats *beats); /* what a worker has to say; borrowed */
    /* By the worker, at the end of its turn: what was sent and waited for more to come leaves now. */
    void (*flush)(void *arg);
    /* The highest state-machine version that a node has said it speaks; 0: it has not been heard. NULL:
     * nobody has. */
    uint8_t (*speaks)(void *arg, struct replica_node node);
};
/* A node without peers: messages go nowhere (the core repeats them). */
extern const struct peer_transport peer_transport_none;

/* Everything that leaves. All calls come from inside partition_* functions, on their thread. */
struct partition_host {
    void *arg;
    void (*submit)(void *arg, struct log_job *job); /* order is kept; comes back through partition_written */
    void (*notify)(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                   struct slice packed);
    void (*ask)(void *arg, const struct partition_ask *ask);
    const struct peer_transport *peers;
    /* Run it on another thread; comes back through partition_worked. NULL: it is run at once. */
    void (*work)(void *arg, struct partition_work *work);
    /* Serve a read (METHOD_READ) for which an entry was committed after it came. Takes the request. NULL:
     * such reads are refused. */
    void (*read)(void *arg, struct partition_request *request);
};

/* Figures of all partitions of one worker; read by others with relaxed atomics. */
struct partition_stats {
    _Atomic uint64_t proposed, applied, rejected, expired, notices;
    _Atomic uint64_t damaged; /* copies of which a row could not be read */
    _Atomic uint64_t checks;  /* of all members of a partition, as its primary */
    _Atomic uint64_t check_differences;
};

struct partition_options {
    uint32_t id;
    struct replica_node self;
    uint8_t min_members;
    struct kv *kv;
    const struct partition_host *host;
    struct partition_public *pub;
    struct partition_stats *stats;
    uint64_t nonce;                      /* random */
    uint32_t log_keep_count;             /* 0: LOG_KEEP_COUNT */
    uint32_t log_keep_bytes;             /* 0: LOG_KEEP_BYTES */
    uint32_t copy_chunk_bytes;           /* 0: COPY_CHUNK_BYTES */
    uint32_t append_count_max;           /* entries of one Append; 0: REPLICA_APPEND_COUNT_MAX */
    uint64_t check_interval_ms;          /* between checks of the copies; 0: only when asked */
    struct pace *check_pace;             /* of reading for checks; NULL: no bound */
    uint8_t machine_version_max;         /* the highest state-machine version to speak; 0: MACHINE_VERSION */
    const struct storage_faults *faults; /* NULL */
    struct faults *fault_list;           /* where it tells what is wrong with it; NULL: nowhere */
};

/* Reads the partition's rows and starts its replica. `options->host`, `pub` and `stats` are borrowed for the
 * partition's life. Damaged rows stop it at once: *out exists and answers, but serves nothing. The same if
 * some of what is here is of a higher version than this node speaks (R30); then its replica takes no part in
 * anything, and its rows stay as they are. */
MUST_CHECK enum err partition_open(const struct partition_options *options, struct partition_now now,
                                   struct partition **out);
/* Requests still waiting are answered ERR_UNAVAILABLE or, if proposed, ERR_IN_DOUBT. All jobs are back
 * before. */
void partition_close(struct partition **p);

uint32_t partition_id(const struct partition *p);

/* Takes the request; kinds METHOD_WRITE and METHOD_MEMORY. And METHOD_READ, where leases are not trusted
 * (`linearizable_reads`): an entry without effect is proposed for all that wait, and once it is applied they
 * go to host->read, whose view of the state is then newer than their arrival whatever the clocks did. */
void partition_push(struct partition *p, struct partition_now now, struct partition_request *request);
/* A configuration: of the map (ask_id 0) or an answer. */
MUST_CHECK enum err partition_conf(struct partition *p, struct partition_now now,
                                   const struct replica_conf *conf, uint64_t ask_id);
/* A message of another member; entries' handles are struct log_entry made with log_entry_new (taken over), a
 * chunk's points to the struct buf of its rows, which may be taken. */
MUST_CHECK enum err partition_message(struct partition *p, struct partition_now now,
                                      const struct replica_msg *msg);
/* Have the processor fetch what a beat will look at, in two steps that each want a little time: what the
 * driver has, then what its replica has. For who goes through many partitions; changes nothing. */
void partition_warm(const struct partition *p);
void partition_warm_replica(const struct partition *p);
/* Does the next beat to `to` list this partition, and how? */
bool partition_beat(const struct partition *p, struct replica_node to, struct beat_part *out);
/* The configuration last known; epoch 0 if none. Borrowed until the next call. */
const struct replica_conf *partition_known_conf(const struct partition *p);
/* The cluster's min_members has changed. */
void partition_set_min_members(struct partition *p, uint8_t min_members);
/* The member to hand the seat to, if this is the active primary and there is one; other partitions prefer
 * others. */
bool partition_heir(const struct partition *p, struct replica_node *out);
/* Is this the active primary, with nobody to hand the seat to yet, but learners that may soon be members? */
bool partition_expects_heir(const struct partition *p);
/* Has the seat been handed to another whose term has not begun, as far as this copy, a member, knows? Until
 * then a change of members would cost the heir its right to begin at once (R12). */
bool partition_awaits_heir(const struct partition *p);
/* Hand the primary's seat to `heir`: ERR_CONFLICT and the like in *refused_out, OK if it is under way (R22).
 */
MUST_CHECK enum err partition_handover(struct partition *p, struct partition_now now,
                                       struct replica_node heir, enum err *refused_out);
/* This copy is not wanted any more: delete it, unless the configuration names it. */
MUST_CHECK enum err partition_drop(struct partition *p, struct partition_now now);
/* It has begun: what comes now is for the copy that is opened after this one is gone. */
bool partition_is_dropped(const struct partition *p);
/* Everything of a dropped copy is deleted and nothing of it is under way: it may be closed. */
bool partition_is_gone(const struct partition *p);
/* A submitted job is on disk. Frees it. */
void partition_written(struct partition *p, struct log_job *job);
/* Work has been run. */
void partition_worked(struct partition *p, struct partition_work *work);
/* Step the core with what came in since the last call. Cheap if nothing did. */
MUST_CHECK enum err partition_flush(struct partition *p, struct partition_now now);
/* EV_TICK if it is time, sweeps, expiry of watches and locks. */
MUST_CHECK enum err partition_tick(struct partition *p, struct partition_now now);
/* CLOCK_BOOTTIME ns by which partition_tick is wanted. */
uint64_t partition_next_tick(const struct partition *p);

/* Are committed entries waiting to be applied? */
bool partition_has_committed(const struct partition *p);

/* Applies for many partitions in one transaction. Zero-initialised is ready but for kv; one thread's. */
struct apply_round;
struct apply_round *apply_round_new(struct kv *kv);
void apply_round_free(struct apply_round **round);
/* Give a round a clock (monotonic ns): partition_apply then stops when it has worked for APPLY_TURN_MS, so
 * that large entries do not keep beats and requests waiting. Without one it never stops early. */
void apply_round_set_clock(struct apply_round *round, uint64_t (*clock_ns)(void));
/* Apply what is committed of the partitions listed, commit, answer, step EV_APPLIED. What is left when the
 * time is up (partition_has_committed) is for the next call, which begins with another partition. */
MUST_CHECK enum err partition_apply(struct apply_round *round, struct partition *const *list, size_t count,
                                    struct partition_now now);

/* Entry `index` of the log, from memory or disk: its row's entry bytes, epoch, and body. For the transport.
 * ERR_NOT_FOUND if it was cut. */
MUST_CHECK enum err partition_entry(struct partition *p, uint64_t index, uint64_t *epoch_out,
                                    struct buf *entry_out, struct buf *body_out);

/* It said ERR_CORRUPT: this copy cannot send what it has. */
void partition_entry_damaged(struct partition *p);

/* An entry as it comes from a peer; the bytes are copied. The size counts as struct replica_entry wants it.
 */
uint32_t log_entry_size(const struct log_entry *e);
void log_entry_unref(struct log_entry *e);
struct log_entry *log_entry_new(struct slice entry, struct slice body);

/* The replica inside, for figures and status. */
void partition_info(const struct partition *p, struct replica_info *out);
/* What its primary tells the directors; false: this node is not it. */
bool partition_figures(const struct partition *p, struct board_figures *out);
/* What is here of it; false: nothing. */
bool partition_copy(const struct partition *p, struct board_copy *out);
/* The highest epoch that it knows of, also if nothing else is here of it (R27). */
uint64_t partition_known(const struct partition *p);
uint64_t partition_chain(const struct partition *p); /* hash chain over the applied entries */

#endif
