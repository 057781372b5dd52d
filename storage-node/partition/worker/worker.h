/* SPDX-License-Identifier: Apache-2.0 */
/* The threads around the partitions: W workers (partition p belongs to worker p mod W) and the log writer. A
 * worker's turn: take what came in, tick who wants it, flush (proposals go to other members and to the log
 * writer), apply what is committed, answer. */
#ifndef STORAGE_NODE_PARTITION_WORKER_WORKER_H
#define STORAGE_NODE_PARTITION_WORKER_WORKER_H

#include "storage-node/partition/directory.h"
#include "storage-node/partition/log/log_writer.h"
#include "storage-node/partition/partition.h"
#include "storage-node/partition/report/board.h"

enum {
    WORKERS_MAX = 64,
    WORKER_SCAN_MS = 50,      /* ticks are looked for at most this often */
    WORKER_HANDOVERS_MAX = 3, /* of one partition while this node leaves */
    WORKER_HANDING_MAX = 4,   /* of one worker at a time: the fewer, the shorter is each without service */
    WORKER_LEAVE_SCAN_MS = 5, /* how often the next ones are begun */
};

struct worker_pool_options {
    struct kv *kv;
    struct directory *directory;
    struct replica_node self;
    uint32_t workers;   /* 1..WORKERS_MAX */
    uint64_t copy_rate; /* bytes a second that copies for other nodes may take together; 0: any */
    /* Called on worker threads. */
    void (*notify)(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                   struct slice packed);
    void *notify_arg;
    /* Reads that were pushed, once an entry was committed after they came (partition_push). Takes the
     * request; NULL: reads are never pushed. */
    void (*read)(void *arg, struct partition_request *request);
    void *read_arg;
    void (*ask)(void *arg, const struct partition_ask *ask);
    void *ask_arg;
    const struct peer_transport *peers;      /* one a worker */
    uint32_t log_keep_count, log_keep_bytes; /* 0: the partition's defaults */
    uint32_t copy_chunk_bytes;               /* 0: likewise */
    uint32_t append_count_max;               /* 0: likewise */
    uint64_t check_interval_ms,
        check_rate;                      /* see partition_options; bytes a second of this node, 0: no bound */
    uint8_t machine_version_max;         /* see partition_options */
    const struct storage_faults *faults; /* NULL */
    struct faults *fault_list;           /* NULL: what is wrong is only logged */
    struct board *board;                 /* where worker_pool_tell puts figures; NULL: nowhere */
};

/* A message of another node on its way to its partition. Made with NEW or xmalloc, freed by the worker. */
struct worker_message {
    struct inbox_item item; /* first */
    uint32_t partition;
    struct replica_msg msg;        /* an Append's entries and a chunk's handle are filled in from below */
    struct replica_entry *entries; /* handles of log_entry_new; taken over */
    struct buf rows;               /* of a chunk; taken over */
    size_t size;                   /* bytes it holds, for worker_pool_message_bytes */
};

/* Of all workers together, but for queue lengths. */
struct worker_stats {
    struct partition_stats partition;
    _Atomic uint64_t turns, apply_ns;
    _Atomic uint32_t partitions, stopped;
    _Atomic uint32_t seats; /* to be handed over, or not yet taken */
};

struct worker_pool;

struct worker_pool *worker_pool_start(const struct worker_pool_options *options);
/* Ends the threads when all that was submitted to the log is on disk; requests still waiting are answered. */
void worker_pool_stop(struct worker_pool **pool);

/* Any thread. Takes the request (METHOD_WRITE, METHOD_MEMORY; METHOD_READ, see partition_push). */
void worker_pool_push(struct worker_pool *pool, struct partition_request *request);
/* Any thread. A configuration of the map (ask_id 0) or an answer; a partition this node has nothing of and is
 * not named in is passed over. */
void worker_pool_conf(struct worker_pool *pool, uint32_t partition, const struct replica_conf *conf,
                      uint64_t ask_id, uint8_t min_members);

/* Any thread. Takes the messages; the chain is empty afterwards. Each worker is woken once. */
void worker_pool_messages(struct worker_pool *pool, struct inbox_chain *messages);
/* Frees a message that nobody will take. */
void worker_message_free(struct worker_message *message);
/* Any thread. A write was answered so long after it came: copies give way when such waits grow. */
void worker_pool_waited(struct worker_pool *pool, uint64_t waited_ns);
/* Bytes of messages pushed and not yet worked on: whoever reads from the network stops above a bound. */
size_t worker_pool_message_bytes(const struct worker_pool *pool);
/* Any thread. A beat or an answer that came in; what a worker grants goes out by options.peers->beats. The
 * worker that owns a partition both answers its beats and moves its epochs (R16). */
void worker_pool_beats(struct worker_pool *pool, const struct beats *beats);
/* Any thread. Delete this node's copy, unless the configuration names it. */
void worker_pool_drop(struct worker_pool *pool, uint32_t partition);

/* Any thread. The director's wish of an active primary in `epoch`; anything else passes over it. */
struct worker_wish {
    enum { WORKER_WISH_HANDOVER, WORKER_WISH_EVICT } kind;
    uint32_t partition;
    uint64_t epoch;
    uint32_t node; /* the heir; the member that goes */
};
void worker_pool_wish(struct worker_pool *pool, const struct worker_wish *wish);

/* Any thread, once. From now on every seat of a primary with other members is handed over (R22), a few at a
 * time; each at most WORKER_HANDOVERS_MAX times, should it come back. */
void worker_pool_leave(struct worker_pool *pool);
/* Any thread. Seats that are still to be handed over, or whose heirs have not begun. */
uint32_t worker_pool_seats(const struct worker_pool *pool);

/* Any thread. Every worker puts its partitions' figures and copies on options.board soon, once however often
 * it was asked meanwhile. Returns the asking's number, from 1. */
uint64_t worker_pool_tell(struct worker_pool *pool);
/* Any thread. Once it is at least the number of an asking, what every worker put on the board last shows all
 * that it had done, or had been handed, before that asking. A worker that was to tell already when it was
 * asked comes this far only with a later asking. 0: some has told nothing yet. */
uint64_t worker_pool_told(const struct worker_pool *pool);

/* Figures of worker i. */
uint32_t worker_pool_count(const struct worker_pool *pool);
const struct worker_stats *worker_pool_get_stats(const struct worker_pool *pool, uint32_t i);
const struct log_writer_stats *worker_pool_log_stats(const struct worker_pool *pool);
const struct copy_gate_stats *worker_pool_copy_stats(const struct worker_pool *pool, enum copy_gate gate);

#endif
