/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"

static void add_ids_json(struct json *json, const char *name, const uint32_t *ids, size_t count)
{
    json_open(json, name, '[');
    for (size_t i = 0; i < count; i++)
        json_number(json, NULL, ids[i]);
    json_close(json, ']');
}

static void add_json(struct json *json, const struct cluster_partition *p)
{
    json_open(json, NULL, '{');
    json_number(json, "partition", p->partition);
    json_number(json, "epoch", p->epoch);
    json_number(json, "primary", p->primary);
    json_number(json, "since", p->since);
    add_ids_json(json, "members", p->members, p->member_count);
    add_ids_json(json, "learners", p->learners, p->learner_count);
    json_close(json, '}');
}

static void add_ids(struct buf *out, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "%s%u", i > 0 ? "," : "", ids[i]);
    if (count == 0)
        buf_add_byte(out, '-');
}

static void add_row(struct buf *rows, const struct cluster_partition *p)
{
    buf_addf(rows, "%u\t%llu\t%u\t", p->partition, (unsigned long long)p->epoch, p->primary);
    add_ids(rows, p->members, p->member_count);
    buf_add_byte(rows, '\t');
    add_ids(rows, p->learners, p->learner_count);
    buf_add_byte(rows, '\n');
}

#define HEADING "PARTITION\tEPOCH\tPRIMARY\tMEMBERS\tLEARNERS\n"

enum ctl_exit partition_list(struct ctl *ctl)
{
    struct cluster cluster;
    enum err err = store_cluster_read(ctl->store, &ctl->arena, &cluster);
    if (err != OK)
        return ctl_fail(ctl, err, "list the partitions");
    struct json json = { 0 };
    struct buf rows = { 0 };
    buf_add_str(&rows, HEADING);
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < cluster.placed_count; i++) {
        add_json(&json, &cluster.partitions[i]);
        add_row(&rows, &cluster.partitions[i]);
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

enum ctl_exit partition_show(struct ctl *ctl)
{
    struct cluster cluster;
    uint64_t number;
    if (!find_number(ctl, ctl->arguments[0], &number))
        return CTL_USAGE;
    enum err err = store_cluster_read(ctl->store, &ctl->arena, &cluster);
    if (err != OK)
        return ctl_fail(ctl, err, "show a partition");
    if (number >= cluster.placed_count)
        return ctl_refuse(CTL_FAILED, "show a partition", "there is none with that number",
                          "See: ternctl partition list");
    if (ctl->given & CTL_JSON) {
        struct json json = { 0 };
        add_json(&json, &cluster.partitions[number]);
        ctl_print_json(&json);
        return CTL_OK;
    }
    struct buf rows = { 0 };
    buf_add_str(&rows, HEADING);
    add_row(&rows, &cluster.partitions[number]);
    ctl_print_table(&rows);
    return CTL_OK;
}
