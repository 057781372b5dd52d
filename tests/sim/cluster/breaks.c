/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/breaks.h"

#include <stdio.h>
#include <strings.h>

enum {
    ANY = -1,
    MIXED = 0,
    LEASES = 1,
    COPYING = 2,
    POWER = 3,
    CONFS = 4,
    SIDES = 5,
    LATE = 6,
    UPGRADES = 7,
    CLOCKS = 8
};

static const struct {
    const char *name;
    int weather;
    struct breaks breaks;
} list[] = {
    { "R3", POWER, { .core.r3 = true } },
    { "R4", POWER, { .core.r4 = true } },
    { "R6", ANY, { .core.r6 = true } },
    { "R7", ANY, { .core.r7 = true } },
    { "R8", SIDES, { .core.r8 = true } },
    { "R12b", LEASES, { .core.r12b = true } },
    { "R13", ANY, { .core.r13 = true } },
    { "R14-lease", LEASES, { .storage.skip_lease = true } },
    { "R14-order", POWER, { .storage.late_lease = true } },
    { "reads-commit", CLOCKS, { .lease_reads = true } },
    { "R15", ANY, { .storage.forget_requests = true } },
    { "R16", SIDES, { .core.r16 = true } },
    { "R21", COPYING, { .core.r21 = true } },
    { "R24", LATE, { .core.r24 = true } },
    { "R24-mark", COPYING, { .storage.unmarked_install = true } },
    { "R24-persist", COPYING, { .storage.unpersisted_install = true } },
    { "R24-bodies", COPYING, { .storage.bodiless_copy = true } },
    { "R25", ANY, { .core.r25 = true, .storage.cut_ahead = true } },
    { "R27", MIXED, { .copies_only = true } },
    { "watch", CONFS, { .storage.drop_watches = true } },
    { "watch-epoch", POWER, { .blind_watch = true } },
    { "watch-answer", ANY, { .deaf_watch = true } },
    { "watch-map", CONFS, { .fixed_watch = true } },
    { "R30", UPGRADES, { .storage.own_version = true } },
    { "queue-fence", ANY, { .queue_fence = true } },
    { "queue-lease", ANY, { .queue_lease = true } },
    { "queue-put", ANY, { .queue_put = true } },
    { "queue-hold", ANY, { .queue_hold = true } },
    { "queue-delete", ANY, { .queue_delete = true } },
    { "delivery-id", ANY, { .delivery_id = true } },
    { "gate", COPYING, { .storage.ungated_apply = true } },
    { "sync", POWER, { .storage.skip_sync = true } },
    { "applied", POWER, { .storage.split_applied = true } },
    { "bodies", ANY, { .storage.forget_bodies = true } },
    { "replay", POWER, { .storage.skip_replay = true } },
};

bool breaks_find(const char *name, struct breaks *out, int *weather_out)
{
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (strcasecmp(list[i].name, name) != 0)
            continue;
        *out = list[i].breaks;
        *weather_out = list[i].weather;
        return true;
    }
    return false;
}

void breaks_list(void)
{
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        printf("%s\n", list[i].name);
}
