/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/cluster.h"

enum { WIRE_NS = 20000, SLOW_MS = 3000 };

bool network_route(struct cluster *c, int from, int to, uint64_t *at_out)
{
    *at_out = c->now + WIRE_NS + cluster_below(c, 2 * c->delay + 1);
    if (c->calm)
        return true;
    if (c->now < c->cut_until[from][to] || cluster_chance(c, c->loss))
        return false;
    if (cluster_chance(c, c->slow))
        *at_out += cluster_below(c, SLOW_MS * MS);
    return true;
}
