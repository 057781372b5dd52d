/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of one partition's driver; see partition.h for the story. */
#ifndef STORAGE_NODE_PARTITION_PARTITION_PRIV_H
#define STORAGE_NODE_PARTITION_PARTITION_PRIV_H

#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/entry_priv.h"
#include "storage-node/partition/lock_priv.h"
#include "storage-node/partition/partition.h"
#include "storage-node/partition/report/faults.h"
#include "storage-node/partition/watch_priv.h"

enum damage {
    DAMAGE_NONE,
    DAMAGE_SOME,  /* a row cannot be read, but all goes on without it */
    DAMAGE_STOPS, /* nothing goes on: p->stopped */
};

/* What members said of their state at the newest index that somebody spoke of. */
struct check_table {
    uint64_t index;
    uint32_t count;
    bool differs, complete; /* complete: all members have spoken */
    struct {
        struct replica_node node;
        struct replica_check sums;
    } list[REPLICA_NODES_MAX];
};

struct partition {
    uint32_t id;
    struct replica_node self;
    struct kv *kv;
    const struct partition_host *host;
    struct partition_public *pub;
    struct partition_stats *stats;
    const struct storage_faults *faults;
    struct faults *fault_list;
    uint64_t reported_epoch; /* of the newest FAULT_REPLICA; 0: none */

    /* What each beat looks at stands together, up to `check` (partition_warm). */
    struct replica *replica;
    struct replica_actions actions;
    uint64_t next_tick;
    uint64_t apply_wanted;            /* REPLICA_ACT_APPLY */
    uint64_t apply_to;                /* as much of it as is on this node's disk */
    struct partition_applied applied; /* in the state that readers see */
    bool stopped;                     /* a damaged row (P9) */
    bool dropped;                     /* the job that deletes this copy was submitted */
    bool too_new;                     /* its rows are for a later program: the replica was not started */
    enum damage damage;
    uint64_t heal_at_ns;                                /* with damage: when to look what can be done */
    uint64_t next_sweep_ns;                             /* CLOCK_BOOTTIME */
    uint64_t next_check_ns;                             /* likewise */
    struct partition_work *worked_first, **worked_tail; /* back, not looked at */
    struct check *check;                                /* of this copy, under way; NULL: none */

    struct partition_record record; /* as in the newest job that stored it */
    bool recorded;                  /* such a job was submitted, or the record was on disk at start */
    uint64_t applied_durable;       /* known to be on disk */
    uint64_t entry_time;            /* newest entry's, applied or not: the next one's is not below it */
    uint64_t applied_time;          /* newest applied entry's: what callers are told */
    uint64_t next_leave_ns;         /* not again before */
    uint64_t wipe_token;            /* of the job that deletes the copy, which ends the damage; 0: none */
    uint8_t min_members;

    uint8_t version_max;      /* the highest state-machine version this node speaks */
    uint8_t version;          /* as primary: of the newest entry of the log, and the next */
    uint8_t version_refused;  /* the highest that came from others and was not taken; 0: none */
    uint64_t next_version_ns; /* as active primary: when to look whether all speak more */

    struct check_table checks; /* what the primary heard */
    struct pace *check_pace;
    uint64_t check_interval_ms;
    uint64_t check_asked;                    /* index of the newest ENTRY_CHECK proposed here */
    uint64_t complete_from;                  /* above it no body can be missing that other copies have */
    bool applying_check;                     /* the transaction under way ends with one */
    struct partition_request *check_waiting; /* for the next flush */

    struct log_ring ring;
    struct partition_request *gathered_first, **gathered_tail;
    uint32_t gathered_count;
    struct partition_request *reads_first, **reads_tail; /* waiting for an entry to be proposed for them */
    uint32_t reads_count;           /* of these, and those that wait for their entry to be applied */
    struct replica_entry *proposal; /* PROPOSE_COUNT_MAX */
    enum err proposal_refused;      /* by the step under way */

    uint64_t written_token; /* newest token given back and not stepped yet */
    uint32_t jobs_out;      /* submitted and not back */
    uint32_t unlogged_out;  /* of these, unlogged ones */
    uint32_t behind_out;    /* of these, on their way behind unlogged ones */
    uint32_t works_out;     /* likewise, of work */

    struct snap_source *sources;      /* copies being sent, one a learner (snapshot.c) */
    struct partition_applied install; /* of the copy being received */
    bool install_unlogged;            /* some of its rows went past the log */
    bool installed;                   /* its last chunk was submitted: the time of the state is to be read */

    /* Cutting the log's front: when LOG_KEEP_* came behind `mark`, it is cut there and the mark moves to the
     * applied index. */
    uint64_t mark, mark_bytes;
    uint32_t keep_count, keep_bytes;
    uint32_t copy_chunk_bytes;

    uint64_t sweep_index; /* of a sweep not yet applied; 0: none */

    /* What the transaction under way makes of `applied` (apply.c). */
    struct partition_applied applying;
    uint64_t applying_time;

    struct watch_table watches;
    struct lock_table locks;
    struct buf key, value; /* scratch */
};

/* One event into the core and its actions out. */
MUST_CHECK enum err partition_step(struct partition *p, const struct replica_event *event,
                                   struct partition_now now);
/* perform.c: the actions of the last step, in their order. */
MUST_CHECK enum err partition_perform(struct partition *p, struct partition_now now);

/* requests.c */
/* Answer an entry's request, if one waits; its borrowed body goes with it. */
void partition_answer_entry(struct partition *p, struct log_entry *e, enum err status, struct buf *response);
/* Answer proposals above `after`: now, or as soon as the log writer lets go of their bytes. */
void partition_fail(struct partition *p, uint64_t after, enum err err);
/* Everything waiting is answered: nothing will be proposed or applied. */
void partition_fail_all(struct partition *p);
/* May memory-only requests be served now: primary, active, lease good at the turn's time? (Their answers are
 * hints and courtesies: a watch is renewed, a lock excludes sessions only. Reads of mail check the clock
 * itself.) */
bool partition_serves_reads(const struct partition *p, struct partition_now now);

/* propose.c */
MUST_CHECK enum err partition_propose(struct partition *p, struct partition_now now);
/* An entry the primary makes by itself (sweep, barrier), not yet in the ring. */
struct log_entry *partition_make_internal(struct partition *p, uint32_t method, struct partition_now now);

/* Propose an entry of the primary's own, without a request. */
MUST_CHECK enum err partition_propose_internal(struct partition *p, uint32_t method,
                                               struct partition_now now);
/* Propose an entry without effect for the reads that wait; those that came later need another one. */
MUST_CHECK enum err partition_propose_reads(struct partition *p, struct partition_now now);
/* Propose ENTRY_VERSION; if it is taken, entries have that version from it on. */
MUST_CHECK enum err partition_propose_version(struct partition *p, uint8_t version, struct partition_now now);

/* version.c: which state-machine version entries name (R30). */
/* Can this node apply what is of this version? If not, people are told, once. */
bool partition_version_take(struct partition *p, uint8_t version);
/* What is on disk is of a version above version_max (0: nobody here can say of which): nothing is started. */
void partition_version_refuse(struct partition *p, uint8_t version);
/* The version of the log at its entry `last`, its newest, 0 if it is empty. ERR_IO, ERR_CORRUPT. */
MUST_CHECK enum err partition_version_at(struct partition *p, uint64_t last, uint8_t *version_out);
/* A term begins behind the entry `last`: entries have its version from now on. */
void partition_version_begin(struct partition *p, uint64_t last, struct partition_now now);
/* Raise the version if all members and learners speak more. */
MUST_CHECK enum err partition_version_tick(struct partition *p, struct partition_now now);
/* CLOCK_BOOTTIME ns at which that is to be looked at. */
uint64_t partition_version_next(const struct partition *p);

/* open.c: reads the rows and steps EV_START. ERR_CORRUPT, ERR_IO; ERR_UNSUPPORTED: they are of a version that
 * this node does not speak. */
MUST_CHECK enum err partition_load(struct partition *p, uint64_t nonce, struct partition_now now);
/* After ERR_CORRUPT: a replica that only leaves (R28). */
MUST_CHECK enum err partition_load_damaged(struct partition *p, uint64_t nonce, struct partition_now now);

/* snapshot_source.c, snapshot.c: copies of the state (R24). */
/* Send chunk a->snap_send.seq, as soon as it was read. */
void partition_snap_send(struct partition *p, const struct replica_action *a);
void partition_snap_end(struct partition *p, struct replica_node to);
void partition_snap_end_all(struct partition *p);
/* Bytes of the copy under way to a learner that it has taken; 0: none is under way. */
uint64_t partition_snap_sent(const struct partition *p, struct replica_node to);
/* Where the rows of KV_STATE or KV_BODY begin and end that belong to the state at `index`. Bodies above it
 * belong to entries that are not applied. */
void partition_family_range(uint32_t partition, enum kv_family family, uint64_t index, struct buf *lower,
                            struct buf *upper);
/* Are a chunk's rows such as this partition may have? */
bool partition_snap_check(struct partition *p, const struct replica_msg *msg);
void partition_snap_write(struct partition *p, const struct replica_action *a);

/* For actions: delete everything of the partition in the job's batch, the ring included. */
void partition_delete_all(struct partition *p, struct log_job *job);
void partition_put_record(struct partition *p, struct log_job *job);
void partition_submit(struct partition *p, struct log_job *job);

/* check.c */
/* The state that readers see is of an ENTRY_CHECK: read it all, bit by bit. */
void partition_check_begin(struct partition *p);
void partition_check_end(struct partition *p);
/* CLOCK_BOOTTIME ns at which the check under way is to go on. */
uint64_t partition_check_next(const struct partition *p);
uint64_t partition_check_first(uint32_t partition, uint64_t interval_ms, uint64_t now_ns);
/* What another member, or this one, found. */
void partition_check_take(struct partition *p, const struct replica_msg *msg);
/* Go on with the check under way; propose another one if it is time. */
MUST_CHECK enum err partition_check_tick(struct partition *p, struct partition_now now);
/* METHOD_CHECK, served with the next flush. */
void partition_check_request(struct partition *p, struct partition_request *request);
MUST_CHECK enum err partition_check_flush(struct partition *p, struct partition_now now);

/* damage.c */
/* A row that nothing can go on without cannot be read: stop serving, leave. */
void partition_stop(struct partition *p, const char *why);
/* A row cannot be read; leave when others can do without this copy. */
void partition_damaged(struct partition *p, const char *why);
/* Do what can be done against the damage now. */
MUST_CHECK enum err partition_heal(struct partition *p, struct partition_now now);
/* The damaged copy was deleted. */
void partition_healed(struct partition *p);

void partition_give_work(struct partition *p, struct partition_work *work);
/* Publish role, epoch and primary for the other threads. */
void partition_publish(struct partition *p);

/* watch.c, lock.c: METHOD_MEMORY */
void partition_watch(struct partition *p, struct partition_now now, struct partition_request *request);
void partition_lock(struct partition *p, struct partition_now now, struct partition_request *request);
void partition_notify_changes(struct partition *p, const struct machine_change *changes, size_t count);

#endif
