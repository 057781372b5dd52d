/* SPDX-License-Identifier: Apache-2.0 */
/* The state-machine version that entries name (R30).
 *
 * It belongs to the log: it begins at 1, and an entry (ENTRY_VERSION) raises it for itself and all behind it.
 * The active primary proposes that entry once every member and learner of its configuration, which it learns
 * from what they send, speaks more; all members store it before it counts, like any other. So no member is
 * ever sent what it cannot apply, unless its program was put back to an older one: then it takes nothing more
 * of this partition, or does not even begin with it, keeps what it has, and says so. */
#include <stdio.h>

#include "lib/base/log.h"
#include "storage-node/partition/partition_priv.h"

enum { VERSION_INTERVAL_MS = 1000 };

static const uint64_t ns_per_ms = 1000000;

/* ---- what is not for this program */

static void tell(struct partition *p, const char *what, uint8_t version)
{
    char text[FAULT_TEXT_MAX];
    char number[32] = "a later version";
    if (version != 0)
        snprintf(number, sizeof number, "state-machine version %u", version);
    snprintf(text, sizeof text,
             "%s of %s, and this node speaks up to %u: upgrade its program, or raise machine_version_max",
             what, number, p->version_max);
    faults_set(p->fault_list, p->id, FAULT_VERSION, text);
    log_error("partition", "%s partition=%u", text, p->id);
}

bool partition_version_take(struct partition *p, uint8_t version)
{
    if (version <= p->version_max)
        return true;
    if (version > p->version_refused)
        tell(p, "what other copies have is", version);
    if (version > p->version_refused)
        p->version_refused = version;
    return false;
}

void partition_version_refuse(struct partition *p, uint8_t version)
{
    p->too_new = p->stopped = true;
    p->version_refused = version;
    atomic_store(&p->pub->read_until, 0);
    atomic_store(&p->pub->stopped, true);
    tell(p, "what is on its disk is", version);
}

/* ---- the version of the log */

enum err partition_version_at(struct partition *p, uint64_t last, uint8_t *version_out)
{
    struct kv_value value = { 0 };
    struct log_entry *e = log_ring_find(&p->ring, last);
    struct slice entry;
    uint64_t epoch;
    *version_out = e != NULL ? entry_version(log_entry_bytes(e)) : p->applied.version;
    if (e != NULL || last <= p->applied.index || last <= p->record.base_index)
        return OK;
    log_key(p->id, last, &p->key);
    enum err err = kv_get(p->kv, NULL, KV_LOG, buf_slice(&p->key), &value);
    if (err == ERR_NOT_FOUND)
        err = ERR_CORRUPT; /* the log has no gaps */
    if (err == OK)
        err = log_row_decode(value.bytes, &epoch, &entry);
    if (err == OK)
        *version_out = entry_version(entry);
    kv_value_release(&value);
    return err;
}

void partition_version_begin(struct partition *p, uint64_t last, struct partition_now now)
{
    uint8_t version;
    if (partition_version_at(p, last, &version) != OK) {
        partition_entry_damaged(p); /* it will not be sent to others, and so this term does not begin */
        version = p->applied.version;
    }
    p->version = version > 0 ? version : 1;
    p->next_version_ns = now.boot_ns;
}

/* ---- raising it */

static uint8_t spoken_by(const struct partition *p, struct replica_node node)
{
    const struct peer_transport *peers = p->host->peers;
    if (replica_node_eq(node, p->self))
        return p->version_max;
    return peers->speaks == NULL ? 0 : peers->speaks(peers->arg, node);
}

/* The highest that all speak; 0: somebody has not been heard. */
static uint8_t spoken_by_all(const struct partition *p)
{
    const struct replica_conf *conf = replica_conf(p->replica);
    uint8_t lowest = p->version_max;
    if (STORAGE_FAULT(p->faults, own_version))
        return lowest;
    for (int i = 0; i < conf->member_count; i++) {
        uint8_t version = spoken_by(p, conf->members[i]);
        lowest = version < lowest ? version : lowest;
    }
    for (int i = 0; i < conf->learner_count; i++) {
        uint8_t version = spoken_by(p, conf->learners[i]);
        lowest = version < lowest ? version : lowest;
    }
    return lowest;
}

uint64_t partition_version_next(const struct partition *p)
{
    bool active = atomic_load_explicit(&p->pub->active, memory_order_relaxed);
    return active && p->version < p->version_max ? p->next_version_ns : REPLICA_NEVER;
}

enum err partition_version_tick(struct partition *p, struct partition_now now)
{
    struct replica_info info;
    uint8_t version = spoken_by_all(p);
    p->next_version_ns = now.boot_ns + VERSION_INTERVAL_MS * ns_per_ms;
    replica_info(p->replica, &info);
    if (!info.active || info.handing || version <= p->version)
        return OK;
    log_info("partition", "all copies speak state-machine version %u: it is raised from %u partition=%u",
             version, p->version, p->id);
    return partition_propose_version(p, version, now);
}
