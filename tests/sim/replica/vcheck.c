/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants (I1..I4 of the model, and what it does not model). */
#include <stdarg.h>
#include <stdio.h>

#include "tests/sim/replica/vcluster.h"

void vc_violate(struct vc *vc, const char *fmt, ...)
{
    va_list ap;
    if (vc->violation[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(vc->violation, sizeof vc->violation, fmt, ap);
    va_end(ap);
    vc_trace(vc, "VIOLATION %s", vc->violation);
}

bool vc_serving(const struct vc *vc, int n)
{
    return vc->nodes[n].up && vc_clock(vc, n) < vc->nodes[n].lease_until;
}

static void check_one_serves(struct vc *vc)
{
    int serving = -1;
    for (int i = 0; i < vc->count; i++) {
        if (!vc_serving(vc, i))
            continue;
        if (serving >= 0)
            vc_violate(vc, "nodes %d and %d both serve reads", serving + 1, i + 1);
        serving = i;
        if (vc->nodes[i].disk.mem.applied < vc->acked)
            vc_violate(vc, "node %d serves reads without acknowledged entry %lu (applied %lu)", i + 1,
                       vc->acked, vc->nodes[i].disk.mem.applied);
    }
}

/* Logs agree up to the commit index: with what somebody applied. */
static void check_logs(struct vc *vc)
{
    for (int i = 0; i < vc->count; i++) {
        struct vnode *node = &vc->nodes[i];
        const struct vimage *mem = &node->disk.mem;
        if (!node->up || mem->installing)
            continue;
        uint64_t upto = node->apply_to > mem->applied ? node->apply_to : mem->applied;
        for (uint64_t k = node->checked + 1; k <= upto && k <= vc->committed_len; k++) {
            if (k > mem->base && k <= mem->last && mem->log[k].value != vc->committed[k].value)
                vc_violate(vc, "node %d has %lu committed at %lu, others %lu", i + 1, mem->log[k].value, k,
                           vc->committed[k].value);
            if (k <= mem->applied && mem->state[k] != vc->committed[k].value)
                vc_violate(vc, "node %d has applied %lu at %lu, others %lu", i + 1, mem->state[k], k,
                           vc->committed[k].value);
            if (k <= mem->applied)
                node->checked = k;
        }
    }
}

void vc_check(struct vc *vc)
{
    if (vc->violation[0] != '\0')
        return;
    check_one_serves(vc);
    check_logs(vc);
}

void vc_check_final(struct vc *vc)
{
    const struct replica_conf *conf = vc_conf(vc);
    for (int i = 0; i < vc->count; i++) {
        const struct vimage *mem = &vc->nodes[i].disk.mem;
        if (!vc_conf_has(conf->members, conf->member_count, vc->nodes[i].id))
            continue;
        if (mem->applied < vc->acked)
            vc_violate(vc, "member %d lacks acknowledged entry %lu at the end", i + 1, vc->acked);
        for (uint64_t k = 1; k <= mem->applied && k <= vc->committed_len; k++)
            if (mem->state[k] != vc->committed[k].value)
                vc_violate(vc, "member %d has %lu at %lu, committed is %lu", i + 1, mem->state[k], k,
                           vc->committed[k].value);
    }
}
