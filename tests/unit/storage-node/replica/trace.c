/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/replica/trace.h"

#include <string.h>

#define STEP_NS (10 * MS)

static bool cuts[VC_NODES_MAX + 1][VC_NODES_MAX + 1];

static bool route(struct vc *vc, struct vmsg *m)
{
    (void)vc;
    return !cuts[m->from][m->to];
}

void trace_init_cfg(struct vc *vc, int count, const char *members, const struct replica_cfg *cfg)
{
    unsigned mask = 0;
    for (const char *m = members; *m != '\0'; m++)
        mask |= 1u << (*m - 'A');
    memset(cuts, 0, sizeof cuts);
    vc_init(vc, count, mask, cfg);
    vc->route = route;
    vc->now = 1000 * MS;
    for (int i = 0; i < count; i++) {
        vc_start(vc, i);
        vc_learn(vc, i, 1);
    }
}

void trace_init(struct vc *vc, int count, const char *members)
{
    struct replica_cfg cfg = { .min_members = 1 };
    trace_init_cfg(vc, count, members, &cfg);
}

void trace_fini(struct vc *vc)
{
    assert_string_equal(vc->violation, "");
    vc_fini(vc);
}

void cut_link(struct vc *vc, int a, int b)
{
    (void)vc;
    cuts[a][b] = cuts[b][a] = true;
}

void heal_link(struct vc *vc, int a, int b)
{
    (void)vc;
    cuts[a][b] = cuts[b][a] = false;
}

void settle(struct vc *vc, uint64_t ms)
{
    uint64_t end = vc->now + ms * MS;
    while (vc->now < end) {
        vc->now += STEP_NS;
        for (int i = 0; i < vc->count; i++) {
            if (!vc->nodes[i].up)
                continue;
            if (vc->nodes[i].next_tick <= vc_clock(vc, i))
                vc_tick(vc, i);
            for (int to = 0; to < vc->count && vc->now % REPLICA_BEAT_NS == 0; to++)
                if (to != i)
                    vc_beat(vc, i, to);
        }
        for (int round = 0; round < 20; round++) {
            while (vc->pool_count > 0 && vc->violation[0] == '\0')
                vc_deliver(vc, 0, false);
            for (int i = 0; i < vc->count; i++)
                if (vc->nodes[i].up)
                    sync_disk(vc, i);
        }
        assert_string_equal(vc->violation, "");
    }
}

static bool matches(const struct vmsg *m, int from, int to, int type)
{
    if (m->from != from || m->to != to)
        return false;
    switch (m->kind) {
    case VM_PEER:
        return (int)m->msg.type == type;
    case VM_ASK:
        return type == MSG_ASK;
    case VM_ANSWER:
        return type == MSG_ANSWER;
    case VM_PUSH:
        return type == MSG_PUSH;
    }
    return false;
}

static size_t find(struct vc *vc, int from, int to, int type)
{
    for (size_t i = 0; i < vc->pool_count; i++)
        if (matches(vc->pool[i], from, to, type))
            return i;
    return SIZE_MAX;
}

bool on_its_way(struct vc *vc, int from, int to, int type)
{
    return find(vc, from, to, type) != SIZE_MAX;
}

static size_t must_find(struct vc *vc, int from, int to, int type)
{
    size_t i = find(vc, from, to, type);
    if (i == SIZE_MAX)
        fail_msg("no message of type %d from %c to %c", type, 'A' + from, 'A' + to);
    return i;
}

void deliver(struct vc *vc, int from, int to, int type)
{
    vc_deliver(vc, must_find(vc, from, to, type), false);
}

void repeat(struct vc *vc, int from, int to, int type)
{
    vc_deliver(vc, must_find(vc, from, to, type), true);
}

void lose(struct vc *vc, int from, int to, int type)
{
    vc_drop(vc, must_find(vc, from, to, type));
}

void lose_all(struct vc *vc)
{
    while (vc->pool_count > 0)
        vc_drop(vc, vc->pool_count - 1);
}

void write_one(struct vc *vc, int n, uint64_t value)
{
    assert_int_equal(vc_propose(vc, n, &value, 1), OK);
}

void sync_disk(struct vc *vc, int n)
{
    vc_sync(vc, n, vc->nodes[n].disk.count);
}

void restart(struct vc *vc, int n)
{
    vc_crash(vc, n, 0);
    vc_start(vc, n);
}

struct replica_info info_of(const struct vc *vc, int n)
{
    struct replica_info info;
    replica_info(vc->nodes[n].r, &info);
    return info;
}

uint64_t applied_at(const struct vc *vc, int n, uint64_t index)
{
    const struct vimage *mem = &vc->nodes[n].disk.mem;
    return index <= mem->applied ? mem->state[index] : 0;
}

bool has_applied(const struct vc *vc, int n, uint64_t value)
{
    for (uint64_t i = 1; i <= vc->nodes[n].disk.mem.applied; i++)
        if (applied_at(vc, n, i) == value)
            return true;
    return false;
}
