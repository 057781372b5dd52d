/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which the log writer takes what it is given. */
#include "storage-node/partition/log/log_writer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "storage-node/partition/log/copy_writer.h"

#define MS UINT64_C(1000000)

enum { JOBS_MAX = 16, PERSIST_MS = 10, ENDS_MS = 160 };

static atomic_uint persists, persist_us;

enum err __real_kv_persist(struct kv *kv);
enum err __wrap_kv_persist(struct kv *kv);

enum err __wrap_kv_persist(struct kv *kv)
{
    atomic_fetch_add(&persists, 1);
    usleep(atomic_load(&persist_us));
    return __real_kv_persist(kv);
}

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

/* Copies end one after the other: few writings-out, not one after the other, and each of them in one. */
static void test_ends_share_a_writing_out(void **state)
{
    struct given given = { 0 };
    struct kv *kv = kv_open_mem();
    struct log_writer *w = log_writer_start(kv, NULL, give_back, &given);
    atomic_store(&persists, 0);
    atomic_store(&persist_us, PERSIST_MS * 1000);
    uint64_t begin = clock_mono_ns(), tokens = 0;
    while (clock_mono_ns() - begin < ENDS_MS * MS && tokens < JOBS_MAX) {
        struct inbox_chain chain = { 0 };
        add(&chain, ++tokens, LOG_JOB_CLOSING, 1000);
        log_writer_submit(w, &chain);
        usleep(ENDS_MS * 1000 / JOBS_MAX);
    }
    uint64_t took_ms = (clock_mono_ns() - begin) / MS;
    log_writer_stop(&w);
    kv_close(&kv);
    atomic_store(&persist_us, 0);
    /* the first at once, the last as it stops */
    assert_in_range(atomic_load(&persists), 1, took_ms / (PERSIST_MS * (1 + COPY_WRITER_SHARE)) + 3);
    uint64_t next = 1;
    for (size_t i = 0; i < given.count; i++) {
        if (given.tokens[i] != 0)
            assert_int_equal(given.tokens[i], next++);
    }
    assert_int_equal(next, tokens + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_batch),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_behind_stays_behind),
        cmocka_unit_test(test_large_batches_are_parted),
        cmocka_unit_test(test_ends_share_a_writing_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
