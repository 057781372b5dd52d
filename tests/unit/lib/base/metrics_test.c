/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "lib/base/metrics.h"

static double read_seven(void *arg)
{
    return 7.5;
}

static void expect_text(const char *text)
{
    struct buf out = { 0 };
    metrics_print(&out);
    if (strstr(buf_cstr(&out), text) == NULL)
        fail_msg("not found:\n%s\nin:\n%s", text, buf_cstr(&out));
    buf_fini(&out);
}

static void test_counter_and_labels(void **state)
{
    struct metric_counter *fetch =
        metrics_counter("t_requests_total", "Requests", METRIC_LABELS("method", "FETCH"));
    struct metric_counter *odd =
        metrics_counter("t_requests_total", "Requests", METRIC_LABELS("method", "a\"\\\nb"));
    assert_ptr_equal(fetch,
                     metrics_counter("t_requests_total", "Requests", METRIC_LABELS("method", "FETCH")));
    metric_count(fetch, 3);
    metric_count(odd, 1);
    expect_text("# HELP t_requests_total Requests\n"
                "# TYPE t_requests_total counter\n"
                "t_requests_total{method=\"FETCH\"} 3\n"
                "t_requests_total{method=\"a\\\"\\\\\\nb\"} 1\n");
}

static void test_gauge(void **state)
{
    struct metric_gauge *g = metrics_gauge("t_sessions", "Sessions", NULL);
    metric_set(g, 5);
    metric_add(g, -7);
    expect_text("# TYPE t_sessions gauge\nt_sessions -2\n");
    metrics_gauge_func("t_seven", "Seven", NULL, read_seven, NULL);
    expect_text("t_seven 7.5\n");
}

static void test_histogram(void **state)
{
    static const uint64_t bounds[] = { 1000, 1000000 };
    struct metric_histogram *h =
        metrics_histogram("t_seconds", "Time", METRIC_LABELS("op", "x"), bounds, 2, 1e-6);
    metric_observe(h, 1000);
    metric_observe(h, 1001);
    metric_observe(h, 2000000);
    expect_text("t_seconds_bucket{op=\"x\",le=\"0.001\"} 1\n"
                "t_seconds_bucket{op=\"x\",le=\"1\"} 2\n"
                "t_seconds_bucket{op=\"x\",le=\"+Inf\"} 3\n"
                "t_seconds_sum{op=\"x\"} 2.002001\n"
                "t_seconds_count{op=\"x\"} 3\n");
}

static void test_process(void **state)
{
    metrics_register_process("t");
    expect_text("tern_build_info{program=\"t\",version=\"" TERN_VERSION "\"} 1\n");
    expect_text("process_resident_memory_bytes ");
}

static void *count_many(void *arg)
{
    struct metric_counter *c = metrics_counter("t_threads_total", "Threads", NULL);
    for (int i = 0; i < 10000; i++)
        metric_count(c, 1);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_text("t_threads_total 40000\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter_and_labels),
        cmocka_unit_test(test_gauge),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
