/* SPDX-License-Identifier: Apache-2.0 */
/* "ternctl partition check": do the copies of a partition hold the same? */
#include <stdio.h>
#include <string.h>

#include "ctl/command.h"
#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"

enum {
    POLL_MS = 200,
    SILENCE_MS = 30 * 1000, /* without a new sum: some copies take long or do not take part */
};

static bool same(const struct partition_sums *a, const struct partition_sums *b)
{
    return a->chain == b->chain && a->state == b->state && a->bodies == b->bodies;
}

/* True if all that spoke can read all of it and hold the same. */
static bool print_check(const struct partition_check *check)
{
    struct buf rows = { 0 };
    bool good = true;
    buf_add_str(&rows, "NODE\tCHAIN\tSTATE\tBODIES\tCOPY\n");
    for (size_t i = 0; i < check->count; i++) {
        const struct partition_sums *s = &check->sums[i];
        good = good && !s->damaged && same(s, &check->sums[0]);
        buf_addf(&rows, "%u\t%016llx\t%016llx\t%016llx\t%s\n", s->node, (unsigned long long)s->chain,
                 (unsigned long long)s->state, (unsigned long long)s->bodies,
                 s->damaged ? "cannot be read" : "readable");
    }
    if (check->count > 0)
        ctl_print_table(&rows);
    buf_fini(&rows);
    return good;
}

/* Sums come in as fast as the nodes' check_rate lets them read. */
static enum err wait_complete(struct ctl *ctl, uint32_t partition, struct partition_check *check)
{
    uint64_t heard_ms = clock_mono_ms();
    size_t count = 0;
    while (!check->complete && clock_mono_ms() - heard_ms < SILENCE_MS) {
        fiber_sleep_ms(POLL_MS);
        TRY(store_partition_check(ctl->store, &ctl->arena, partition, check->index, check));
        if (check->count > count)
            heard_ms = clock_mono_ms();
        count = check->count;
    }
    return OK;
}

enum ctl_exit partition_check(struct ctl *ctl)
{
    struct partition_check check;
    uint64_t number;
    if (!slice_parse_u64(slice_str(ctl->arguments[0]), UINT32_MAX, &number))
        return ctl_refuse(CTL_USAGE, ctl->arguments[0], "no number of a partition", NULL);
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_partition_check(ctl->store, &ctl->arena, (uint32_t)number, 0, &check);
    if (err == OK)
        err = wait_complete(ctl, (uint32_t)number, &check);
    if (err != OK)
        return ctl_fail(ctl, err, "check a partition");
    bool good = print_check(&check);
    if (!good)
        return ctl_refuse(CTL_FAILED, "check a partition", "the copies differ or cannot be read",
                          "See docs/operations.md, \"When something breaks\".");
    if (!check.complete)
        return ctl_refuse(CTL_FAILED, "check a partition", "not every member has answered yet",
                          "Large copies take long (check_rate), a member that catches up is passed over, a "
                          "damaged copy leaves "
                          "first: try again in a minute.");
    return CTL_OK;
}
