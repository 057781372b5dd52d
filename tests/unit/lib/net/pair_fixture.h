/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of one connection: its two ends, in a loop that is there for one test. */
#ifndef TESTS_UNIT_LIB_NET_PAIR_FIXTURE_H
#define TESTS_UNIT_LIB_NET_PAIR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lib/net/net_fixture.h"

extern struct loop *loop;

/* A test over the ends a and b. */
#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
extern struct stream *a, *b;
int pair_setup(void **state);
int pair_teardown(void **state);
/* The same with ends of another name. */
int pair_open(struct stream **one_out, struct stream **other_out);
int pair_close(struct stream **one, struct stream **other);

/* Run both (fb may be NULL) in fibers of their own until they have ended. */
void run(void (*fa)(void *), void (*fb)(void *));
/* A deadline that no test reaches. */
uint64_t soon(void);

#endif
