/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"

/* What an operator wants to know first, counted from the map. */
struct health {
    size_t nodes_alive;
    size_t without_primary; /* partitions whose primary's node is not heard of */
    size_t below_copies;    /* partitions with fewer living members than wanted */
    bool good;
};

static bool is_alive(const struct cluster *cluster, uint32_t id)
{
    const struct cluster_node *node = ctl_find_node(cluster, id);
    return node != NULL && ctl_node_is_alive(node);
}

static struct health judge(const struct cluster *cluster)
{
    struct health h = { 0 };
    for (size_t i = 0; i < cluster->node_count; i++)
        h.nodes_alive += ctl_node_is_alive(&cluster->nodes[i]);
    for (size_t i = 0; i < cluster->placed_count; i++) {
        const struct cluster_partition *p = &cluster->partitions[i];
        size_t living = 0;
        for (size_t k = 0; k < p->member_count; k++)
            living += is_alive(cluster, p->members[k]);
        h.without_primary += !is_alive(cluster, p->primary);
        h.below_copies += living < cluster->copies;
    }
    h.good = cluster->placed_count > 0 && h.without_primary == 0 && h.below_copies == 0;
    return h;
}

static void print_json(const struct cluster *c, const struct health *h)
{
    struct json json = { 0 };
    json_open(&json, NULL, '{');
    json_bool(&json, "healthy", h->good);
    json_hex(&json, "cluster_id", c->cluster_id);
    json_number(&json, "map_version", c->version);
    json_number(&json, "partitions", c->partition_count);
    json_number(&json, "partitions_placed", c->placed_count);
    json_number(&json, "partitions_without_primary", h->without_primary);
    json_number(&json, "partitions_below_copies", h->below_copies);
    json_number(&json, "copies", c->copies);
    json_number(&json, "min_members", c->min_members);
    json_number(&json, "nodes", c->node_count);
    json_number(&json, "nodes_alive", h->nodes_alive);
    json_number(&json, "domains", c->domain_count);
    json_text(&json, "problem", c->problem);
    json_close(&json, '}');
    ctl_print_json(&json);
}

enum ctl_exit cluster_status(struct ctl *ctl)
{
    struct cluster c;
    enum err err = store_cluster_read(ctl->store, &ctl->arena, &c);
    if (err == ERR_UNAVAILABLE)
        return ctl_refuse(
            CTL_FAILED, "cluster status",
            arena_printf(&ctl->arena, "no director answers at %s", ctl->directors),
            "Is the director running there? Name it with --director ENDPOINT or TERN_DIRECTORS.");
    if (err != OK)
        return ctl_fail(ctl, err, "cluster status");
    struct health h = judge(&c);
    if (ctl->given & CTL_JSON) {
        print_json(&c, &h);
        return CTL_OK;
    }
    struct buf rows = { 0 };
    buf_addf(&rows, "state\t%s\n", h.good ? "healthy" : "not healthy");
    if (c.problem.len > 0)
        buf_addf(&rows, "problem\t%.*s\n", SLICE_FMT(c.problem));
    buf_addf(&rows, "map version\t%llu\n", (unsigned long long)c.version);
    buf_addf(&rows, "storage nodes\t%zu, %zu here\n", c.node_count, h.nodes_alive);
    buf_addf(&rows, "partitions\t%u, %zu placed\n", c.partition_count, c.placed_count);
    buf_addf(&rows, "without a primary\t%zu\n", h.without_primary);
    buf_addf(&rows, "below %u copies\t%zu\n", c.copies, h.below_copies);
    buf_addf(&rows, "domains\t%zu\n", c.domain_count);
    ctl_print_table(&rows);
    return CTL_OK;
}
