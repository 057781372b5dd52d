/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/leave.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

struct leaving {
    const struct leave_options *options;
    uint64_t *asked_epoch; /* by partition: of the newest request */
    uint64_t asked_ms;     /* of the oldest that may have to be repeated */
};

static bool is_listed(const uint32_t *nodes, size_t count, uint32_t node)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == node)
            return true;
    }
    return false;
}

/* As a mere member, which waits for no heir. */
static bool counts_on_us(const struct leaving *l, const Tern__PartitionConf *conf)
{
    return conf->primary != l->options->node_id && conf->partition < PARTITION_COUNT_MAX &&
           is_listed(conf->members, conf->n_members, l->options->node_id);
}

static bool may_go(const Tern__Map *map, const Tern__PartitionConf *conf)
{
    size_t least = map->min_members > 1 ? map->min_members : 1;
    return conf->n_members > least;
}

/* Ask to be let go of every partition that can do without; how many still count on this node, or soon can do
 * without: whoever was restarted before this node is about to be a member again. */
static size_t step_out(struct leaving *l, const Tern__Map *map)
{
    size_t left = 0, asked = 0;
    uint64_t now = clock_mono_ms();
    if (now >= l->asked_ms + LEAVE_ASK_MS) {
        memset(l->asked_epoch, 0, PARTITION_COUNT_MAX * sizeof *l->asked_epoch);
        l->asked_ms = now;
    }
    for (size_t i = 0; i < map->n_partitions; i++) {
        const Tern__PartitionConf *conf = map->partitions[i];
        bool may = may_go(map, conf);
        if (!counts_on_us(l, conf) || (!may && conf->n_learners == 0))
            continue;
        left++;
        if (!may)
            continue;
        asked += l->asked_epoch[conf->partition] == conf->epoch;
        if (l->asked_epoch[conf->partition] == conf->epoch || asked >= LEAVE_ASKS_MAX)
            continue;
        asked++;
        l->asked_epoch[conf->partition] = conf->epoch;
        struct partition_ask ask = { .partition = conf->partition,
                                     .type = REPLICA_ASK_EVICT,
                                     .epoch = conf->epoch,
                                     .node = l->options->node_id };
        control_ask(l->options->control, &ask);
    }
    return left;
}

static size_t step_out_of_all(struct leaving *l)
{
    struct map_ref *ref = map_holder_get(l->options->map);
    size_t left = ref == NULL ? 0 : step_out(l, map_ref_map(ref));
    map_ref_release(&ref);
    return left;
}

void leave_cluster(const struct leave_options *options)
{
    uint64_t begun = clock_mono_ms(), end = begun + options->timeout_ms;
    struct leaving l = { .options = options, .asked_epoch = NEW_ARRAY(uint64_t, PARTITION_COUNT_MAX) };
    uint32_t seats;
    size_t left = 0;
    if (control_silence_ms(options->control) > LEAVE_SILENCE_MS) {
        log_warn("leave", "no director answers: seats cannot be handed over");
        free(l.asked_epoch);
        return;
    }
    control_leave(options->control);
    worker_pool_leave(options->workers);
    while ((seats = worker_pool_seats(options->workers)) > 0 && clock_mono_ms() < end)
        usleep(LEAVE_POLL_MS * 1000);
    uint64_t handed = clock_mono_ms();
    while ((left = step_out_of_all(&l)) > 0 && clock_mono_ms() < end)
        usleep(LEAVE_POLL_MS * 1000);
    log_info(
        "leave", "handed over in %llu ms, stepped out in %llu ms; not in time: %u seats, %zu memberships",
        (unsigned long long)(handed - begun), (unsigned long long)(clock_mono_ms() - handed), seats, left);
    free(l.asked_epoch);
}
