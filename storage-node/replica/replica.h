/* SPDX-License-Identifier: Apache-2.0 */
/* The replication of one partition as a pure function: replica_step(replica, event) -> actions.
 *
 * No clock, no I/O, no threads, no randomness: time, nonces and answers come in as fields of events. The
 * rules R1..R27 and the counterexample behind each stand in docs/replication.md; the code names them. One
 * thread owns a replica (R16: the same owner answers beats and moves epochs). The core knows nothing of mail
 * or of RocksDB, and never sees the bytes of an entry: an entry is (index, epoch, size) and a handle that
 * belongs to the driver.
 *
 * The story, as the driver lives it
 * ---------------------------------
 * Start. The driver reads the partition's durable record and steps EV_START, then EV_CONF with the
 * configuration of the map. Everything EV_START tells must be ON DISK, not only in the page cache (the store
 * syncs what it recovered before it is read). The creation of a partition is the same with record = false.
 *
 * A write. EV_PROPOSE carries entries. The core either answers ACT_REJECT (nothing happened: NOT_PRIMARY,
 * UNAVAILABLE, BUSY) or gives them the next indexes with ACT_WRITE and, at the same moment, ACT_SEND(Append)
 * to every peer. When the write's token is on disk the driver steps EV_DURABLE; when a peer's Ack arrives,
 * EV_MSG. Once all of the ack set has it: ACT_APPLY. The driver applies the entries in order, and as it
 * applies an index it answers the proposal that it holds for that index, if any; then it steps EV_APPLIED.
 * A sole member: EV_PROPOSE -> ACT_WRITE -> EV_DURABLE -> ACT_APPLY, no message and no lease wait.
 *
 * A loss of the primary's seat. ACT_LEASE(0) first (reads end), then ACT_FAIL(IN_DOUBT): every proposal above
 * `after` is answered IN_DOUBT now; its entry may yet be applied or be cut. The same happens when the members
 * become fewer than min_members (R13), the seat being kept.
 *
 * A read (R14). AFTER the request arrived check, once,
 *     clock_boot_ns() < the published `lease_until`
 * and THEN take the applied state (a store snapshot), never an older one. Not the other way round: a lease
 * that was lost and won again between taking and checking would bless a stale state. `lease_until` is an
 * atomic that the driver stores on ACT_LEASE: 0 = never, UINT64_MAX = for ever (a sole member). It is
 * published only once everything that was committed before the term is applied. ACT_LEASE that revokes comes
 * before every other action of its step and must be visible to readers (sequentially consistent) before the
 * next action is performed.
 *
 * Beats belong to a pair of nodes, so the driver (node) makes them: every REPLICA_BEAT_NS it calls
 * replica_beat() of each partition for each peer and packs the true ones into one message with its boot id
 * and a number n, whose send time (CLOCK_BOOTTIME, taken BEFORE the send) it remembers for some n. The
 * receiver steps EV_MSG(BEAT) for each part; ACT_SEND(BEAT_ACK) is packed into the answer, which echoes boot
 * id and n. The sender drops answers of another boot id or of an n it no longer remembers, and steps
 * EV_MSG(BEAT_ACK) with sent_at = the send time of beat n (R17).
 *
 * Creation. The director must not change conf(1) (it adds learners by itself) before the primary has reported
 * that it is active: members that learn only conf(2) have no record, and R26 would shut all of them out.
 *
 * The director. ACT_ASK carries a request with an id; whatever comes back (done, conflict, already so)
 * carries the current configuration, read from the store after the request arrived, and is stepped as EV_CONF
 * with that id. Configurations pushed with the map are EV_CONF with id 0. No answer needs no event: the core
 * asks again. What the director does with each request: R20-R23; `since` stays when Promote is asked by the
 * present primary, and becomes the new epoch when another node becomes primary.
 *
 * Time. After each step `next_tick` says when the core wants EV_TICK at the latest (REPLICA_NEVER: not at
 * all; an idle sole member). Early, late and extra ticks are harmless. A scan of all partitions' next_tick
 * every 50 ms is cheap enough for thousands.
 *
 * Copies. A learner whose log cannot be joined to the primary's, or that has none, is sent the state:
 * ACT_SNAP_SEND(seq 0) makes the primary's driver take a store snapshot (with its applied index) and send
 * chunk 0; each further ACT_SNAP_SEND asks for one more chunk (or the same one again: keep the last until the
 * next is asked for); ACT_SNAP_END releases the store snapshot. At the learner EV_MSG(CHUNK) becomes
 * ACT_SNAP_WRITE.
 *
 * Damage. A row of this copy turned out unreadable: EV_LEAVE. From then on it acks, grants, proposes and asks
 * for nothing but to be left out; a primary falls silent, so that another member takes over. When a
 * configuration without it is learned: ACT_WIPE, and it begins again with nothing, as a learner (R28).
 *
 * Recovery. The last members are gone for good, and a person lets the partition go on from an older copy: a
 * configuration with that node alone and recovered = its epoch. What other nodes have of older epochs may
 * hold entries that are no more, committed ones too: whoever learns of such an epoch above its dep (by a
 * configuration that does not call it member, or by an Append) wipes its copy before anything else (R29).
 *
 * Faults. ACT_STOP: this node's copy or the protocol broke a rule; the process must end (R6). ACT_REPORT: a
 * person must look, the process goes on. A failed write or fsync is no event: it ends the process (P9).
 *
 * What the driver performs, always in the order of the list, one step's list before the next event:
 *   LEASE  FAIL  REJECT  STATE  WRITE  SNAP_WRITE  WIPE  TRIM  SEND  SNAP_SEND  SNAP_END  APPLY  ASK  REPORT
 * STOP (the list's order is authoritative). ACT_SEND never needs to wait for an ACT_WRITE: the core holds
 * back what must not leave before the disk has it (R3, R7). Messages may be lost, repeated, delayed and
 * reordered. */
#ifndef STORAGE_NODE_REPLICA_REPLICA_H
#define STORAGE_NODE_REPLICA_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define REPLICA_NODES_MAX         16 /* members + learners of one partition */
#define REPLICA_NEVER             UINT64_MAX
#define REPLICA_MS                UINT64_C(1000000)   /* ns */
#define REPLICA_LEASE_NS          (1000 * REPLICA_MS) /* L (R18) */
#define REPLICA_GRANT_NS          (1500 * REPLICA_MS) /* G: G/L bounds the clocks' rate error, 1.5 is 20 % (R18) */
#define REPLICA_BEAT_NS           (200 * REPLICA_MS)
#define REPLICA_APPEND_COUNT_MAX  1024u /* entries of one Append */
#define REPLICA_APPEND_BYTES_MAX  (1u << 20)
#define REPLICA_PENDING_COUNT_MAX 8192u /* proposed and not yet committed */
#define REPLICA_PENDING_BYTES_MAX (64u << 20)

/* A node is its disk (R26): the same id with another store id is another node. id 0 is "none". */
struct replica_node {
    uint64_t store;
    uint32_t id;
};

static inline bool replica_node_eq(struct replica_node a, struct replica_node b)
{
    return a.id == b.id && a.store == b.store;
}

/* conf(e): immutable; e + 1 is made from e by one compare-and-swap. */
struct replica_conf {
    uint64_t epoch;
    uint64_t since; /* first epoch of this primary's unbroken term */
    uint64_t
        recovered; /* epoch in which a person let the partition go on from an older copy, 0 never (R29) */
    struct replica_node primary;
    uint8_t member_count; /* the primary included */
    uint8_t learner_count;
    bool handover; /* made by HandOver: the old primary had stopped (R12, R22) */
    struct replica_node members[REPLICA_NODES_MAX];
    struct replica_node learners[REPLICA_NODES_MAX];
};

/* One entry in a batch. `size` counts everything that travels with it (entry and body), for flow control. */
struct replica_entry {
    uint64_t epoch; /* EV_PROPOSE: filled in by the core */
    uint32_t size;
    void *handle; /* the driver's; the core only passes it through within one step */
};

/* The log's entries from `first` on have `epoch`, up to the next run. */
struct replica_run {
    uint64_t first;
    uint64_t epoch;
};

/* ---- messages between replicas ---------------------------------------------------------------------- */

enum replica_msg_type {
    REPLICA_MSG_APPEND,
    REPLICA_MSG_ACK,
    REPLICA_MSG_REFUSE,
    REPLICA_MSG_BEAT,     /* one partition's part of a node's beat; never an action, see replica_beat() */
    REPLICA_MSG_BEAT_ACK, /* one partition's part of the answer */
    REPLICA_MSG_CHUNK,
    REPLICA_MSG_CHUNK_ACK,
    REPLICA_MSG_CHECK, /* the driver's: travels like the others, but is neither event nor action */
};

/* Sums of all rows of a copy as of an entry. */
struct replica_check {
    uint64_t index;
    uint64_t chain; /* over the entries up to it */
    uint64_t state, bodies;
    bool damaged; /* a row could not be read: the sums say nothing */
};

struct replica_msg {
    enum replica_msg_type type;
    struct replica_node peer; /* event: who sent it; action: to whom */
    uint64_t epoch;           /* the sender's epoch */
    union {
        /* Entries prev_index + 1 .. prev_index + count. Event: `entries` has them, with epochs. Action:
         * `entries` is NULL, the driver takes them from its memory or log, and may send fewer (one at least)
         * so as not to exceed bytes_max; `count` on the wire is what it sent. */
        struct {
            uint64_t prev_index, prev_epoch, commit;
            uint64_t recovered; /* of the sender's configuration (R29) */
            uint32_t count, bytes_max;
            const struct replica_entry *entries;
        } append;
        struct {
            uint64_t match; /* verified equal to the primary's log in this epoch, and on disk */
        } ack;
        struct {
            uint64_t commit, last; /* the receiver's */
            uint64_t prev;         /* of the Append that does not join; 0 if another message is refused */
            uint64_t nonce;        /* allows one snapshot (R24) */
        } refuse;
        struct {
            uint64_t commit;
        } beat;
        struct {
            uint64_t sent_at; /* event only: when THIS node sent the answered beat, its own CLOCK_BOOTTIME */
        } beat_ack;
        struct {
            uint64_t term, nonce, seq;
            uint64_t index, index_epoch; /* state as of this entry; the same in every chunk */
            bool last;
            void *handle; /* event only: the chunk's rows (struct buf), which the driver may take */
        } chunk;
        struct {
            uint64_t term, nonce, seq;
        } chunk_ack;
        struct replica_check check;
    };
};

/* ---- events ------------------------------------------------------------------------------------------ */

enum replica_event_type {
    REPLICA_EV_START,   /* first, once */
    REPLICA_EV_CONF,    /* a configuration from the map (ask_id 0) or from an answer */
    REPLICA_EV_PROPOSE, /* all or nothing */
    REPLICA_EV_DURABLE, /* everything up to and with `token` is on disk; tokens complete in order */
    REPLICA_EV_APPLIED, /* the state that readers see contains everything up to `index` */
    REPLICA_EV_MSG,
    REPLICA_EV_TICK,
    REPLICA_EV_TRIM,     /* the driver would like to cut the log's front up to `index` <= DURABLY applied */
    REPLICA_EV_HANDOVER, /* the director or an operator would like `heir` to be primary */
    REPLICA_EV_LEAVE,    /* this copy is damaged: count on it no more, fetch another one (R28) */
    REPLICA_EV_DROP,     /* this copy is not wanted any more (only obeyed if conf does not name it) */
};

struct replica_event {
    enum replica_event_type type;
    uint64_t now; /* CLOCK_BOOTTIME ns; never goes back */
    union {
        struct {
            bool record;     /* false: this store has nothing of the partition (R26) */
            bool installing; /* the mark is set (R24) */
            bool damaged;    /* what the disk says of the partition cannot be read: R28 from the start. Only
                                `dep` counts (0: that neither); `record` is true */
            uint64_t dep;
            uint64_t base_index, base_epoch; /* 0, 0 if the log was never cut */
            uint64_t last;                   /* the log holds base_index + 1 .. last */
            uint64_t applied, commit;
            const struct replica_run *runs; /* epochs of the log's entries, ascending; borrowed */
            uint32_t run_count;
            uint64_t nonce; /* random */
        } start;
        struct {
            const struct replica_conf *conf;
            uint64_t ask_id; /* the ACT_ASK that this answers, 0 if none */
        } conf;
        struct {
            struct replica_entry *entries;
            uint32_t count; /* 1..REPLICA_APPEND_COUNT_MAX */
        } propose;
        struct {
            uint64_t token;
        } durable;
        struct {
            uint64_t index;
        } applied;
        struct {
            uint64_t index;
        } trim;
        struct {
            struct replica_node heir;
        } handover;
        struct replica_msg msg;
    };
};

/* ---- actions ----------------------------------------------------------------------------------------- */

enum replica_action_type {
    REPLICA_ACT_LEASE,  /* publish lease_until to the readers */
    REPLICA_ACT_FAIL,   /* answer the proposals with index > `after` with `err` (ERR_IN_DOUBT) */
    REPLICA_ACT_REJECT, /* this EV_PROPOSE, EV_HANDOVER, EV_LEAVE was refused with `err`; nothing happened */
    REPLICA_ACT_STATE,  /* role, active or accepting changed: see replica_info() */
    REPLICA_ACT_WRITE,  /* one batch to the log, then EV_DURABLE(token) */
    REPLICA_ACT_SNAP_WRITE, /* one chunk to the state, then EV_DURABLE(token) */
    REPLICA_ACT_WIPE,       /* delete the partition's data, then EV_DURABLE(token) */
    REPLICA_ACT_TRIM,       /* cut the log's front and store the new base; needs no sync, no token */
    REPLICA_ACT_SEND,
    REPLICA_ACT_SNAP_SEND, /* send chunk `seq` of the state to a learner */
    REPLICA_ACT_SNAP_END,  /* release the store snapshot held for that learner */
    REPLICA_ACT_APPLY,     /* apply and answer up to `index`, then EV_APPLIED */
    REPLICA_ACT_ASK,
    REPLICA_ACT_REPORT,
    REPLICA_ACT_STOP, /* end the process */
};

enum replica_ask_type {
    REPLICA_ASK_READ, /* only the current configuration */
    REPLICA_ASK_PROMOTE,
    REPLICA_ASK_EVICT,
    REPLICA_ASK_ADD,
    REPLICA_ASK_HANDOVER,
    REPLICA_ASK_ADD_LEARNER,
    REPLICA_ASK_DROP_LEARNER,
};

/* X(symbol, text): reasons of ACT_REPORT and ACT_STOP. */
#define REPLICA_REASON_LIST(X)                                                              \
    X(RESTORED_STORE, "the coordination store is older than this disk (R27)")               \
    X(NO_RECORD, "named a member without a record of the partition (R26)")                  \
    X(CUT_BELOW_COMMIT, "asked to cut a committed entry (R6)")                              \
    X(TWO_ENTRIES, "two entries with one epoch and index (R6)")                             \
    X(MEMBER_NO_MATCH, "a member's log does not join the primary's (R5)")                   \
    X(TWO_PRIMARIES, "two primaries of one epoch")                                          \
    X(BAD_CONF, "a configuration that cannot be")                                           \
    X(BAD_START, "the durable record contradicts itself")                                   \
    X(DROPPED, "the copy of a dropped partition is being deleted")                          \
    X(LEAVING, "a damaged copy is given up, another one is fetched (R28)")                  \
    X(VOID_COPY, "a copy from before a recovery is given up, another one is fetched (R29)") \
    X(LAST_COPY, "a damaged copy is the last one: it is kept (R28)")

enum replica_reason {
#define REPLICA_REASON_ENUM_(name, text) REPLICA_##name,
    REPLICA_REASON_LIST(REPLICA_REASON_ENUM_)
#undef REPLICA_REASON_ENUM_
};

struct replica_action {
    enum replica_action_type type;
    union {
        struct {
            uint64_t until; /* CLOCK_BOOTTIME ns; 0 never, REPLICA_NEVER for ever */
        } lease;
        struct {
            uint64_t after;
            enum err err;
        } fail;
        struct {
            enum err err;
        } reject;
        /* In ONE batch: delete log entries >= cut_from (if not 0); append entries first..first+count-1; store
         * the record {dep, commit, last}. `barrier`: count is 1, entries NULL, the driver writes its empty
         * entry with `epoch`. `entries` points into the event of this step. */
        struct {
            uint64_t token;
            uint64_t cut_from;
            uint64_t first;
            uint64_t epoch; /* of the barrier */
            uint32_t count;
            bool barrier;
            const struct replica_entry *entries;
            uint64_t dep, commit;
        } write;
        /* `first`: in the same batch set the `installing` mark and dep, delete state and log. `last`: when
         * the rows of all chunks are on disk, in one batch set log base = (index, index_epoch), applied =
         * commit = index, log empty, remove the mark. EV_DURABLE for a chunk between them says only that it
         * was taken, unless dep is another than the last write's. */
        struct {
            uint64_t token;
            uint64_t dep;
            bool first, last;
            uint64_t index, index_epoch;
            void *handle;
        } snap_write;
        /* Set the mark first, delete, then in the last batch remove the mark. keep_record: an empty log with
         * dep stays (base 0, applied 0); otherwise nothing stays. */
        struct {
            uint64_t token;
            uint64_t dep;
            bool keep_record;
        } wipe;
        struct {
            uint64_t base_index, base_epoch; /* entries <= base_index go */
        } trim;
        struct {
            struct replica_node to;
            uint64_t epoch, term, nonce, seq; /* copy into the message */
        } snap_send;
        struct {
            struct replica_node to;
        } snap_end;
        struct {
            uint64_t index;
        } apply;
        struct {
            enum replica_ask_type type;
            uint64_t id;
            uint64_t epoch;           /* the epoch to compare with */
            struct replica_node node; /* whom it is about: self for PROMOTE, ADD_ and DROP_LEARNER */
        } ask;
        struct {
            enum replica_reason reason;
        } report; /* REPORT and STOP */
        struct replica_msg send;
    };
};

/* Zero-initialised is empty; reused from step to step, so the steady state allocates nothing. */
struct replica_actions {
    struct replica_action *list;
    uint32_t count, cap;
    uint64_t next_tick; /* CLOCK_BOOTTIME ns by which EV_TICK is wanted, or REPLICA_NEVER */
};

void replica_actions_fini(struct replica_actions *a);

/* ---- the replica ------------------------------------------------------------------------------------- */

struct replica_faults; /* faults.h: the simulator's switches that break a rule; NULL everywhere else */

struct replica_cfg {
    struct replica_node self;
    uint8_t min_members; /* below it new proposals are refused (R13); at least 1 */
    /* Zero means the default in brackets. */
    uint64_t lease_ns;           /* L [REPLICA_LEASE_NS] */
    uint64_t grant_ns;           /* G [REPLICA_GRANT_NS] */
    uint64_t retry_ns;           /* resend an unanswered Append or chunk [200 ms, doubling to 1 s]; where Acks
                                    take long, after twice that time, up to ten times this */
    uint64_t ask_retry_ns;       /* ask the director again [500 ms] */
    uint64_t stall_ns;           /* evict a member that answers beats but acknowledges nothing [10 s] */
    uint64_t lag_ns;             /* evict one that acknowledges too slowly, if enough keep up; give up a
                                    joiner [3 s] */
    uint64_t rejoin_ns;          /* whoever was let go for that again stays a learner so long [20 s, */
    uint64_t rejoin_max_ns;      /* doubling each time, to at most 2 min], */
    uint64_t rejoin_forget_ns;   /* unless the last time is so long past [10 min] */
    uint32_t append_count_max;   /* [REPLICA_APPEND_COUNT_MAX] */
    uint32_t append_bytes_max;   /* [REPLICA_APPEND_BYTES_MAX] */
    uint32_t inflight_bytes_max; /* sent to one peer and not acknowledged [8 MiB] */
    uint32_t pending_count_max;  /* [REPLICA_PENDING_COUNT_MAX] */
    uint32_t pending_bytes_max;  /* [REPLICA_PENDING_BYTES_MAX] */
    uint32_t near_count;         /* a learner this close to the log's end becomes joiner (R21); one that has
                                    nothing of a longer log is sent the state [64] ... */
    uint32_t near_bytes;         /* ... and so many bytes [256 KiB], */
    uint64_t near_ns;            /* or one that acknowledges all there is within this time [200 ms] */
    uint32_t catchup_count_max;  /* entries kept for a learner in catch-up (R25) [65536] */
    const struct replica_faults *faults;
};

struct replica;

/* Never NULL. `cfg` is copied. */
struct replica *replica_new(const struct replica_cfg *cfg);
void replica_free(struct replica **r);

/* Have the processor fetch what the next step will look at; changes nothing. For who is about to step many:
 * call it some steps ahead. */
void replica_warm(const struct replica *r);

/* One step. Clears `out` and fills it; what it points to stays valid until the event's memory goes or the
 * next step. Total over all events: anything a peer may send is accepted, refused or ignored. */
void replica_step(struct replica *r, const struct replica_event *event, struct replica_actions *out);

/* Does the next beat to `peer` list this partition? If so: with this epoch and commit index. */
bool replica_beat(const struct replica *r, struct replica_node peer, uint64_t *epoch_out,
                  uint64_t *commit_out);

enum replica_role { REPLICA_IDLE, REPLICA_LEARNER, REPLICA_MEMBER, REPLICA_PRIMARY };

/* For routing, metrics and ternctl. */
struct replica_info {
    enum replica_role role; /* PRIMARY: started in this epoch */
    bool active;            /* primary that may commit (R12) */
    bool accepting;         /* EV_PROPOSE would be taken, the pending limits apart */
    bool handing;           /* the seat is being handed over (R22) */
    bool halted;            /* R27, or being deleted */
    bool leaving;           /* the damaged copy is being given up (R28) */
    uint64_t epoch, dep;
    uint64_t dep_durable; /* what a restart finds: this node is never again primary of it, nor of a lower one
                             (R4) */
    struct replica_node
        primary; /* of `epoch`, or the last known one: the hint of NOT_PRIMARY; id 0 unknown */
    uint64_t base, last, commit, applied, durable;
    uint64_t lease_until;
    uint8_t member_count, learner_count; /* of the last known configuration */
};

void replica_info(const struct replica *r, struct replica_info *out);

/* The member to hand the seat to: one that answers, of these one that has all there is; among equals `seed`
 * chooses. False: this node is not the active primary, or there is none. */
bool replica_heir(const struct replica *r, uint32_t seed, struct replica_node *out);
/* The cluster's min_members has changed; counts from the next step on. */
void replica_set_min_members(struct replica *r, uint8_t min_members);

/* How far another member or learner is, as the primary sees it. */
struct replica_peer_info {
    struct replica_node node;
    bool learner;    /* a joiner included */
    bool copying;    /* a snapshot of the state is being sent to it */
    uint64_t behind; /* entries that it has not acknowledged in this term */
};

/* 0 unless this node is the primary. i < count. */
uint32_t replica_peer_count(const struct replica *r);
void replica_peer(const struct replica *r, uint32_t i, struct replica_peer_info *out);

/* conf(ep), or the last one known; epoch 0 if none. Borrowed until the next step. */
const struct replica_conf *replica_conf(const struct replica *r);
/* Log index up to which all is on this node's disk. */
uint64_t replica_durable(const struct replica *r);

/* The epoch of the entry at `index` (base..last), 0 if it is not in the log. The driver fills a chunk's
 * index_epoch from it. */
uint64_t replica_epoch_at(const struct replica *r, uint64_t index);

const char *replica_reason_text(enum replica_reason reason);

#endif
