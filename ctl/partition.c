/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/status.h"

static void add_ids_json(struct json *json, const char *name, const uint32_t *ids, size_t count)
{
    json_open(json, name, '[');
    for (size_t i = 0; i < count; i++)
        json_number(json, NULL, ids[i]);
    json_close(json, ']');
}

static void add_peers_json(struct json *json, const struct status_partition *p)
{
    json_open(json, "peers", '[');
    for (size_t i = 0; i < p->peer_count; i++) {
        json_open(json, NULL, '{');
        json_number(json, "node", p->peers[i].node);
        json_number(json, "behind_entries", p->peers[i].behind);
        json_number(json, "copied_bytes", p->peers[i].copied_bytes);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_faults_json(struct json *json, const struct status *s, uint32_t partition)
{
    json_open(json, "faults", '[');
    for (size_t i = 0; i < s->fault_count; i++) {
        if (s->faults[i].partition != partition)
            continue;
        json_open(json, NULL, '{');
        json_number(json, "node", s->faults[i].node);
        json_text(json, "text", s->faults[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_spares_json(struct json *json, const struct status_partition *p)
{
    json_open(json, "spares", '[');
    for (size_t i = 0; i < p->spare_count; i++) {
        json_open(json, NULL, '{');
        json_number(json, "node", p->spares[i].node);
        json_number(json, "epoch", p->spares[i].epoch);
        json_number(json, "last", p->spares[i].last);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_json(struct json *json, const struct status *s, const struct status_partition *p)
{
    json_open(json, NULL, '{');
    json_number(json, "partition", p->conf.partition);
    json_number(json, "epoch", p->conf.epoch);
    json_number(json, "primary", p->conf.primary);
    json_number(json, "since", p->conf.since);
    add_ids_json(json, "members", p->conf.members, p->conf.member_count);
    add_ids_json(json, "learners", p->conf.learners, p->conf.learner_count);
    json_bool(json, "active", p->active);
    json_number(json, "last", p->last);
    json_number(json, "commit", p->commit);
    json_number(json, "machine_version", p->machine_version);
    json_number(json, "bytes", p->bytes);
    add_peers_json(json, p);
    add_spares_json(json, p);
    add_faults_json(json, s, p->conf.partition);
    json_close(json, '}');
}

static void add_ids(struct buf *out, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "%s%u", i > 0 ? "," : "", ids[i]);
    if (count == 0)
        buf_add_byte(out, '-');
}

static uint64_t most_behind(const struct status_partition *p)
{
    uint64_t most = 0;
    for (size_t i = 0; i < p->peer_count; i++)
        most = p->peers[i].behind > most ? p->peers[i].behind : most;
    return most;
}

static const char *state_of(const struct status_partition *p)
{
    return p->active ? "served" : p->heard ? "not served" : "unknown";
}

static void add_row(struct buf *rows, const struct status_partition *p)
{
    buf_addf(rows, "%u\t%llu\t%u\t", p->conf.partition, (unsigned long long)p->conf.epoch, p->conf.primary);
    add_ids(rows, p->conf.members, p->conf.member_count);
    buf_add_byte(rows, '\t');
    add_ids(rows, p->conf.learners, p->conf.learner_count);
    buf_addf(rows, "\t%s\t%llu\t", state_of(p), (unsigned long long)most_behind(p));
    status_size(p->bytes, rows);
    buf_add_byte(rows, '\n');
}

enum ctl_exit partition_list(struct ctl *ctl)
{
    struct status status;
    enum err err = store_status_read(ctl->store, true, &ctl->arena, &status);
    if (err != OK)
        return ctl_fail(ctl, err, "list the partitions");
    struct json json = { 0 };
    struct buf rows = { 0 };
    buf_add_str(&rows, "PARTITION\tEPOCH\tPRIMARY\tMEMBERS\tLEARNERS\tSTATE\tBEHIND\tSIZE\n");
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < status.partition_listed; i++) {
        add_json(&json, &status, &status.partitions[i]);
        add_row(&rows, &status.partitions[i]);
    }
    json_close(&json, ']');
    return ctl_print_list(ctl, &json, &rows);
}

/* ---- one */

/* By number, or the one that holds an address. */
static bool find_number(struct ctl *ctl, const char *text, uint64_t *number_out)
{
    struct slice address;
    uint32_t partition;
    if (slice_parse_u64(slice_str(text), UINT32_MAX, number_out))
        return true;
    if (!ctl_parse_address(ctl, text, &address) || !ctl_wait_ready(ctl) ||
        store_partition_of(ctl->store, address, &partition) != OK)
        return false;
    *number_out = partition;
    return true;
}

static void add_copy(const struct status *s, const struct status_partition *p, uint32_t node,
                     const char *role, struct buf *rows)
{
    const struct status_node *n = status_find_node(s, node);
    const struct status_peer *peer = NULL;
    for (size_t i = 0; i < p->peer_count; i++)
        peer = p->peers[i].node == node ? &p->peers[i] : peer;
    buf_addf(rows, "%u\t%.*s\t%s\t", node, n == NULL ? 0 : (int)n->name.len,
             n == NULL ? "" : (const char *)n->name.data, role);
    if (n != NULL)
        status_node_state(n, rows);
    if (peer == NULL)
        buf_add_str(rows, "\t-");
    else
        buf_addf(rows, "\t%llu", (unsigned long long)peer->behind);
    buf_add_byte(rows, '\t');
    if (peer != NULL && peer->copied_bytes > 0)
        status_size(peer->copied_bytes, rows);
    else
        buf_add_byte(rows, '-');
    buf_add_byte(rows, '\n');
}

static bool is_learner(const struct status_partition *p, uint32_t node)
{
    for (size_t i = 0; i < p->conf.learner_count; i++) {
        if (p->conf.learners[i] == node)
            return true;
    }
    return false;
}

static bool is_member(const struct status_partition *p, uint32_t node)
{
    for (size_t i = 0; i < p->conf.member_count; i++) {
        if (p->conf.members[i] == node)
            return true;
    }
    return false;
}

static void print_one(const struct status *s, const struct status_partition *p)
{
    struct buf rows = { 0 };
    buf_addf(&rows, "partition\t%u\nstate\t%s\nepoch\t%llu\nentries\t%llu, committed %llu\nsize\t",
             p->conf.partition, state_of(p), (unsigned long long)p->conf.epoch, (unsigned long long)p->last,
             (unsigned long long)p->commit);
    status_size(p->bytes, &rows);
    buf_add_byte(&rows, '\n');
    for (size_t i = 0; i < s->fault_count; i++) {
        if (s->faults[i].partition == p->conf.partition)
            buf_addf(&rows, "fault\tnode %u: %.*s\n", s->faults[i].node, SLICE_FMT(s->faults[i].text));
    }
    ctl_print_table(&rows);
    printf("\n");
    buf_add_str(&rows, "NODE\tNAME\tROLE\tSTATE\tBEHIND\tCOPIED\n");
    for (size_t i = 0; i < p->conf.member_count; i++)
        add_copy(s, p, p->conf.members[i], p->conf.members[i] == p->conf.primary ? "primary" : "member",
                 &rows);
    for (size_t i = 0; i < p->conf.learner_count; i++)
        add_copy(s, p, p->conf.learners[i], "learner", &rows);
    for (size_t i = 0; i < p->spare_count; i++) {
        if (!is_learner(p, p->spares[i].node) && !is_member(p, p->spares[i].node))
            add_copy(s, p, p->spares[i].node, "old copy", &rows);
    }
    ctl_print_table(&rows);
}

static const struct status_partition *find_partition(const struct status *s, uint64_t number)
{
    for (size_t i = 0; i < s->partition_listed; i++) {
        if (s->partitions[i].conf.partition == number)
            return &s->partitions[i];
    }
    return NULL;
}

enum ctl_exit partition_show(struct ctl *ctl)
{
    struct status status;
    uint64_t number;
    if (!find_number(ctl, ctl->arguments[0], &number))
        return CTL_USAGE;
    enum err err = store_status_read(ctl->store, true, &ctl->arena, &status);
    if (err != OK)
        return ctl_fail(ctl, err, "show a partition");
    const struct status_partition *p = find_partition(&status, number);
    if (p == NULL)
        return ctl_refuse(CTL_FAILED, "show a partition", "there is none with that number",
                          "See: ternctl partition list");
    if (ctl->given & CTL_JSON) {
        struct json json = { 0 };
        add_json(&json, &status, p);
        ctl_print_json(&json);
        return CTL_OK;
    }
    print_one(&status, p);
    return CTL_OK;
}
