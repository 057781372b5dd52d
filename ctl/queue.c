/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: what waits there, and what a person may do about it. */
#include "lib/store/queue.h"

#include <stdio.h>

#include "ctl/command.h"

enum { PAGE = 50 };

/* ---- showing one item */

static const char *item_state(const struct queue_item *item)
{
    if (item->held)
        return "held";
    if (item->pending == 0)
        return "failed";
    return item->lease_until_ms != 0 ? "delivering" : "waiting";
}

static const char *recipient_state(const struct queue_recipient *r)
{
    static const char *const names[] = { "pending", "delivered", "failed" };
    return (unsigned)r->state < sizeof names / sizeof names[0] ? names[r->state] : "?";
}

static void add_recipients(struct json *json, const struct queue_item *item)
{
    json_open(json, "recipients", '[');
    for (size_t i = 0; i < item->recipient_count; i++) {
        const struct queue_recipient *r = &item->recipients[i];
        json_open(json, NULL, '{');
        json_text(json, "address", r->path);
        json_text(json, "state", slice_str(recipient_state(r)));
        json_number(json, "account", r->account.id);
        json_number(json, "home", r->account.home);
        json_number(json, "changed_ms", r->changed_ms);
        json_text(json, "error", r->error);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void add_json(struct json *json, const struct queue_item *item)
{
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_format(&item->id, id);
    json_open(json, NULL, '{');
    json_text(json, "id", slice_str(id));
    json_number(json, "partition", item->id.partition);
    json_hex(json, "delivery_id", slice_of(item->delivery.bytes, sizeof item->delivery.bytes));
    json_text(json, "state", slice_str(item_state(item)));
    json_bool(json, "held", item->held);
    json_text(json, "sender", item->sender);
    json_number(json, "size", item->size);
    json_number(json, "created_ms", item->created_ms);
    json_number(json, "next_ms", item->next_ms);
    json_number(json, "attempts", item->attempts);
    json_number(json, "lease_until_ms", item->lease_until_ms);
    json_text(json, "holder", item->holder);
    json_number(json, "pending", item->pending);
    json_number(json, "failed", item->failed);
    add_recipients(json, item);
    json_close(json, '}');
}

/* The error that a person wants to see first: of somebody who failed, else of somebody who waits. */
static struct slice first_error(const struct queue_item *item)
{
    struct slice found = SLICE_NULL;
    for (size_t i = 0; i < item->recipient_count; i++) {
        const struct queue_recipient *r = &item->recipients[i];
        if (r->state == QUEUE_RECIPIENT_FAILED)
            return r->error;
        if (found.len == 0)
            found = r->error;
    }
    return found;
}

static void add_row(struct ctl *ctl, struct buf *rows, const struct queue_item *item)
{
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_format(&item->id, id);
    bool waits = item->pending > 0 && !item->held;
    buf_addf(rows, "%s\t%s\t%s\t%s\t%u\t%s\t<%.*s>\t", id, item_state(item), ctl_time(ctl, item->created_ms),
             ctl_size(ctl, item->size), item->attempts, waits ? ctl_time(ctl, item->next_ms) : "-",
             SLICE_FMT(item->sender));
    if (item->recipient_count > 0)
        buf_addf(rows, "<%.*s>", SLICE_FMT(item->recipients[0].path));
    if (item->recipient_count > 1)
        buf_addf(rows, " and %zu more", item->recipient_count - 1);
    buf_addf(rows, "\t%.*s\n", SLICE_FMT(first_error(item)));
}

static void print_item(struct ctl *ctl, const struct queue_item *item)
{
    struct buf rows = { 0 };
    char id[QUEUE_ID_TEXT_MAX];
    queue_id_format(&item->id, id);
    buf_addf(&rows, "id\t%s\nstate\t%s\nsender\t<%.*s>\nsize\t%s\ncame\t%s\n", id, item_state(item),
             SLICE_FMT(item->sender), ctl_size(ctl, item->size), ctl_time(ctl, item->created_ms));
    buf_addf(&rows, "attempts\t%u\n", item->attempts);
    if (item->pending > 0)
        buf_addf(&rows, "next attempt\t%s\n", ctl_time(ctl, item->next_ms));
    if (item->lease_until_ms != 0)
        buf_addf(&rows, "leased\tby %.*s until %s\n", SLICE_FMT(item->holder),
                 ctl_time(ctl, item->lease_until_ms));
    for (size_t i = 0; i < item->recipient_count; i++) {
        const struct queue_recipient *r = &item->recipients[i];
        buf_addf(&rows, "recipient\t<%.*s> %s%s%.*s\n", SLICE_FMT(r->path), recipient_state(r),
                 r->error.len > 0 ? ": " : "", SLICE_FMT(r->error));
    }
    ctl_print_table(&rows);
}

/* ---- going through all partitions */

/* What is done in each; a failure passes it over. Yields. */
typedef enum err visit_fn(struct ctl *ctl, uint32_t partition, void *arg);

/* How many partitions did not answer. Those of one silent primary are asked once. Yields. */
static size_t visit_all(struct ctl *ctl, visit_fn *visit, void *arg)
{
    size_t silent = 0;
    uint32_t silent_node = 0; /* no node has this id */
    for (uint32_t p = 0; p < store_partition_count(ctl->store); p++) {
        uint32_t node = 0;
        uint64_t epoch;
        bool known = store_partition_primary(ctl->store, p, &node, &epoch);
        if (known && node != silent_node && visit(ctl, p, arg) == OK)
            continue;
        silent++;
        silent_node = known ? node : silent_node;
    }
    if (silent > 0)
        fprintf(stderr, "ternctl: %zu partitions do not answer; what they hold is not shown\n", silent);
    return silent;
}

struct listing {
    struct json json;
    struct buf rows;
};

static enum err list_partition(struct ctl *ctl, uint32_t partition, void *arg)
{
    struct listing *l = arg;
    struct queue_id after = { .partition = partition };
    bool first = true, more = true;
    while (more) {
        struct queue_item *items;
        size_t count;
        TRY(store_queue_list(ctl->store, partition, first ? NULL : &after, PAGE, &ctl->arena, &items, &count,
                             &more));
        for (size_t i = 0; i < count; i++) {
            if (ctl->given & CTL_JSON)
                add_json(&l->json, &items[i]);
            else
                add_row(ctl, &l->rows, &items[i]);
            after = items[i].id;
        }
        first = false;
        more = more && count > 0;
    }
    return OK;
}

enum ctl_exit queue_list(struct ctl *ctl)
{
    struct listing l = { 0 };
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    buf_add_str(&l.rows, "ID\tSTATE\tCAME\tSIZE\tATTEMPTS\tNEXT\tFROM\tTO\tERROR\n");
    json_open(&l.json, NULL, '[');
    (void)visit_all(ctl, list_partition, &l);
    json_close(&l.json, ']');
    return ctl_print_list(ctl, &l.json, &l.rows);
}

static enum err add_status(struct ctl *ctl, uint32_t partition, void *arg)
{
    struct queue_status *sum = arg, one;
    TRY(store_queue_status(ctl->store, partition, &one));
    sum->items += one.items;
    sum->bytes += one.bytes;
    sum->held += one.held;
    sum->failed += one.failed;
    if (one.oldest_ms != 0 && (sum->oldest_ms == 0 || one.oldest_ms < sum->oldest_ms))
        sum->oldest_ms = one.oldest_ms;
    return OK;
}

enum ctl_exit queue_stats(struct ctl *ctl)
{
    struct queue_status sum = { 0 };
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    size_t silent = visit_all(ctl, add_status, &sum);
    if (ctl->given & CTL_JSON) {
        struct json json = { 0 };
        json_open(&json, NULL, '{');
        json_number(&json, "items", sum.items);
        json_number(&json, "bytes", sum.bytes);
        json_number(&json, "held", sum.held);
        json_number(&json, "failed", sum.failed);
        json_number(&json, "oldest_ms", sum.oldest_ms);
        json_number(&json, "partitions_silent", silent);
        json_close(&json, '}');
        ctl_print_json(&json);
        return CTL_OK;
    }
    struct buf rows = { 0 };
    buf_addf(&rows, "messages\t%llu\nsize\t%s\nheld\t%llu\nfailed\t%llu\noldest came\t%s\n",
             (unsigned long long)sum.items, ctl_size(ctl, sum.bytes), (unsigned long long)sum.held,
             (unsigned long long)sum.failed, ctl_time(ctl, sum.oldest_ms));
    ctl_print_table(&rows);
    return CTL_OK;
}

/* ---- one item */

static bool parse_id(const struct ctl *ctl, const char *text, struct queue_id *out)
{
    if (queue_id_parse(slice_str(text), out) && out->partition < store_partition_count(ctl->store))
        return true;
    ctl_refuse(CTL_USAGE, text, "no id of a queued message", "See: ternctl queue list");
    return false;
}

enum ctl_exit queue_show(struct ctl *ctl)
{
    struct queue_id id;
    struct queue_item item;
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    if (!parse_id(ctl, ctl->arguments[0], &id))
        return CTL_USAGE;
    enum err err = store_queue_show(ctl->store, &id, &ctl->arena, &item);
    if (err != OK)
        return ctl_fail(ctl, err, ctl->arguments[0]);
    if (ctl->given & CTL_JSON) {
        struct json json = { 0 };
        add_json(&json, &item);
        ctl_print_json(&json);
    } else {
        print_item(ctl, &item);
    }
    return CTL_OK;
}

/* Each of the named items; those that fail are told, the others are done. */
static enum ctl_exit change_all(struct ctl *ctl, enum queue_change change)
{
    enum ctl_exit status = CTL_OK;
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    for (size_t i = 0; i < ctl->argument_count; i++) {
        struct queue_id id;
        if (!parse_id(ctl, ctl->arguments[i], &id))
            return CTL_USAGE;
        enum err err = store_queue_change(ctl->store, &id, change);
        if (err != OK)
            status = ctl_fail(ctl, err, ctl->arguments[i]);
    }
    return status;
}

enum ctl_exit queue_retry(struct ctl *ctl)
{
    return change_all(ctl, QUEUE_CHANGE_RETRY);
}

enum ctl_exit queue_hold(struct ctl *ctl)
{
    return change_all(ctl, QUEUE_CHANGE_HOLD);
}

enum ctl_exit queue_release(struct ctl *ctl)
{
    return change_all(ctl, QUEUE_CHANGE_RELEASE);
}

enum ctl_exit queue_delete(struct ctl *ctl)
{
    return change_all(ctl, QUEUE_CHANGE_DELETE);
}
