/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/rocks_failures.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"

enum { REASON_COMPACTION = 1 }; /* rocksdb/listener.h */

/* How a rocksdb::Status begins (rocksdb/status.h). */
enum { CODE_OK = 0, CODE_CORRUPTION = 2, CODE_IO = 5, SUBCODE_NO_SPACE = 4 };
struct status {
    uint8_t code, subcode, severity;
    bool retryable, data_loss;
    uint8_t scope;
    const char *text; /* or NULL */
};

typedef const void *note_fn(void *handler, const void *status, int reason);

static struct {
    pthread_mutex_t lock;
    enum err err;
    char text[ROCKS_FAILURE_TEXT_MAX];
    atomic_uint count;
} newest = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The library's own. */
static note_fn *find_next(void)
{
    /* As POSIX has it: an object pointer that dlsym gives can be a function's. */
    union {
        void *symbol;
        note_fn *function;
    } next = { dlsym(RTLD_NEXT, ROCKS_FAILURES_SYMBOL) };
    return next.function;
}

bool rocks_failures_are_heard(void)
{
    return find_next() != NULL;
}

static enum err err_of(const struct status *status)
{
    if (status->code == CODE_CORRUPTION)
        return ERR_CORRUPT;
    return status->code == CODE_IO && status->subcode == SUBCODE_NO_SPACE ? ERR_NO_SPACE : ERR_IO;
}

static void note(const struct status *status)
{
    pthread_mutex_lock(&newest.lock);
    newest.err = err_of(status);
    snprintf(newest.text, sizeof newest.text, "%s",
             status->text == NULL ? "no reason is known" : status->text);
    atomic_fetch_add(&newest.count, 1);
    pthread_mutex_unlock(&newest.lock);
}

const void *rocks_failures_note(void *handler, const void *base, int reason)
{
    const struct status *status = base;
    note_fn *next = find_next();
    if (status->code != CODE_OK && reason != REASON_COMPACTION)
        note(status);
    if (next == NULL)
        log_fatal("kv", "RocksDB cannot write, and does not know how to say so");
    return next(handler, base, reason);
}

unsigned rocks_failures_count(void)
{
    return atomic_load(&newest.count);
}

enum err rocks_failures_newest(char text[ROCKS_FAILURE_TEXT_MAX])
{
    pthread_mutex_lock(&newest.lock);
    enum err err = newest.err;
    memcpy(text, newest.text, sizeof newest.text);
    pthread_mutex_unlock(&newest.lock);
    return err;
}
