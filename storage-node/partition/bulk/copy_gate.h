/* SPDX-License-Identifier: Apache-2.0 */
/* Where the threads that move copies pause, so that people do not wait for copies (copy_pace.h): one gate for
 * what a node reads to be sent to others, one for what it is sent and writes. All that others waited for goes
 * to both. Not in a simulator. */
#ifndef STORAGE_NODE_PARTITION_BULK_COPY_GATE_H
#define STORAGE_NODE_PARTITION_BULK_COPY_GATE_H

#include <stdatomic.h>

#include "storage-node/partition/bulk/copy_pace.h"

enum copy_gate { COPY_GATE_SENT, COPY_GATE_WRITTEN, COPY_GATE_COUNT };

struct copy_gate_stats {
    _Atomic uint64_t bytes, paused_ns;
    _Atomic uint64_t rate; /* bytes a second; COPY_PACE_FULL: no bound */
};

struct copy_gates;

/* `send_rate`: bytes a second that COPY_GATE_SENT lets through at most; 0: any. */
struct copy_gates *copy_gates_new(uint64_t send_rate);
/* No effect on NULL. */
void copy_gates_free(struct copy_gates **gates);
/* Any thread. Somebody waited so long, until now. No effect on NULL gates, as below. */
void copy_gates_waited(struct copy_gates *gates, enum copy_wait kind, uint64_t waited_ns);
/* The one thread of this gate. `bytes` were moved: returns when the next may be. */
void copy_gates_pass(struct copy_gates *gates, enum copy_gate gate, uint64_t bytes);
/* Any thread. From now on nobody is held up: the node ends. */
void copy_gates_open(struct copy_gates *gates);
const struct copy_gate_stats *copy_gates_get_stats(const struct copy_gates *gates, enum copy_gate gate);

#endif
