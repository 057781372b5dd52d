/* SPDX-License-Identifier: Apache-2.0 */
/* A partition over the database in memory, and a client that makes entries of requests. */
#ifndef TESTS_UNIT_STORAGE_NODE_MAILBOX_MACHINE_FIXTURE_H
#define TESTS_UNIT_STORAGE_NODE_MAILBOX_MACHINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/mail/flags.h"
#include "lib/mail/row.h"
#include "lib/mail/uidset.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "storage-node/kv/kv.h"
#include "storage-node/mailbox/machine.h"

/* A test over a partition of its own. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

enum { PARTITION = 7 };
#define TIME_START (UINT64_C(1700000000) * 1000)

struct fixture {
    struct kv *kv;
    struct kv_txn *txn;
    uint64_t index;
    uint64_t time_ms;
    uint64_t id_counter; /* of request, delivery and upload ids */
    struct machine_result result;
    struct buf request, entry; /* of the newest call */
    struct slice body;         /* goes beside the next call */
    struct buf log;            /* every entry applied: varbytes entry, varbytes body */
    struct buf response, rows; /* of the newest read */
    uint64_t body_bytes;       /* of bodies that came and were not freed */
    bool damaged;              /* an entry could not be applied: nothing is known of its body */
    struct arena arena;        /* unpacked responses; cleared by the test's end */
};

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Apply a request as the next entry under a fresh id; its status. The body is taken from f->body, which is
 * empty then. */
enum err fixture_write(struct fixture *f, uint32_t method, const ProtobufCMessage *request);
/* The same entry once more (same request id), as a retry after a fail-over does. */
enum err fixture_repeat(struct fixture *f);
/* Apply any entry; the driver's part: body beside it, freed bodies deleted. */
enum err fixture_apply(struct fixture *f, struct slice entry, struct slice body);
void fixture_sweep(struct fixture *f);
/* Answer a read; f->response, f->rows. */
enum err fixture_read(struct fixture *f, uint32_t method, const ProtobufCMessage *request);
/* A packed message unpacked into the fixture's arena. */
void *fixture_unpack(struct fixture *f, const ProtobufCMessageDescriptor *descriptor,
                     const struct buf *packed);

/* 16 bytes: the fixture's time and a counter; in the arena. */
ProtobufCBinaryData fixture_id(struct fixture *f);
/* "1:3,5" encoded, in the arena; and back. */
ProtobufCBinaryData fixture_uids(struct fixture *f, const char *text);
const char *fixture_uids_text(struct fixture *f, ProtobufCBinaryData bytes);

/* ---- requests most tests need */

/* A small message, for where any will do. */
extern const char mail[];

uint64_t create_account(struct fixture *f, const char *address, uint64_t quota);
/* Asserts that it works. */
Tern__Mailbox *open_mailbox(struct fixture *f, uint64_t account, const char *name);
enum err try_open_mailbox(struct fixture *f, uint64_t account, const char *name);
Tern__Mailbox *create_mailbox(struct fixture *f, uint64_t account, const char *name);
/* Append `text` with its flags; its UID. */
uint32_t append_text(struct fixture *f, uint64_t account, uint64_t mailbox, const char *text, uint32_t flags);
enum err try_append(struct fixture *f, uint64_t account, uint64_t mailbox, const char *text, uint32_t flags);
enum err deliver_text(struct fixture *f, const uint64_t *accounts, size_t count, const char *text,
                      ProtobufCBinaryData delivery_id);
Tern__StoreFlagsResponse *store_flags(struct fixture *f, uint64_t account, uint64_t mailbox, const char *uids,
                                      Tern__StoreMode mode, uint32_t flags);
/* The UIDs that vanished. */
const char *expunge(struct fixture *f, uint64_t account, uint64_t mailbox, const char *uids,
                    bool only_deleted);
Tern__CopyResponse *copy(struct fixture *f, uint64_t account, uint64_t from, uint64_t to, const char *uids,
                         bool move);
/* Rows of a FETCH as "uid:flags ". */
const char *fetch_flags(struct fixture *f, uint64_t account, uint64_t mailbox, const char *uids,
                        uint64_t changed_since);
/* A message's bytes, or NULL if there is none. */
const char *fetch_body(struct fixture *f, uint64_t account, uint64_t mailbox, uint32_t uid);
Tern__ChangesResponse *changes(struct fixture *f, uint64_t account, uint64_t mailbox, uint64_t since,
                               const char *known);
/* The UIDs of the rows that came with the newest read. */
const char *row_uids(struct fixture *f);
/* Rows of a family. */
size_t count_rows(struct fixture *f, enum kv_family family);

#endif
