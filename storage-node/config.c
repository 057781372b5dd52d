/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/config.h"

#include <string.h>

#include "storage-node/partition/worker/worker.h"

enum { READERS_MAX = 256 };

static const struct config_key keys[] = {
    PROGRAM_KEYS(struct node_config, common),
    CONFIG_KEY_STRING(struct node_config, name, "name", "", "name shown to operators; \"\": the host's name"),
    CONFIG_KEY_STRING(struct node_config, zone, "zone", "",
                      "failure zone: copies of a partition are spread over zones"),
    CONFIG_KEY_STRING(struct node_config, data, "data", "/var/lib/tern/storage",
                      "folder of the database; made if missing"),
    CONFIG_KEY_STRING(struct node_config, listen, "listen", "tcp://127.0.0.1:7500",
                      "where requests are taken, tcp://address:port; port 0: a free one. Without keys only a "
                      "loopback address"),
    CONFIG_KEY_STRING(struct node_config, advertise, "advertise", "",
                      "where the others find this node, tcp://host:port; \"\": what listen was bound to"),
    CONFIG_KEY_STRING(struct node_config, peer_listen, "peer_listen", "tcp://127.0.0.1:0",
                      "where entries of other storage nodes are taken, as listen; port 0: a free one"),
    CONFIG_KEY_STRING(struct node_config, peer_advertise, "peer_advertise", "",
                      "where the other storage nodes find it; \"\": what peer_listen was bound to"),
    CONFIG_KEY_STRING(struct node_config, beat_listen, "beat_listen", "tcp://127.0.0.1:0",
                      "where beats of other storage nodes are taken, as listen; port 0: a free one"),
    CONFIG_KEY_STRING(struct node_config, beat_advertise, "beat_advertise", "",
                      "where the other storage nodes find it; \"\": what beat_listen was bound to"),
    CONFIG_KEY_STRINGS(struct node_config, directors, "directors", "tcp://127.0.0.1:7400",
                       "the directors, each tcp://host:port"),
    CONFIG_KEY_INT(struct node_config, workers, "workers", "2", 1, WORKERS_MAX,
                   "threads that own partitions"),
    CONFIG_KEY_INT(struct node_config, readers, "readers", "4", 1, READERS_MAX, "threads that answer reads"),
    CONFIG_KEY_SIZE(struct node_config, memory_limit, "memory_limit", "512M", 32 << 20, INT64_MAX,
                    "bytes of memory for caches and write buffers together"),
    CONFIG_KEY_SIZE(struct node_config, wal_size_max, "wal_size_max", "256M", 16 << 20, INT64_MAX,
                    "bytes of write-ahead log kept before a flush is forced; start time hangs on it"),
    CONFIG_KEY_SIZE(struct node_config, disk_reserve, "disk_reserve", "512M", 0, INT64_MAX,
                    "new mail is refused while the disk has less than this free; reading and deleting go on"),
    CONFIG_KEY_SIZE(struct node_config, copy_rate, "copy_rate", "0", 0, INT64_MAX,
                    "bytes a second that copies for other nodes may take together; 0: as fast as they go "
                    "without making others wait"),
    CONFIG_KEY_DURATION(
        struct node_config, handover_timeout_ms, "handover_timeout", "5s", 0, 60 * 1000,
        "at stop, so long at most for other nodes to take over what this one serves; 0s: they "
        "notice when it is gone"),
    CONFIG_KEY_DURATION(
        struct node_config, check_interval_ms, "check_interval", "1d", 0, INT64_C(366) * 86400 * 1000,
        "how often the copies of a partition are read as a whole and compared; 0: only by \"ternctl "
        "partition check\""),
    CONFIG_KEY_SIZE(struct node_config, check_rate, "check_rate", "16M", 0, INT64_MAX,
                    "bytes a second that this node reads for such checks; 0: no bound"),
    CONFIG_KEY_INT(struct node_config, machine_version_max, "machine_version_max", "0", 0, UINT8_MAX,
                   "the highest state-machine version to speak: holds an upgrade back, so that one can still "
                   "go back from it; 0: the program's"),
    CONFIG_KEY_STRING(
        struct node_config, linearizable_reads, "linearizable_reads", "lease",
        "why a read may be sure that no other node serves: \"lease\", which trusts that no clock "
        "stands still, or \"barrier\": something was committed since it came"),
};

const struct config_table node_config_table = CONFIG_TABLE(struct node_config, keys);

bool node_config_reads_commit(const struct node_config *config)
{
    return strcmp(config->linearizable_reads, "barrier") == 0;
}

void node_config_check(const struct node_config *config, struct buf *errors)
{
    if (config->directors.count == 0)
        buf_add_str(errors, "directors: name at least one\n");
    if (strcmp(config->linearizable_reads, "lease") != 0 && !node_config_reads_commit(config))
        buf_addf(errors, "linearizable_reads: \"%s\" is not known, \"lease\" and \"barrier\" are\n",
                 config->linearizable_reads);
}
