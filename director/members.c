/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of the servers that keep the coordination store: members of an etcd. */
#include "director/director_priv.h"

void members_gauges(struct director *d)
{
    struct coordination_member members[COORDINATION_MEMBERS_MAX];
    size_t count = coordination_members(d->coordination, members);
    int64_t well = 0;
    for (size_t i = 0; i < count; i++)
        well += members[i].health == COORDINATION_WELL;
    metric_set(d->figures.members, (int64_t)count);
    metric_set(d->figures.members_well, well);
}

uint64_t members_unwell_ms(const struct coordination_member *member, uint64_t now_mono_ms)
{
    return now_mono_ms > member->since_mono_ms ? now_mono_ms - member->since_mono_ms : 0;
}

/* "http://10.0.0.1:2379 has not answered for 40 s (timed out)" */
static void add_failing(const struct coordination_member *member, uint64_t now_mono_ms, struct buf *out)
{
    bool silent = member->health == COORDINATION_SILENT;
    buf_addf(out, "%s %s for ", member->endpoint, silent ? "has not answered" : "has not been well");
    problems_add_time(out, members_unwell_ms(member, now_mono_ms));
    buf_addf(out, " (%s)", member->why);
}

/* It goes on while more than half of its members do. If so many are silent that nobody could lead, and
 * somebody does all the same, it is the way from this director to them that is broken. */
static void add_left(const struct director *d, size_t left, size_t silent, size_t count, struct buf *out)
{
    size_t needed = count / 2 + 1;
    buf_addf(out, "%zu of %zu %s left, ", left, count, left == 1 ? "is" : "are");
    if (left == needed)
        buf_add_str(out, "the loss of one more stops changes.");
    else if (left > needed)
        buf_addf(out, "the loss of %zu more stops changes.", left - needed + 1);
    else if (count - silent < needed && coordination_is_led(d->coordination))
        buf_add_str(out,
                    "too few, but a director leads: it is the way from this one to etcd that is broken.");
    else
        buf_addf(out, "%zu must be for anything to be changed.", needed);
}

bool members_problem(const struct director *d, uint64_t now_mono_ms, struct buf *out)
{
    struct coordination_member members[COORDINATION_MEMBERS_MAX];
    size_t count = coordination_members(d->coordination, members), lost = 0, silent = 0;
    for (size_t i = 0; i < count; i++) {
        if (!coordination_member_fails(&members[i]))
            continue;
        buf_add_str(out, lost++ == 0 ? "etcd at " : ", at ");
        add_failing(&members[i], now_mono_ms, out);
        silent += members[i].health == COORDINATION_SILENT;
    }
    if (lost == 0)
        return false;
    buf_add_str(out, ": ");
    add_left(d, count - lost, silent, count, out);
    buf_add_str(out, " Start what is down; of what runs, see the log.");
    return true;
}
