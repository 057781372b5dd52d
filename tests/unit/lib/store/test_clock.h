/* SPDX-License-Identifier: Apache-2.0 */
/* What clock_mono_ms says on the test's thread, and so on its loop; other threads keep the real one. For
 * tests that are linked with -Wl,--wrap=clock_mono_ms. libuv waits by a clock of its own, so a loop ahead of
 * it must be kept turning, and one behind it turns more often than it must. */
#ifndef TESTS_UNIT_LIB_STORE_TEST_CLOCK_H
#define TESTS_UNIT_LIB_STORE_TEST_CLOCK_H

#include <stdint.h>

/* The real one again; before a loop is made. */
void test_clock_reset(void);
void test_clock_ahead(uint64_t ms);
/* From now on it goes so many times slower: a busy machine uses up less of a short time. */
void test_clock_slow(unsigned times);
uint64_t test_clock_real_ms(void);

#endif
