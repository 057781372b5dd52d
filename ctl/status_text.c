/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/status.h"

/* ---- pieces */

void status_duration(uint64_t ms, struct buf *out)
{
    uint64_t s = ms / 1000;
    if (s < 120)
        buf_addf(out, "%llu s", (unsigned long long)s);
    else if (s < 2 * 3600)
        buf_addf(out, "%llu min", (unsigned long long)(s / 60));
    else if (s < 48 * 3600)
        buf_addf(out, "%llu h", (unsigned long long)(s / 3600));
    else
        buf_addf(out, "%llu d", (unsigned long long)(s / 86400));
}

void status_size(uint64_t bytes, struct buf *out)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        value /= 1024;
    buf_addf(out, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

const struct status_node *status_find_node(const struct status *s, uint32_t id)
{
    for (size_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i].id == id)
            return &s->nodes[i];
    }
    return NULL;
}

static bool starts_character(uint8_t octet)
{
    return (octet & 0xc0) != 0x80;
}

static size_t width_of(struct slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += starts_character(text.data[i]);
    return width;
}

/* At most `columns` characters, the last a "~" if more were there; nothing that moves the cursor. */
static void add_clipped(struct slice text, size_t columns, struct buf *out)
{
    bool clip = width_of(text) > columns;
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++) {
        width += starts_character(text.data[i]);
        if (clip && width >= columns)
            break;
        buf_add_byte(out, text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i]);
    }
    if (clip)
        buf_add_byte(out, '~');
}

void status_node_name(const struct status *s, uint32_t id, size_t columns, struct buf *out)
{
    const struct status_node *node = status_find_node(s, id);
    if (node != NULL && node->name.len > 0)
        add_clipped(node->name, columns, out);
    else
        buf_addf(out, "node %u", id);
}

void status_node_state(const struct status_node *node, struct buf *out)
{
    if (!node->alive) {
        buf_add_str(out, "silent ");
        status_duration(node->silent_ms, out);
    } else if (node->leaving) {
        buf_add_str(out, "leaving");
    } else if (node->draining) {
        buf_add_str(out, node->copies == 0 ? "drained" : "draining");
    } else {
        buf_add_str(out, "alive");
    }
}

bool status_is_healthy(const struct status *s)
{
    return s->partition_count > 0 && s->placed == s->partition_count && s->active == s->placed && s->few == 0;
}

/* ---- the table of nodes */

enum { COLUMNS = 8, NAME_WIDTH = 12, ZONE_WIDTH = 8, STATE_WIDTH = 14, GAP = 2 };

static const struct {
    const char *heading;
    bool right;
} columns[COLUMNS] = {
    { "ID", true },     { "NAME", false },   { "ZONE", false }, { "STATE", false },
    { "COPIES", true }, { "PRIMARY", true }, { "MAIL", true },  { "FREE", true },
};

static void add_disk(const struct status_node *node, struct buf *out)
{
    if (node->disk_total == 0)
        buf_add_byte(out, '-');
    else
        buf_addf(out, "%llu %%",
                 (unsigned long long)((double)node->disk_free * 100 / (double)node->disk_total));
}

static void fill_row(const struct status_node *node, struct buf cells[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++)
        buf_clear(&cells[i]);
    buf_addf(&cells[0], "%u", node->id);
    add_clipped(node->name.len > 0 ? node->name : SLICE_LIT("-"), NAME_WIDTH, &cells[1]);
    add_clipped(node->zone.len > 0 ? node->zone : SLICE_LIT("-"), ZONE_WIDTH, &cells[2]);
    status_node_state(node, &cells[3]);
    buf_addf(&cells[4], "%u", node->copies);
    buf_addf(&cells[5], "%u", node->primaries);
    status_size(node->bytes, &cells[6]);
    add_disk(node, &cells[7]);
}

static void add_cell(int column, struct slice text, size_t width, struct buf *out)
{
    int padding = (int)(width - width_of(text));
    buf_addf(out, "%*s", column == 0 ? 0 : GAP, "");
    if (columns[column].right)
        buf_addf(out, "%*s", padding, "");
    buf_add_slice(out, text);
    if (!columns[column].right)
        buf_addf(out, "%*s", padding, "");
}

static void add_nodes(const struct status *s, struct buf *out)
{
    struct buf cells[COLUMNS] = { 0 };
    size_t widths[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        widths[i] = strlen(columns[i].heading);
    for (size_t n = 0; n < s->node_count; n++) {
        fill_row(&s->nodes[n], cells);
        for (int i = 0; i < COLUMNS; i++)
            widths[i] =
                width_of(buf_slice(&cells[i])) > widths[i] ? width_of(buf_slice(&cells[i])) : widths[i];
    }
    for (int i = 0; i < COLUMNS; i++)
        add_cell(i, slice_str(columns[i].heading), widths[i], out);
    buf_add_byte(out, '\n');
    for (size_t n = 0; n < s->node_count; n++) {
        fill_row(&s->nodes[n], cells);
        for (int i = 0; i < COLUMNS; i++)
            add_cell(i, buf_slice(&cells[i]), widths[i], out);
        buf_add_byte(out, '\n');
    }
    for (int i = 0; i < COLUMNS; i++)
        buf_fini(&cells[i]);
}

/* ---- the lines below it */

static void add_partitions(const struct status *s, struct buf *out)
{
    buf_addf(out, "Partitions  %u of %u served", s->active, s->partition_count);
    if (s->not_active > 0)
        buf_addf(out, ", %u not", s->not_active);
    if (s->placed > s->active + s->not_active)
        buf_addf(out, ", %u not heard of yet", s->placed - s->active - s->not_active);
    buf_addf(out, "\n            %u cop%s of each wanted, %u needed to write\n", s->copies,
             s->copies == 1 ? "y" : "ies", s->min_members);
    if (s->few > 0)
        buf_addf(out, "            %u short of copies", s->few);
    if (s->read_only > 0)
        buf_addf(out, ", %u of these read-only", s->read_only);
    if (s->few > 0)
        buf_add_byte(out, '\n');
}

static void add_lag(const struct status *s, struct buf *out)
{
    if (s->behind_node == 0)
        return;
    buf_add_str(out, "Lag         ");
    if (s->behind == 0) {
        buf_add_str(out, "none: every copy has everything\n");
        return;
    }
    buf_addf(out, "at most %llu entr%s: partition %u on ", (unsigned long long)s->behind,
             s->behind == 1 ? "y" : "ies", s->behind_partition);
    status_node_name(s, s->behind_node, NAME_WIDTH, out);
    buf_add_byte(out, '\n');
}

static void add_leader(const struct status *s, struct buf *out)
{
    if (s->leader.len == 0)
        return;
    buf_add_str(out, "Leader      ");
    add_clipped(s->leader, STATUS_WIDTH - 12, out);
    buf_add_byte(out, '\n');
}

static void add_members(const struct status *s, struct buf *out)
{
    size_t well = 0;
    for (size_t i = 0; i < s->member_count; i++)
        well += s->members[i].well;
    if (s->member_count > 0)
        buf_addf(out, "etcd        %zu of %zu well\n", well, s->member_count);
}

static void add_move(const struct status *s, const struct status_move *move, struct buf *out)
{
    buf_addf(out, "            partition %-5u ", move->partition);
    if (move->from == 0)
        buf_add_str(out, "new on ");
    else
        status_node_name(s, move->from, NAME_WIDTH, out);
    if (move->from != 0 && move->to != 0)
        buf_add_str(out, " -> ");
    if (move->to != 0)
        status_node_name(s, move->to, NAME_WIDTH, out);
    buf_add_str(out, "  ");
    buf_add_slice(out, move->state);
    if (move->copied_bytes > 0 && move->bytes > 0) {
        uint64_t percent = move->copied_bytes * 100 / move->bytes;
        buf_addf(out, " %llu %% of ", (unsigned long long)(percent > 99 ? 99 : percent));
        status_size(move->bytes, out);
    }
    buf_add_byte(out, '\n');
}

enum { MOVES_LISTED = 8 };

static void add_moves(const struct status *s, struct buf *out)
{
    size_t waiting = 0, listed = 0;
    if (s->moves_total == 0)
        return;
    for (size_t i = 0; i < s->move_count; i++)
        waiting += slice_eq(s->moves[i].state, SLICE_LIT("waits"));
    buf_addf(out, "Moves       %zu under way, %zu to come\n", s->move_count - waiting,
             s->moves_total - (s->move_count - waiting));
    for (; listed < s->move_count - waiting && listed < MOVES_LISTED; listed++)
        add_move(s, &s->moves[listed], out);
    if (s->move_count - waiting > listed)
        buf_addf(out, "            and %zu more\n", s->move_count - waiting - listed);
}

/* ---- sentences */

/* Words at most up to STATUS_WIDTH, later lines indented. The first stands at column `indent`. */
static void add_wrapped(struct slice text, size_t indent, struct buf *out)
{
    size_t column = indent;
    while (text.len > 0) {
        size_t end = 0;
        while (end < text.len && text.data[end] != ' ')
            end++;
        struct slice word = slice_sub(text, 0, end);
        size_t width = width_of(word);
        if (column > indent && column + 1 + width > STATUS_WIDTH) {
            buf_addf(out, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent) {
            buf_add_byte(out, ' ');
            column++;
        }
        add_clipped(word, STATUS_WIDTH - indent, out);
        column += width;
        text = slice_sub(text, end < text.len ? end + 1 : end, text.len);
    }
    buf_add_byte(out, '\n');
}

static void add_problems(const struct status *s, struct buf *out)
{
    if (s->problem_count == 0)
        return;
    buf_add_str(out, "\nWhat is wrong\n");
    for (size_t i = 0; i < s->problem_count; i++) {
        buf_addf(out, "%3zu. ", i + 1);
        add_wrapped(s->problems[i], 5, out);
    }
}

void status_text(const struct status *s, struct buf *out)
{
    buf_add_str(out, "Cluster ");
    for (size_t i = 0; i < s->cluster_id.len && i < 4; i++)
        buf_addf(out, "%02x", s->cluster_id.data[i]);
    buf_addf(out, ": %s\n\n",
             !status_is_healthy(s)  ? "not healthy"
             : s->problem_count > 0 ? "healthy, but see below"
                                    : "healthy");
    if (s->node_count > 0) {
        add_nodes(s, out);
        buf_add_byte(out, '\n');
    }
    add_partitions(s, out);
    add_lag(s, out);
    add_leader(s, out);
    add_members(s, out);
    add_moves(s, out);
    add_problems(s, out);
}
