/* SPDX-License-Identifier: Apache-2.0 */
/* An account with six messages in INBOX (odd ones deleted, even ones seen), an empty mailbox "to", and a copy
 * or move in stages between them. Every entry of a stage is applied twice, as after a lost answer. */
#ifndef TESTS_UNIT_STORAGE_NODE_MAILBOX_STAGE_STAGE_FIXTURE_H
#define TESTS_UNIT_STORAGE_NODE_MAILBOX_STAGE_STAGE_FIXTURE_H

#include "tests/unit/storage-node/mailbox/machine_fixture.h"

struct stage_case {
    struct fixture f;
    uint64_t account, from, to;
    ProtobufCBinaryData id;
};

/* A test over such an account. */
#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
int stage_setup(void **state);
int stage_teardown(void **state);

/* Stage these UIDs; `total` is that of the whole at the first step, 0 later. */
enum err step(struct stage_case *c, uint32_t total, const char *uids, bool move);
/* What the newest step took. */
const char *staged(struct stage_case *c);
enum err commit(struct stage_case *c, Tern__CopyCommitResponse **out);
void abandon(struct stage_case *c);

/* Sweep until nothing is due. */
void sweep_all(struct stage_case *c);
const char *uids_of(struct stage_case *c, const char *name);
uint64_t used_bytes(struct stage_case *c);
/* Nothing but a stage stands in the way: with every message gone no body is left, so references are right. */
void expect_no_leaks(struct stage_case *c);
/* Both mailboxes are as they were at first. */
void expect_untouched(struct stage_case *c);

#endif
