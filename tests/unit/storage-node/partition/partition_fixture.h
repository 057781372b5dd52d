/* SPDX-License-Identifier: Apache-2.0 */
/* One partition's driver on a database in memory, driven by hand. */
#ifndef TESTS_UNIT_STORAGE_NODE_PARTITION_PARTITION_FIXTURE_H
#define TESTS_UNIT_STORAGE_NODE_PARTITION_PARTITION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "proto/account.pb-c.h"
#include "proto/message.pb-c.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/log/rows.h"
#include "storage-node/partition/partition.h"
#include "storage-node/partition/read/reader.h"
#include "storage-node/partition/report/board.h"
#include "storage-node/partition/report/faults.h"

enum { PARTITION = 4, ANSWERS_MAX = 8192 };

/* Who drives the partition, and another member. */
extern const struct replica_node self, other;

struct fixture {
    struct kv *kv;
    struct kv_batch *batch;
    struct apply_round *round;
    struct partition *p;
    struct partition_public pub;
    struct partition_stats stats;
    struct faults *faults;
    struct partition_host host;
    struct partition_now now;
    struct inbox_chain jobs;
    uint32_t log_keep, copy_chunk;
    unsigned asks, sends;
    uint8_t version_max;          /* what this node speaks; 0: as the program */
    uint8_t other_speaks;         /* as it has been heard; 0: it has not */
    struct replica_msg last_sent; /* its pointers are not valid any more; of a chunk: last_rows bytes */
    size_t last_rows;
    struct partition_ask last_ask;
    enum err answers[ANSWERS_MAX];
    size_t answer_count;
    uint64_t account;
    uint64_t watch_epoch; /* by which the last watch was registered */
    uint32_t next_name;
};

struct request {
    struct partition_request base; /* first */
    struct fixture *f;
    struct buf packed, body;
};

void open_partition(struct fixture *f);
void give_conf(struct fixture *f, uint64_t epoch, bool with_other, uint64_t ask_id);
/* Of a test: *state is the fixture. */
int set_up(void **state);
/* The log writer's part: everything submitted is on disk. */
void write_log(struct fixture *f);
void flush(struct fixture *f);
void apply(struct fixture *f);
/* What a worker and the log writer do until nothing is left to do. */
void turn(struct fixture *f);
int tear_down(void **state);
void advance(struct fixture *f, uint64_t ms);
/* A request into the partition; its answer's status goes to f->answers. */
void push(struct fixture *f, uint32_t method, enum method_kind kind, const ProtobufCMessage *message,
          struct slice body, uint64_t deadline_in_ms);
void push_account(struct fixture *f, const char *address);
void push_alias(struct fixture *f, uint64_t deadline_in_ms);
enum err last_answer(const struct fixture *f);
struct replica_info info_of(struct fixture *f);

/* The answer of a request: notes the status, frees it. */
void on_done(struct partition_request *r, const struct partition_answer *answer);

#endif
