/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/status.h"

static void add_node(struct json *json, const struct status_node *node)
{
    json_open(json, NULL, '{');
    json_number(json, "id", node->id);
    json_text(json, "name", node->name);
    json_text(json, "zone", node->zone);
    json_text(json, "endpoint", node->endpoint);
    json_bool(json, "alive", node->alive);
    json_bool(json, "draining", node->draining);
    json_bool(json, "leaving", node->leaving);
    json_number(json, "silent_ms", node->silent_ms);
    json_number(json, "copies", node->copies);
    json_number(json, "primaries", node->primaries);
    json_number(json, "not_active", node->not_active);
    json_number(json, "bytes", node->bytes);
    json_number(json, "disk_total", node->disk_total);
    json_number(json, "disk_free", node->disk_free);
    json_number(json, "machine_version", node->machine_version);
    json_close(json, '}');
}

static void add_moves(struct json *json, const struct status *s)
{
    json_number(json, "moves_total", s->moves_total);
    json_open(json, "moves", '[');
    for (size_t i = 0; i < s->move_count; i++) {
        const struct status_move *move = &s->moves[i];
        json_open(json, NULL, '{');
        json_number(json, "partition", move->partition);
        json_number(json, "from", move->from);
        json_number(json, "to", move->to);
        json_text(json, "state", move->state);
        json_number(json, "copied_bytes", move->copied_bytes);
        json_number(json, "bytes", move->bytes);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_members(struct json *json, const struct status *s)
{
    json_open(json, "coordination", '[');
    for (size_t i = 0; i < s->member_count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "endpoint", s->members[i].endpoint);
        json_bool(json, "well", s->members[i].well);
        json_text(json, "why", s->members[i].why);
        json_number(json, "unwell_ms", s->members[i].unwell_ms);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_wrongs(struct json *json, const struct status *s)
{
    json_open(json, "problems", '[');
    for (size_t i = 0; i < s->problem_count; i++)
        json_text(json, NULL, s->problems[i]);
    json_close(json, ']');
    json_open(json, "faults", '[');
    for (size_t i = 0; i < s->fault_count; i++) {
        json_open(json, NULL, '{');
        json_number(json, "node", s->faults[i].node);
        json_number(json, "partition", s->faults[i].partition);
        json_text(json, "text", s->faults[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void status_json(const struct status *s, struct json *json)
{
    size_t alive = 0;
    for (size_t i = 0; i < s->node_count; i++)
        alive += s->nodes[i].alive;
    json_open(json, NULL, '{');
    json_bool(json, "healthy", status_is_healthy(s));
    json_hex(json, "cluster_id", s->cluster_id);
    json_number(json, "map_version", s->map_version);
    json_text(json, "leader", s->leader);
    json_number(json, "partitions", s->partition_count);
    json_number(json, "partitions_placed", s->placed);
    json_number(json, "partitions_active", s->active);
    json_number(json, "partitions_without_primary", s->placed - s->active);
    json_number(json, "partitions_below_copies", s->few);
    json_number(json, "partitions_read_only", s->read_only);
    json_number(json, "learners", s->learners);
    json_number(json, "behind_entries_max", s->behind);
    json_number(json, "copies", s->copies);
    json_number(json, "min_members", s->min_members);
    json_number(json, "nodes", s->node_count);
    json_number(json, "nodes_alive", alive);
    json_number(json, "domains", s->domain_count);
    json_text(json, "problem", s->problem);
    json_open(json, "node_list", '[');
    for (size_t i = 0; i < s->node_count; i++)
        add_node(json, &s->nodes[i]);
    json_close(json, ']');
    add_moves(json, s);
    add_members(json, s);
    add_wrongs(json, s);
    json_close(json, '}');
}
