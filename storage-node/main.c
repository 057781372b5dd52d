/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mail/charset.h"
#include "lib/ops/signals.h"
#include "storage-node/node.h"

static void check(const void *conf, struct buf *errors)
{
    node_config_check(conf, errors);
}

enum {
    MALLOC_MAPPING_MIN = 4 << 20, /* bytes: above a block of a write buffer (1 MiB), bundles and chunks */
    MALLOC_KEPT_SHARE = 16,       /* of memory_limit: as much as a write buffer of bodies */
    MALLOC_KEPT_MAX = 64 << 20,
    MALLOC_TRIM_S = 60, /* what malloc keeps leaves it so often */
};

/* Write buffers and messages of other nodes are taken and given back many times a second. malloc would give
 * their pages back to the kernel each time, which hands zeroed ones out again: a twentieth of what a copy
 * costs. Each of malloc's arenas (about one a busy thread) may keep so much, for a minute. */
static void keep_freed_memory(uint64_t memory_limit)
{
    uint64_t kept = memory_limit / MALLOC_KEPT_SHARE;
    mallopt(M_MMAP_THRESHOLD, MALLOC_MAPPING_MIN);
    mallopt(M_TRIM_THRESHOLD, (int)(kept < MALLOC_KEPT_MAX ? kept : MALLOC_KEPT_MAX));
}

static const struct program program = {
    .name = "tern-storage-node",
    .summary = "keeps the mail of Tern's partitions",
    .config_file = "/etc/tern/storage-node.conf",
    .table = &node_config_table,
    .common_offset = offsetof(struct node_config, common),
    .check = check,
};

static sem_t drain;

/* Set once it runs: a signal may come before. */
static struct node *running;
static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER;

static void set_running(struct node *node)
{
    pthread_mutex_lock(&running_lock);
    running = node;
    pthread_mutex_unlock(&running_lock);
}

static void on_drain(void *arg)
{
    sem_post(&drain);
}

static void on_reload(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&running_lock);
    if (running != NULL)
        node_reload(running);
    pthread_mutex_unlock(&running_lock);
}

/* What was freed in pieces between others, and what is kept for the next copy, would stay with the process
 * for good after a copy or a day's peak. The arenas are locked one by one, for milliseconds. */
static void give_memory_back(void)
{
    uint64_t began = clock_mono_ns();
    malloc_trim(0);
    log_debug("node", "freed memory went back to the kernel in %llu us",
              (unsigned long long)((clock_mono_ns() - began) / 1000));
}

/* False: nobody wants this node to end so far. */
static bool drain_comes_within(int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    while (sem_clockwait(&drain, CLOCK_MONOTONIC, &until) != 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct node_config config;
    struct node *node = NULL;
    struct signals_handlers handlers = { .on_drain = on_drain, .on_reload = on_reload };
    program_init(&program, argc, argv, &config);
    keep_freed_memory(config.memory_limit);
    mail_init();
    sem_init(&drain, 0, 0);
    enum err err = signals_start(&handlers);
    if (err == OK)
        err = node_start(&config, &node);
    if (err == OK) {
        set_running(node);
        while (!drain_comes_within(MALLOC_TRIM_S))
            give_memory_back();
        log_info("node", "ending");
        set_running(NULL);
        node_stop(&node);
    }
    config_fini(&node_config_table, &config);
    return err == OK ? 0 : 1;
}
