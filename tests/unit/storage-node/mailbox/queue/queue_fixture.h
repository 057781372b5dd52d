/* SPDX-License-Identifier: Apache-2.0 */
/* A queue in the fixture's partition: what a front end asks of it. Items hold `mail`. */
#ifndef TESTS_UNIT_STORAGE_NODE_MAILBOX_QUEUE_QUEUE_FIXTURE_H
#define TESTS_UNIT_STORAGE_NODE_MAILBOX_QUEUE_QUEUE_FIXTURE_H

#include "proto/queue.pb-c.h"
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

enum { LEASE_MS = 30000, HOUR_MS = 3600 * 1000 };

struct put {
    Tern__QueuePutRequest request;
    Tern__QueueNewRecipient recipients[4], *pointers[4];
};

/* A request for one item under fresh ids, to at most four recipients; for the test to change. */
void prepare(struct fixture *f, struct put *p, size_t count);
/* Send it with `mail` beside it. */
enum err put_with_body(struct fixture *f, struct put *p);
/* Both; asserts that it works. In the arena. */
struct put *put(struct fixture *f, size_t count);

/* The items that are due; lease_early: and those that nobody has tried since that time. */
Tern__QueueLeaseResponse *lease(struct fixture *f);
Tern__QueueLeaseResponse *lease_early(struct fixture *f, uint32_t limit, uint64_t early_before_ms);
/* Report on the first recipients of one item, an outcome each ("dlf": delivered, later, failed); the item's
 * status in the answer. */
enum err report(struct fixture *f, const Tern__QueueItem *item, uint64_t fence, const char *outcomes,
                uint32_t delay_ms);
enum err change(struct fixture *f, ProtobufCBinaryData id, Tern__QueueChange what);

Tern__QueueStatusResponse *status(struct fixture *f);
/* One item as a list shows it, or NULL. */
Tern__QueueItem *show(struct fixture *f, ProtobufCBinaryData id);
/* Bytes of an item into f->rows. */
enum err read_item(struct fixture *f, ProtobufCBinaryData id, uint64_t offset, uint32_t length);
/* Nothing is left of any item but the totals, once bodies are swept. */
void expect_empty(struct fixture *f);

#endif
