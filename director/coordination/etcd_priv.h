/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the etcd member: everything here belongs to its one thread unless it says otherwise.
 *
 * The story. A transaction becomes a job: waiting -> sent to the endpoint in use -> decided -> settling,
 * until the watch has brought the picture to the revision that matters -> done. Reads (barriers) share one
 * request. The endpoint in use changes when it does not answer.
 *
 * The watch is one stream that may fall silent without a sign (its etcd is stopped, or cut off from the
 * others). So every answer that speaks for all of etcd says how far the picture must come (`wanted`); when
 * the watch does not bring that soon, the key `sync` is touched, and when not even that comes, the watch is
 * begun anew elsewhere. A probe a second makes sure that there is such an answer on a quiet day. Where the
 * watch cannot go on from (history was compacted) all rows are read again.
 *
 * A store put back from a copy shows by another cluster id, or by a revision below one seen before the
 * request was sent: all rows are read again, loudly. */
#ifndef DIRECTOR_COORDINATION_ETCD_PRIV_H
#define DIRECTOR_COORDINATION_ETCD_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "director/coordination/etcd.h"
#include "director/coordination/etcd_codec.h"
#include "director/coordination/etcd_http.h"

enum {
    TICK_MS = 50,
    PROBE_MS = 1000,
    RETRY_MS = 200,
    SHORT_CALL_MS = 1000,   /* barrier, sync, lease: small, and asked again */
    TXN_CALL_MS = 3000,     /* one transaction, from sending on */
    TXN_WAIT_MS = 5000,     /* before it is sent */
    TXN_PARALLEL = 48,      /* sent and not answered */
    BARRIER_WAIT_MS = 2000, /* with all its attempts */
    PAGE_CALL_MS = 10000,   /* one page of rows */
    PAGE_ROWS = 400,
    ROWS_MAX = 100 * 1000,    /* of the whole store */
    DOWN_MS = 3000,           /* so long without an answer: refuse what comes at once */
    SYNC_AFTER_MS = 100,      /* the watch is behind what is wanted */
    STALL_MS = 1500,          /* and stays behind: it is dead */
    LOAD_TELL_MS = 10 * 1000, /* coordination_load waits for etcd, and says so this often */
    REVOKE_MS = 500,
    END_MS = 1000,                       /* closing waits so long for the watch to show what was decided */
    LOG_GAP_MS = 2000,                   /* between lines about endpoints that fail */
    LEAD_MS = ETCD_LEASE_S * 1000 - 500, /* from sending what renewed the lease: then we lead no more */
    LEAD_RENEW_MS = 1000,
    HEALTH_MS = 3000,       /* between looks at one member */
    HEALTH_CALL_MS = 2000,  /* a look */
    HEALTH_AGAIN_MS = 1000, /* after one that went wrong */
    HEALTH_TRIES = 2,       /* so many go wrong in a row: it is not well */
};

struct etcd;

struct job {
    struct etcd_call call;
    struct etcd *etcd;
    struct coordination_txn *txn;
    uint64_t arrived_ms;
    size_t attempts;
    uint64_t generation, newest_at_send;
    enum err result;
    uint64_t needed; /* revision that the picture must reach */
    struct job *next;
};

struct job_list {
    struct job *head, **tail;
};

/* One of the small requests that never run twice at once. */
struct single {
    struct etcd_call call;
    bool busy;
    uint64_t generation, newest_at_send, sent_boot_ms;
};

struct watch {
    enum { WATCH_IDLE, WATCH_LOADING, WATCH_OPEN } state;
    bool must_load, told_broken;
    struct single request;
    uint64_t next_ms; /* not before */
    struct etcd_kv *rows;
    size_t row_count, row_cap;
    uint64_t load_revision;
    enum { STREAM_GOOD, STREAM_COMPACTED, STREAM_BAD } verdict;
    char why[200];
};

struct lead {
    struct single request;
    enum { LEAD_GRANT, LEAD_CAMPAIGN, LEAD_RENEW, LEAD_REVOKE } asked;
    uint64_t lease; /* 0: none */
    bool won, present, logged;
    uint64_t next_ms;
    _Atomic uint64_t until_boot_ms; /* any thread */
};

/* What is told of one endpoint. */
struct member {
    struct etcd_call call;
    bool busy;
    uint64_t next_ms;  /* not before */
    uint64_t wrong_ms; /* when the first of the looks that went wrong in a row was begun */
    size_t wrong;
    struct coordination_member told; /* under the lock */
};

struct etcd {
    struct coordination base;
    char *endpoints[ETCD_ENDPOINTS_MAX];
    size_t endpoint_count;
    char *ca, *certificate, *key, *name;
    struct buf prefix, prefix_end, rows_prefix, deleted_key, leader_key, sync_key;
    struct etcd_http *http;
    struct coordination_watcher watcher;
    pthread_t thread;
    bool thread_started;

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t wake;
    struct job_list incoming;
    size_t in_flight;
    bool stopping, loaded;
    uint64_t loaded_newest;
    struct buf leader;                         /* the name of who leads, empty: nobody */
    bool leader_is_old;                        /* etcd is silent: another may lead by now */
    struct member members[ETCD_ENDPOINTS_MAX]; /* of each endpoint; only `told` is protected */

    /* the thread's own */
    size_t current; /* endpoint in use */
    uint64_t now_ms, answered_ms, next_leave_log_ms;
    uint64_t end_ms; /* of a store that is closed: until then the picture may come to what was decided */
    bool down, was_loaded;
    uint64_t generation, cluster_id; /* 0: not known yet */
    uint64_t newest;                 /* highest revision that an answer for all of etcd has shown */
    uint64_t watched;                /* the picture is complete up to here */
    uint64_t wanted, wanted_ms;      /* and should come here; since */
    struct job_list waiting, barrier_waiting, barrier_flying, settling;
    size_t running;
    struct single barrier, sync;
    bool barrier_by_put;
    uint64_t next_barrier_ms, next_probe_ms, sync_revision;
    struct watch watch;
    struct lead lead;
};

/* ---- etcd.c */

/* Sends; `done` clears `busy` itself (single_end). The body was encoded before. */
void single_start(struct etcd *e, struct single *s, const char *path, uint64_t timeout_ms,
                  void (*done)(struct etcd_call *call));
/* The answer decoded; false (and the endpoint left) if it is none. The answer is freed by etcd_answer_fini.
 */
bool single_end(struct etcd *e, struct single *s, struct etcd_answer *answer);
/* The endpoint has failed us: use another. `why` NULL: told already. */
void etcd_leave(struct etcd *e, size_t endpoint, const char *why);
/* An answer that speaks for all of etcd. False: it belongs to a history that is over (the caller's result
 * means nothing any more). */
bool etcd_saw(struct etcd *e, const struct etcd_answer *answer, uint64_t generation, uint64_t newest_at_send);
void etcd_want(struct etcd *e, uint64_t revision);
/* The watch has come further. */
void etcd_watched(struct etcd *e, uint64_t revision);

/* ---- etcd_txn.c */

void txn_tick(struct etcd *e);
void barrier_tick(struct etcd *e);
/* Finish what the picture now shows. */
void settle(struct etcd *e);
/* Finish what settles without waiting: the history that it hung on is over, or the store is closed. */
void settle_in_doubt(struct etcd *e);
/* Finish everything that was not sent. */
void txn_refuse_waiting(struct etcd *e);

/* ---- etcd_watch.c */

void watch_tick(struct etcd *e);
/* Begin anew where it stopped, or with all rows. */
void watch_restart(struct etcd *e, bool load);
/* Help it to come as far as is wanted. */
void watch_chase(struct etcd *e);
void watch_end(struct etcd *e);

/* ---- etcd_lease.c */

void lead_tick(struct etcd *e);
/* What the watch says of the key `leader`; kv NULL or deleted: there is none. */
void lead_on_key(struct etcd *e, const struct etcd_kv *kv);
/* True when nothing is left to do. */
bool lead_end(struct etcd *e);
bool lead_is_held(const struct etcd *e);

/* ---- etcd_health.c */

void health_open(struct etcd *e);
void health_tick(struct etcd *e);
/* Looks no more. */
void health_end(struct etcd *e);
/* Any thread. */
size_t health_members(struct coordination *c,
                      struct coordination_member out[static COORDINATION_MEMBERS_MAX]);
void health_close(struct etcd *e);

#endif
