/* SPDX-License-Identifier: Apache-2.0 */
/* The storage node's configuration file: deploy/config/storage-node.conf shows every key. */
#ifndef STORAGE_NODE_CONFIG_H
#define STORAGE_NODE_CONFIG_H

#include "lib/ops/program.h"

struct node_config {
    struct program_config common;
    char *name;
    char *zone;
    char *data;
    char *listen;
    char *advertise;
    char *peer_listen, *peer_advertise;
    char *beat_listen, *beat_advertise;
    struct config_strings directors;
    int64_t workers;
    int64_t readers;
    uint64_t memory_limit;
    uint64_t wal_size_max;
    uint64_t disk_reserve;
    uint64_t handover_timeout_ms;
    uint64_t copy_rate;
    uint64_t check_interval_ms;
    uint64_t check_rate;
    int64_t machine_version_max;
    char *linearizable_reads;
};

extern const struct config_table node_config_table;

/* Must a read wait for a commit, because clocks are not trusted? */
bool node_config_reads_commit(const struct node_config *config);
/* Adds a line a mistake that the table cannot see. */
void node_config_check(const struct node_config *config, struct buf *errors);

#endif
