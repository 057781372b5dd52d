/* SPDX-License-Identifier: Apache-2.0 */
/* Switches that break one rule each, so that the simulator can show that the break is caught. They travel in
 * replica_cfg.faults, which is NULL outside tests/sim. */
#ifndef STORAGE_NODE_REPLICA_FAULTS_H
#define STORAGE_NODE_REPLICA_FAULTS_H

#include <stdbool.h>

struct replica_faults {
    bool r2;   /* Acks of an earlier epoch count */
    bool r3;   /* dep is not made durable */
    bool r4;   /* a restarted primary continues its epoch */
    bool r5;   /* an Append is taken whatever is before it */
    bool r6;   /* a duplicate Append cuts the log */
    bool r7;   /* Ack says the log's last index, before the disk has it */
    bool r8;   /* commit up to the log's end, verified or not */
    bool r11;  /* a joiner counts neither for commits nor for reads */
    bool r12b; /* a new primary does not wait for its own promises to end */
    bool r13;  /* committed, and answered, when this node alone has it */
    bool r16;  /* beats of an older epoch are granted */
    bool r17;  /* a lease counts from the answer, not from the beat */
    bool r21;  /* Add is asked before the joiner counts */
    bool r24;  /* a snapshot is taken without a nonce, by anyone */
    bool r25;  /* the log's front is cut beyond what is applied */
    bool r26;  /* a member without a record takes part */
    bool r28;  /* a damaged copy is wiped while it is still counted on */
};

#endif
