/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/log.h"
#include "lib/mail/charset.h"
#include "lib/ops/memory.h"
#include "lib/ops/signals.h"
#include "storage-node/node.h"

static void check(const void *conf, struct buf *errors)
{
    node_config_check(conf, errors);
}

enum {
    MEMORY_KEPT_SHARE = 16, /* of memory_limit: as much as a write buffer of bodies */
    MEMORY_KEPT_MAX = 64 << 20,
};

/* For the next write buffer or copy, of which this is a twentieth of the work. */
static size_t memory_kept(uint64_t memory_limit)
{
    uint64_t kept = memory_limit / MEMORY_KEPT_SHARE;
    return kept < MEMORY_KEPT_MAX ? (size_t)kept : MEMORY_KEPT_MAX;
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

int main(int argc, char **argv)
{
    struct node_config config;
    struct node *node = NULL;
    struct signals_handlers handlers = { .on_drain = on_drain, .on_reload = on_reload };
    program_init(&program, argc, argv, &config);
    memory_keep_freed(memory_kept(config.memory_limit));
    mail_init();
    sem_init(&drain, 0, 0);
    enum err err = signals_start(&handlers);
    if (err == OK)
        err = node_start(&config, &node);
    if (err == OK) {
        set_running(node);
        memory_tend_until(&drain);
        log_info("node", "ending");
        set_running(NULL);
        node_stop(&node);
    }
    config_fini(&node_config_table, &config);
    return err == OK ? 0 : 1;
}
