/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a store over the fake cluster: one write and one read of an account at node 1. */
#ifndef TESTS_UNIT_LIB_STORE_CALL_FIXTURE_H
#define TESTS_UNIT_LIB_STORE_CALL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/store/store.h"
#include "proto/methods.h"
#include "tests/unit/lib/store/fake_cluster.h"

extern struct store *store;
extern const struct account_ref account;

/* A test over a cluster that says yes to everything. */
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, call_setup, fake_teardown)
int call_setup(void **state);
void say_ok(int node, struct rpc_request *request, unsigned nth);

/* MAILBOX_DELETE, MAILBOX_LIST. */
enum err a_write(void);
enum err a_read(void);
/* Had these two writes the same request id? */
bool same_id(unsigned a, unsigned b);

#endif
