/* SPDX-License-Identifier: Apache-2.0 */
/* How long mail waits for its home: at least a fail-over's time, more when the cluster is busy, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/queue/queue.h"
#include "frontend/smtp/patience.h"

static void learn(struct patience *p, unsigned times, uint64_t took_ms)
{
    for (unsigned i = 0; i < times; i++)
        patience_learn(p, took_ms);
}

static void test_quick_cluster(void **state)
{
    (void)state;
    struct patience p = { 0 };
    assert_int_equal(patience_wait_ms(&p), QUEUE_HOME_WAIT_MS);
    learn(&p, 100, 20);
    assert_int_equal(patience_wait_ms(&p), QUEUE_HOME_WAIT_MS);
    /* Those whose homes fail over meanwhile change little for the others. */
    learn(&p, 1, 2000);
    assert_int_equal(patience_wait_ms(&p), QUEUE_HOME_WAIT_MS);
}

static void test_busy_cluster(void **state)
{
    (void)state;
    struct patience p = { 0 };
    learn(&p, 100, 1000);
    assert_in_range(patience_wait_ms(&p), 4900, 5000);
    learn(&p, 100, 60000);
    assert_int_equal(patience_wait_ms(&p), PATIENCE_MAX_MS);
    learn(&p, 100, 20);
    assert_int_equal(patience_wait_ms(&p), QUEUE_HOME_WAIT_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quick_cluster),
        cmocka_unit_test(test_busy_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
