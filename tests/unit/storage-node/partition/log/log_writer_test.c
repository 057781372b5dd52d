/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which the log writer takes what it is given. */
#include "storage-node/partition/log/log_writer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"

enum { JOBS_MAX = 16 };

/* What was given back, in order. Token 0 closes a batch. */
struct given {
    uint64_t tokens[2 * JOBS_MAX];
    size_t count;
};

static void give_back(void *arg, struct inbox_item *jobs)
{
    struct given *given = arg;
    for (struct inbox_item *next; jobs != NULL; jobs = next) {
        struct log_job *job = (struct log_job *)jobs;
        next = jobs->next;
        given->tokens[given->count++] = job->token;
        log_job_free(&job);
    }
    given->tokens[given->count++] = 0;
}

static void add(struct inbox_chain *chain, uint64_t token, enum log_job_way way, size_t size)
{
    struct log_job *job = log_job_new(NULL, token);
    struct buf value = { 0 };
    for (size_t i = 0; i < size; i++)
        buf_add_byte(&value, (uint8_t)i);
    log_job_put_copy(job, KV_LOG, SLICE_LIT("key"), buf_slice(&value));
    job->way = way;
    inbox_chain_add(chain, &job->item);
    buf_fini(&value);
}

static void write_all(struct inbox_chain *chain, struct given *given)
{
    struct kv *kv = kv_open_mem();
    struct log_writer *w = log_writer_start(kv, NULL, give_back, given);
    log_writer_submit(w, chain);
    log_writer_stop(&w);
    kv_close(&kv);
}

static void expect(const struct given *given, const uint64_t *tokens, size_t count)
{
    assert_int_equal(given->count, count);
    assert_memory_equal(given->tokens, tokens, count * sizeof *tokens);
}

static void test_one_batch(void **state)
{
    struct inbox_chain chain = { 0 };
    struct given given = { 0 };
    for (uint64_t token = 1; token <= 5; token++)
        add(&chain, token, LOG_JOB_LOGGED, 1000);
    write_all(&chain, &given);
    expect(&given, (uint64_t[]){ 1, 2, 3, 4, 5, 0 }, 6);
}

/* What goes past the log comes back by itself; what is behind it, after it. */
static void test_ways(void **state)
{
    struct inbox_chain chain = { 0 };
    struct given given = { 0 };
    add(&chain, 1, LOG_JOB_UNLOGGED, 1000);
    add(&chain, 2, LOG_JOB_UNLOGGED, 1000);
    add(&chain, 3, LOG_JOB_CLOSING, 1000);
    write_all(&chain, &given);
    expect(&given, (uint64_t[]){ 1, 0, 2, 0, 3, 0 }, 6);
}

static void test_behind_stays_behind(void **state)
{
    struct inbox_chain chain = { 0 };
    struct given given = { 0 };
    add(&chain, 1, LOG_JOB_UNLOGGED, 1000);
    add(&chain, 2, LOG_JOB_BEHIND, LOG_BATCH_BYTES_MAX);
    add(&chain, 3, LOG_JOB_CLOSING, LOG_BATCH_BYTES_MAX);
    add(&chain, 4, LOG_JOB_BEHIND, LOG_BATCH_BYTES_MAX);
    write_all(&chain, &given);
    expect(&given, (uint64_t[]){ 1, 0, 2, 0, 3, 0, 4, 0 }, 8);
}

static void test_large_batches_are_parted(void **state)
{
    struct inbox_chain chain = { 0 };
    struct given given = { 0 };
    add(&chain, 1, LOG_JOB_LOGGED, LOG_BATCH_BYTES_MAX - 100);
    add(&chain, 2, LOG_JOB_LOGGED, 1000);
    add(&chain, 3, LOG_JOB_LOGGED, LOG_BATCH_BYTES_MAX + 1);
    write_all(&chain, &given);
    expect(&given, (uint64_t[]){ 1, 0, 2, 0, 3, 0 }, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_batch),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_behind_stays_behind),
        cmocka_unit_test(test_large_batches_are_parted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
