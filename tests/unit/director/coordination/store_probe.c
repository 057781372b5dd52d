/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store_probe.h"

#include <string.h>
#include <time.h>

enum { PATIENCE_S = 40 };

static void tell(struct probe *p, const struct coordination_row *rows, size_t count, uint64_t revision)
{
    for (size_t i = 0; i < count; i++) {
        buf_addf(&p->lines, rows[i].deleted ? "%.*s-%.*s\n" : "%.*s=%.*s\n", SLICE_FMT(rows[i].key),
                 SLICE_FMT(rows[i].value));
        assert_true(rows[i].mod > 0 && rows[i].mod <= revision);
        p->last_mod = rows[i].mod;
    }
    p->told = revision;
    pthread_cond_broadcast(&p->wake);
}

static void on_change(const struct coordination_row *rows, size_t count, uint64_t revision, void *arg)
{
    struct probe *p = arg;
    pthread_mutex_lock(&p->lock);
    assert_true(revision >= p->told);
    tell(p, rows, count, revision);
    pthread_mutex_unlock(&p->lock);
}

static void on_reload(const struct coordination_row *rows, size_t count, uint64_t newest, uint64_t revision,
                      void *arg)
{
    struct probe *p = arg;
    pthread_mutex_lock(&p->lock);
    assert_true(newest <= revision);
    buf_clear(&p->lines);
    p->reloads++;
    tell(p, rows, count, revision);
    pthread_mutex_unlock(&p->lock);
}

void probe_on_done(struct coordination_txn *txn, enum err result, uint64_t revision, void *arg)
{
    struct probe *p = arg;
    pthread_mutex_lock(&p->lock);
    if (result == OK || result == ERR_CONFLICT)
        assert_true(revision <= p->told || txn->count == 0); /* told before it is answered */
    p->result = result;
    p->results[result]++;
    p->revision = revision;
    p->done_count++;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void probe_open(struct probe *p, struct coordination *store)
{
    uint64_t newest;
    *p =
        (struct probe){ .store = store, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
    struct coordination_watcher watcher = { on_change, on_reload, p };
    assert_int_equal(coordination_load(store, &watcher, &newest), OK);
    assert_true(newest >= p->last_mod);
}

void probe_close(struct probe *p)
{
    coordination_close(&p->store);
    buf_fini(&p->lines);
}

void probe_wait_done(struct probe *p, size_t count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&p->lock);
    while (p->done_count < count) {
        if (pthread_cond_timedwait(&p->wake, &p->lock, &until) != 0)
            fail_msg("not done within %d s", PATIENCE_S);
    }
    pthread_mutex_unlock(&p->lock);
}

enum err probe_run(struct probe *p, struct coordination_change *changes, size_t count)
{
    struct coordination_txn txn = { .changes = changes, .count = count, .done = probe_on_done, .arg = p };
    size_t before = p->done_count;
    enum err err = coordination_submit(p->store, &txn);
    if (err != OK)
        return err;
    probe_wait_done(p, before + 1);
    return p->result;
}

enum err probe_put(struct probe *p, const char *key, uint64_t expected, const char *value)
{
    struct coordination_change change = { slice_str(key), expected, COORDINATION_PUT, slice_str(value) };
    return probe_run(p, &change, 1);
}

char *probe_lines(struct probe *p)
{
    pthread_mutex_lock(&p->lock);
    char *lines = slice_dup(buf_slice(&p->lines));
    pthread_mutex_unlock(&p->lock);
    return lines;
}
