/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/command.h"
#include "ctl/status.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/config_value.h"
#include "lib/mail/address.h"

enum { LIST_PAGE = 500 };

/* ---- failing: the reason, and what to do next */

#define SEE_STATUS "See what is wrong: ternctl cluster status"

static const struct {
    enum err err;
    const char *next;
} next_steps[] = {
    { ERR_UNAVAILABLE, SEE_STATUS },
    { ERR_TIMEOUT, SEE_STATUS },
    { ERR_BUSY, "Try again." },
    { ERR_IN_DOUBT, "It may have happened or not: look (show, list), then run the command again if needed." },
    { ERR_NO_DOMAIN, "Add the domain first: ternctl domain add DOMAIN" },
    { ERR_IO, "See the log of the storage node." },
    { ERR_CORRUPT, "See the log of the storage node." },
    { ERR_NO_SPACE, "Make room on the storage nodes' disks, or add nodes." },
};

enum ctl_exit ctl_refuse(enum ctl_exit status, const char *what, const char *reason, const char *next)
{
    fprintf(stderr, "ternctl: %s: %s\n", what, reason);
    if (next != NULL)
        fprintf(stderr, "%s\n", next);
    return status;
}

/* Nobody has told of a map. */
static bool is_cut_off(const struct ctl *ctl)
{
    return ctl->store != NULL && !store_is_ready(ctl->store, NULL);
}

enum ctl_exit ctl_fail(const struct ctl *ctl, enum err err, const char *what)
{
    if ((err == ERR_UNAVAILABLE || err == ERR_TIMEOUT) && is_cut_off(ctl))
        return ctl_refuse(CTL_FAILED, what, err_text(err), CTL_NO_DIRECTOR);
    for (size_t i = 0; i < sizeof next_steps / sizeof next_steps[0]; i++) {
        if (next_steps[i].err == err)
            return ctl_refuse(CTL_FAILED, what, err_text(err), next_steps[i].next);
    }
    return ctl_refuse(CTL_FAILED, what, err_text(err), NULL);
}

enum ctl_exit ctl_fail_detail(const struct ctl *ctl, enum err err, const char *what, const struct buf *detail)
{
    if (detail->len == 0)
        return ctl_fail(ctl, err, what);
    fprintf(stderr, "ternctl: %s: %.*s\n", what, SLICE_FMT(buf_slice(detail)));
    return CTL_FAILED;
}

const struct status_node *ctl_find_node(const struct status *s, const char *text)
{
    const struct status_node *found = NULL;
    uint64_t id;
    if (slice_parse_u64(slice_str(text), UINT32_MAX, &id) &&
        (found = status_find_node(s, (uint32_t)id)) != NULL)
        return found;
    for (size_t i = 0; i < s->node_count; i++) {
        if (!slice_eq(s->nodes[i].name, slice_str(text)))
            continue;
        if (found != NULL) {
            ctl_refuse(CTL_FAILED, text, "several nodes have that name",
                       "Name it by its number: ternctl node list");
            return NULL;
        }
        found = &s->nodes[i];
    }
    if (found == NULL)
        ctl_refuse(CTL_FAILED, text, "there is no such node", "See: ternctl node list");
    return found;
}

bool ctl_wait_ready(struct ctl *ctl)
{
    const char *reason = NULL;
    if (store_wait_ready(ctl->store, ctl->deadline_ms) == OK)
        return true;
    (void)store_is_ready(ctl->store, &reason);
    fprintf(stderr, "ternctl: %s (asked %s)\n", reason != NULL ? reason : "the cluster is not ready",
            ctl->directors);
    fprintf(stderr, "%s\n", CTL_NO_DIRECTOR);
    return false;
}

/* ---- reading what people type */

bool ctl_parse_address(struct ctl *ctl, const char *text, struct slice *canonical_out)
{
    struct address address;
    enum err err = address_parse(slice_str(text), &ctl->arena, &address);
    if (err == OK && address.tag.data == NULL && !address.is_literal) {
        *canonical_out = address.canonical;
        return true;
    }
    ctl_refuse(CTL_USAGE, text, err != OK ? "no mail address" : "no address an account can have",
               "Write it as local@domain, without a \"+tag\".");
    return false;
}

bool ctl_parse_domain(struct ctl *ctl, const char *text, struct slice *domain_out)
{
    if (address_parse_domain(slice_str(text), &ctl->arena, domain_out) == OK)
        return true;
    ctl_refuse(CTL_USAGE, text, "no domain name", NULL);
    return false;
}

bool ctl_parse_quota(const char *text, uint64_t *bytes_out)
{
    *bytes_out = 0;
    if (strcmp(text, "none") == 0 || config_parse_size(slice_str(text), bytes_out))
        return true;
    ctl_refuse(CTL_USAGE, text, "no size", "Write it like 500M or 2G; 0 or none is no limit.");
    return false;
}

/* ---- all addresses */

struct address_list {
    struct address_row *rows;
    size_t count;
};

static enum err list_partition(struct ctl *ctl, uint32_t partition, struct slice domain,
                               struct address_list *list)
{
    struct slice after = SLICE_NULL;
    bool more = true;
    while (more) {
        struct address_row *rows;
        size_t count;
        TRY(store_address_list(ctl->store, partition, after, domain, LIST_PAGE, &ctl->arena, &rows, &count,
                               &more));
        list->rows = xrealloc(list->rows, (list->count + count + 1) * sizeof *rows);
        if (count > 0) {
            memcpy(list->rows + list->count, rows, count * sizeof *rows);
            after = rows[count - 1].address;
        }
        list->count += count;
        more = more && count > 0;
    }
    return OK;
}

static int compare_rows(const void *a, const void *b)
{
    return slice_cmp(((const struct address_row *)a)->address, ((const struct address_row *)b)->address);
}

bool ctl_list_addresses(struct ctl *ctl, struct slice domain, struct address_row **rows_out,
                        size_t *count_out)
{
    struct address_list list = { 0 };
    struct cluster cluster;
    enum err err = store_cluster_read(ctl->store, &ctl->arena, &cluster);
    for (uint32_t p = 0; err == OK && p < cluster.partition_count; p++)
        err = list_partition(ctl, p, domain, &list);
    if (err == OK && list.count > 0) {
        qsort(list.rows, list.count, sizeof *list.rows, compare_rows);
        *rows_out = arena_memdup(&ctl->arena, list.rows, list.count * sizeof *list.rows);
    }
    *count_out = list.count;
    free(list.rows);
    if (err != OK)
        ctl_fail(ctl, err, "list the addresses");
    return err == OK;
}

/* ---- showing */

const char *ctl_time(struct ctl *ctl, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    if (ms == 0 || gmtime_r(&seconds, &tm) == NULL)
        return "-";
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return arena_strdup(&ctl->arena, slice_str(text));
}

const char *ctl_size(struct ctl *ctl, uint64_t bytes)
{
    struct buf text = { 0 };
    status_size(bytes, &text);
    const char *size = arena_strdup(&ctl->arena, buf_slice(&text));
    buf_fini(&text);
    return size;
}

void ctl_print_json(struct json *json)
{
    buf_add_byte(&json->out, '\n');
    fwrite(json->out.data, 1, json->out.len, stdout);
    buf_fini(&json->out);
}

/* Width of a cell in characters, not octets. */
static size_t width_of(struct slice cell)
{
    size_t width = 0;
    for (size_t i = 0; i < cell.len; i++)
        width += (cell.data[i] & 0xc0) != 0x80;
    return width;
}

enum { COLUMNS_MAX = 16 };

/* The next cell of a table; *last_out: it ends its row. */
static struct slice next_cell(struct slice *rest, bool *last_out)
{
    size_t end = 0;
    while (end < rest->len && rest->data[end] != '\t' && rest->data[end] != '\n')
        end++;
    struct slice cell = slice_sub(*rest, 0, end);
    *last_out = end == rest->len || rest->data[end] == '\n';
    *rest = slice_sub(*rest, end + 1, rest->len);
    return cell;
}

static void measure(struct slice rest, size_t *widths)
{
    size_t column = 0;
    while (rest.len > 0) {
        bool last;
        size_t width = width_of(next_cell(&rest, &last));
        if (width > widths[column])
            widths[column] = width;
        column = last || column + 1 == COLUMNS_MAX ? 0 : column + 1;
    }
}

void ctl_print_table(struct buf *rows)
{
    size_t widths[COLUMNS_MAX] = { 0 }, column = 0;
    struct slice rest = buf_slice(rows);
    measure(rest, widths);
    while (rest.len > 0) {
        bool last;
        struct slice cell = next_cell(&rest, &last);
        int padding = last ? 0 : (int)(widths[column] - width_of(cell)) + 2;
        printf("%.*s%*s%s", SLICE_FMT(cell), padding, "", last ? "\n" : "");
        column = last || column + 1 == COLUMNS_MAX ? 0 : column + 1;
    }
    buf_fini(rows);
}

enum ctl_exit ctl_print_list(struct ctl *ctl, struct json *json, struct buf *rows)
{
    if (ctl->given & CTL_JSON)
        ctl_print_json(json);
    else
        ctl_print_table(rows);
    buf_fini(&json->out);
    buf_fini(rows);
    return CTL_OK;
}

enum ctl_exit ctl_print_addresses(struct ctl *ctl, const char *heading, ctl_add_address *add)
{
    struct slice domain = SLICE_NULL;
    struct address_row *found = NULL;
    size_t count = 0;
    if (ctl->argument_count > 0 && !ctl_parse_domain(ctl, ctl->arguments[0], &domain))
        return CTL_USAGE;
    if (!ctl_wait_ready(ctl) || !ctl_list_addresses(ctl, domain, &found, &count))
        return CTL_FAILED;
    struct json json = { 0 };
    struct buf rows = { 0 };
    buf_addf(&rows, "%s\n", heading);
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < count; i++)
        add(ctl, &json, &rows, &found[i]);
    json_close(&json, ']');
    return ctl_print_list(ctl, &json, &rows);
}
