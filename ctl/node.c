/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"

struct shares {
    size_t primaries, members, learners;
};

static struct shares shares_of(const struct cluster *cluster, uint32_t id)
{
    struct shares s = { 0 };
    for (size_t i = 0; i < cluster->placed_count; i++) {
        const struct cluster_partition *p = &cluster->partitions[i];
        s.primaries += p->primary == id;
        for (size_t k = 0; k < p->member_count; k++)
            s.members += p->members[k] == id;
        for (size_t k = 0; k < p->learner_count; k++)
            s.learners += p->learners[k] == id;
    }
    return s;
}

static void add_json(struct json *json, const struct cluster_node *n, const struct shares *s)
{
    json_open(json, NULL, '{');
    json_number(json, "id", n->id);
    json_hex(json, "store_id", n->store_id);
    json_text(json, "name", n->name);
    json_text(json, "endpoint", n->endpoint);
    json_text(json, "zone", n->zone);
    json_bool(json, "alive", ctl_node_is_alive(n));
    json_bool(json, "draining", n->draining);
    json_number(json, "seen_ms", n->seen_ms);
    json_number(json, "primaries", s->primaries);
    json_number(json, "members", s->members);
    json_number(json, "learners", s->learners);
    json_close(json, '}');
}

enum ctl_exit node_list(struct ctl *ctl)
{
    struct cluster cluster;
    enum err err = store_cluster_read(ctl->store, &ctl->arena, &cluster);
    if (err != OK)
        return ctl_fail(ctl, err, "list the nodes");
    struct json json = { 0 };
    struct buf rows = { 0 };
    buf_add_str(&rows, "ID\tNAME\tZONE\tENDPOINT\tSTATE\tPRIMARIES\tMEMBERS\tLEARNERS\tLAST SEEN\n");
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < cluster.node_count; i++) {
        const struct cluster_node *n = &cluster.nodes[i];
        struct shares s = shares_of(&cluster, n->id);
        add_json(&json, n, &s);
        buf_addf(&rows, "%u\t%.*s\t%.*s\t%.*s\t%s%s\t%zu\t%zu\t%zu\t%s\n", n->id, SLICE_FMT(n->name),
                 SLICE_FMT(n->zone), SLICE_FMT(n->endpoint), ctl_node_is_alive(n) ? "here" : "silent",
                 n->draining ? ", draining" : "", s.primaries, s.members, s.learners,
                 ctl_time(ctl, n->seen_ms));
    }
    json_close(&json, ']');
    if (ctl->given & CTL_JSON)
        ctl_print_json(&json);
    else
        ctl_print_table(&rows);
    buf_fini(&json.out);
    buf_fini(&rows);
    return CTL_OK;
}
