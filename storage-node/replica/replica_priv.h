/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a replica, for this folder only. Functions are named after their file. */
#ifndef STORAGE_NODE_REPLICA_REPLICA_PRIV_H
#define STORAGE_NODE_REPLICA_REPLICA_PRIV_H

#include "storage-node/replica/faults.h"
#include "storage-node/replica/replica.h"

/* ---- log.c: what is known of the log without its bytes --------------------------------------------- */

/* Epochs of the whole log as runs; sizes only of its end ("hot" entries), as running sums modulo 2^32. */
struct rep_log {
    uint64_t base, base_epoch, last;
    struct replica_run *runs;
    uint32_t run_count, run_cap;
    uint32_t *ends; /* ends[i & (ends_cap - 1)]: the sum of sizes up to and with entry i */
    uint32_t ends_cap;
    uint32_t hot_start; /* the sum before entry `hot` */
    uint64_t hot;       /* first entry with a known size; last + 1 if none */
};

#define REP_LOG_HOT_MAX 8192u

void rep_log_fini(struct rep_log *log);
void rep_log_reset(struct rep_log *log, uint64_t base, uint64_t base_epoch);
/* False if the runs do not ascend or do not cover base + 1 .. last. */
bool rep_log_load(struct rep_log *log, uint64_t last, const struct replica_run *runs, uint32_t run_count);
void rep_log_append(struct rep_log *log, uint64_t epoch, uint32_t size);
void rep_log_cut(struct rep_log *log, uint64_t from);   /* entries >= from go; base < from <= last */
void rep_log_trim(struct rep_log *log, uint64_t index); /* entries <= index go; base < index <= last */
uint64_t rep_log_epoch(const struct rep_log *log, uint64_t index); /* 0 outside base..last */
/* Bytes of entries first..last, of which those that are not hot count as nothing. */
uint32_t rep_log_bytes(const struct rep_log *log, uint64_t first, uint64_t last);

/* ---- the replica ------------------------------------------------------------------------------------- */

enum rep_peer_kind { REP_PEER_MEMBER, REP_PEER_JOINER, REP_PEER_LEARNER };

enum rep_peer_mode {
    REP_PEER_PROBE,    /* one Append at a time, until an Ack says where the logs join */
    REP_PEER_STREAM,   /* Appends go out as entries come in */
    REP_PEER_SNAPSHOT, /* chunks of the state go out, one at a time */
};

/* What a primary knows of another member or learner. */
struct rep_peer {
    struct replica_node node;
    enum rep_peer_kind kind;
    enum rep_peer_mode mode;
    bool waiting; /* PROBE: an Append is out */
    bool nudged;  /* STREAM: it was asked what has arrived */
    bool leased;
    uint64_t ack;   /* its newest Ack in ep (R13) */
    uint64_t next;  /* the first entry not sent to it */
    uint64_t lease; /* when the newest answered beat was sent (R17) */
    uint64_t since; /* when it became what it is: silence and stalls count from here */
    uint64_t moved; /* when its Acks last moved, or nothing was outstanding */
    uint64_t retry_at, retry_ns;
    uint64_t timed, timed_at;      /* the entry whose Ack is timed, 0 none, and when it was sent */
    uint64_t trip_ns;              /* how long Acks have taken lately */
    uint64_t lag_last, lag_at;     /* it has not acknowledged all that the log had at this moment */
    uint64_t round_last, round_at; /* a learner's lag in time: when the log's end was at round_last */
    bool near;                     /* R21: it has nearly caught up */
    bool slow;                     /* a member whose eviction was asked for though it answers beats */
    uint64_t snap_nonce, snap_seq, snap_keep; /* snap_keep: the log above it is kept (R25) */
};

/* A member, or joiner, that was let go because it was slow (slow.c). */
struct rep_slow {
    struct replica_node node;
    uint32_t times; /* in short succession */
    uint64_t at;    /* the last of these */
};

enum rep_write_kind { REP_WRITE_LOG, REP_WRITE_CHUNK, REP_WRITE_LAST_CHUNK, REP_WRITE_WIPE };

/* A batch that is not yet known to be on disk. */
struct rep_write {
    uint64_t token;
    uint64_t last; /* the log's last index once it is */
    uint64_t dep;
    enum rep_write_kind kind;
};

#define REP_WRITES_MAX 16384u /* Appends beyond it are dropped, as if lost; more than proposals can make */

enum rep_handing { REP_HAND_NO, REP_HAND_DRAIN, REP_HAND_ASKED };

struct replica {
    struct replica_cfg cfg;

    /* What each beat looks at stands together, up to `conf`: hundreds of partitions at rest are looked at
     * five times a second, and none is in the processor's cache then (replica_warm). */

    /* durable (what this node has asked the disk to hold; `durable` and `dep_durable` say what it holds) */
    bool record, record_durable;
    uint64_t dep, dep_durable;
    uint64_t durable; /* log index up to which all is on disk */
    uint64_t commit;  /* R8, R13 */
    uint64_t applied; /* reported by the driver */
    uint64_t apply_sent;
    struct rep_log log;

    /* volatile, everybody */
    uint64_t ep, floor;  /* R1, R4 */
    uint64_t adopted_at; /* when ep was learned */
    uint64_t seen;       /* highest epoch heard of without being learned: a reason to ask (R1) */
    uint64_t granted_at; /* the newest promise to anybody; R12 wants the newest of all (R16) */
    bool halted;         /* R27: serve nothing */
    bool doubted;        /* R27: an answer was older than dep, and may be older than what is known by now */
    bool stopped;        /* ACT_STOP was said */
    bool dropped;        /* EV_DROP is being done */
    bool wiping;
    bool leaving;       /* R28: this copy is damaged */
    bool leaving_blind; /* dep could not be read: only a fresh answer says what this copy is counted for */
    uint32_t reported;  /* bit per replica_reason */

    /* volatile, member and learner */
    uint64_t heard_at; /* last beat or Append of the primary (R19) */
    uint64_t match;    /* R7 */
    uint64_t ack_sent;
    bool ack_due;

    /* volatile, primary */
    bool started, active;
    enum rep_handing handing;
    uint64_t term;    /* the epoch in which this unbroken term began */
    uint64_t barrier; /* index of the barrier entry (R10) */
    struct rep_peer *peers;
    uint32_t peer_count;
    uint64_t lease_until; /* as published */

    enum replica_role told_role;
    bool told_active, told_accepting;

    /* of the step */
    uint64_t now;
    uint64_t tick;
    struct replica_actions *out;

    struct replica_conf conf;

    /* durable */
    struct rep_write *writes; /* ring */
    uint32_t write_head, write_count, write_cap;
    uint64_t token;

    /* volatile, member and learner */
    struct replica_node leader; /* who sends in ep */
    uint64_t nonce;             /* R24 */
    bool nonce_told;
    struct {
        bool active, last;
        uint64_t epoch, term, nonce, index, index_epoch, next_seq, at;
        struct replica_node from;
    } inst;                         /* the snapshot being received */
    uint64_t done_term, done_nonce; /* the snapshot received last */

    /* volatile, primary */
    struct replica_node heir;
    uint64_t handing_at;
    uint64_t few_at; /* when too few members kept up last; 0 never */
    struct rep_slow *slow;
    uint32_t slow_count;

    struct {
        enum replica_ask_type type;
        struct replica_node node;
        uint64_t epoch, id, at, dep;
        bool made, answered;
    } ask; /* the newest request to the director */
};

static inline bool rep_is_self(const struct replica *r, struct replica_node node)
{
    return replica_node_eq(r->cfg.self, node);
}

#define REP_FAULT(r, rule) ((r)->cfg.faults != NULL && (r)->cfg.faults->rule)

/* EV_TICK is wanted at `at` at the latest. */
static inline void rep_tick_at(struct replica *r, uint64_t at)
{
    if (at < r->tick)
        r->tick = at;
}

/* May this node ack, grant and ask? Not as a member without a record (R26), and not before it can tell. */
bool rep_owned(const struct replica *r);
bool rep_accepting(const struct replica *r);

/* ---- actions.c --------------------------------------------------------------------------------------- */

struct replica_action *rep_act(struct replica *r, enum replica_action_type type);
/* A message to `to` in the own epoch; the caller fills in the rest. */
struct replica_msg *rep_act_send(struct replica *r, enum replica_msg_type type, struct replica_node to);
void rep_act_report(struct replica *r, enum replica_reason reason); /* once a reason */
void rep_act_stop(struct replica *r, enum replica_reason reason);

/* ---- writes.c: what is on its way to the disk -------------------------------------------------------- */

/* ACT_WRITE with dep := max(own, `dep`) in the same batch (R3); the caller fills in the entries, which are
 * already in r->log. cut_from 0: no cut. */
struct replica_action *rep_write_log(struct replica *r, uint64_t cut_from, uint64_t dep);
void rep_write_push(struct replica *r, enum rep_write_kind kind, uint64_t token);
/* The log now ends at `last`: nothing that was on its way counts beyond it. */
void rep_write_clamp(struct replica *r, uint64_t last);
void rep_write_durable(struct replica *r, uint64_t token);
/* R3: may this node send or ack in ep? */
bool rep_write_dep_ok(const struct replica *r);

/* ---- conf.c ------------------------------------------------------------------------------------------ */

void rep_conf_start(struct replica *r, const struct replica_event *event);
void rep_conf_learn(struct replica *r, const struct replica_conf *conf, uint64_t ask_id);
/* A higher epoch, learned from a configuration or an Append (R1). */
void rep_conf_adopt(struct replica *r, uint64_t epoch);
bool rep_conf_known(const struct replica *r);
bool rep_conf_is_member(const struct replica_conf *conf, struct replica_node node);
bool rep_conf_is_learner(const struct replica_conf *conf, struct replica_node node);
/* Start the term if conf(ep) says so and nothing is in the way (R4, R10). */
void rep_conf_consider(struct replica *r);

/* ---- primary.c --------------------------------------------------------------------------------------- */

void rep_primary_start(struct replica *r);
void rep_primary_continue(struct replica *r, const struct replica_conf *conf);
void rep_primary_drop(struct replica *r);
void rep_primary_propose(struct replica *r, struct replica_entry *entries, uint32_t count);
void rep_primary_handover(struct replica *r, struct replica_node heir);
void rep_primary_settle(struct replica *r);

/* ---- peers.c ----------------------------------------------------------------------------------------- */

struct rep_peer *rep_peer_find(const struct replica *r, struct replica_node node);
struct rep_peer *rep_peer_joiner(const struct replica *r);
/* Is it in the ack set and in the lease set (R11)? */
bool rep_peer_counts(const struct replica *r, const struct rep_peer *peer);
/* Make the table that conf(ep) asks for; what is known of peers that stay is kept. */
void rep_peer_table(struct replica *r);
void rep_peer_clear(struct replica *r);
/* For how long it has not acknowledged what the log had then; 0 if it does keep up. */
uint64_t rep_peer_lag_ns(struct replica *r, struct rep_peer *peer);
/* Judge anew whether a learner has nearly caught up. */
void rep_peer_near(struct replica *r, struct rep_peer *peer);
void rep_peer_rewind(struct replica *r, struct rep_peer *peer, uint64_t next);
void rep_peer_pump(struct replica *r);
void rep_peer_on_ack(struct replica *r, const struct replica_msg *msg);
void rep_peer_on_refuse(struct replica *r, const struct replica_msg *msg);
void rep_peer_trim(struct replica *r, uint64_t index);

/* ---- member.c ---------------------------------------------------------------------------------------- */

void rep_member_on_append(struct replica *r, const struct replica_msg *msg);
void rep_member_refuse(struct replica *r, struct replica_node to, uint64_t prev);
void rep_member_ack(struct replica *r);
/* R8: what the primary says is committed, as far as it was verified in this epoch. */
void rep_member_commit_to(struct replica *r, uint64_t received);

/* ---- lease.c ----------------------------------------------------------------------------------------- */

void rep_lease_on_beat(struct replica *r, const struct replica_msg *msg);
void rep_lease_on_beat_ack(struct replica *r, const struct replica_msg *msg);
void rep_lease_settle(struct replica *r);
/* Has every promise that this node gave to others run out, or need none be waited for (R12b)? */
bool rep_lease_free(struct replica *r);
bool rep_lease_silent(const struct replica *r, const struct rep_peer *peer);
uint64_t rep_lease_deadline(const struct replica *r, const struct rep_peer *peer);

/* ---- snapshot.c -------------------------------------------------------------------------------------- */

void rep_snap_send_begin(struct replica *r, struct rep_peer *peer, uint64_t nonce);
void rep_snap_send_again(struct replica *r, struct rep_peer *peer);
void rep_snap_send_end(struct replica *r, struct rep_peer *peer);
void rep_snap_on_chunk_ack(struct replica *r, const struct replica_msg *msg);
void rep_snap_on_chunk(struct replica *r, const struct replica_msg *msg);
void rep_snap_written(struct replica *r, enum rep_write_kind kind);
void rep_snap_abort(struct replica *r);
void rep_snap_settle(struct replica *r);
void rep_snap_wipe(struct replica *r, bool keep_record);
void rep_snap_wiped(struct replica *r);
/* R29: a copy from before a recovery that did not go on from it: wipe it. True if it is being wiped. */
bool rep_snap_void(struct replica *r, uint64_t recovered);

/* ---- leave.c: a damaged copy (R28) --------------------------------------------------------------------- */

void rep_leave(struct replica *r);
/* The process starts with a copy that cannot be read. */
void rep_leave_start(struct replica *r, uint64_t dep);
/* Wipe the copy as soon as nobody counts on it. */
void rep_leave_settle(struct replica *r);

/* ---- slow.c: who was let go because it was slow -------------------------------------------------------- */

void rep_slow_note(struct replica *r, struct replica_node node);
/* Must the learner wait, for it was let go again and again? */
bool rep_slow_waits(struct replica *r, struct replica_node node);
void rep_slow_fini(struct replica *r);

/* ---- ask.c ------------------------------------------------------------------------------------------- */

void rep_ask_settle(struct replica *r);

#endif
