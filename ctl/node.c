/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/status.h"
#include "lib/fiber/fiber.h"

enum {
    WAIT_INTERVAL_MS = 1000,
    WAIT_TELL_EVERY = 10, /* intervals, where lines cannot be drawn over */
    WAIT_PATIENCE = 3,    /* intervals until it is told what may be in the way */
};

/* ---- list */

struct shares {
    size_t members, learners;
};

static struct shares shares_of(const struct status *s, uint32_t id)
{
    struct shares shares = { 0 };
    for (size_t i = 0; i < s->partition_listed; i++) {
        const struct cluster_partition *p = &s->partitions[i].conf;
        for (size_t k = 0; k < p->member_count; k++)
            shares.members += p->members[k] == id;
        for (size_t k = 0; k < p->learner_count; k++)
            shares.learners += p->learners[k] == id;
    }
    return shares;
}

static void add_json(struct json *json, const struct status_node *n, const struct shares *s)
{
    json_open(json, NULL, '{');
    json_number(json, "id", n->id);
    json_hex(json, "store_id", n->store_id);
    json_text(json, "name", n->name);
    json_text(json, "endpoint", n->endpoint);
    json_text(json, "zone", n->zone);
    json_bool(json, "alive", n->alive);
    json_bool(json, "draining", n->draining);
    json_bool(json, "leaving", n->leaving);
    json_number(json, "seen_ms", n->seen_ms);
    json_number(json, "silent_ms", n->silent_ms);
    json_number(json, "primaries", n->primaries);
    json_number(json, "members", s->members);
    json_number(json, "learners", s->learners);
    json_number(json, "bytes", n->bytes);
    json_number(json, "disk_total", n->disk_total);
    json_number(json, "disk_free", n->disk_free);
    json_close(json, '}');
}

static void add_row(struct ctl *ctl, struct buf *rows, const struct status_node *n, const struct shares *s)
{
    buf_addf(rows, "%u\t%.*s\t%.*s\t%.*s\t", n->id, SLICE_FMT(n->name), SLICE_FMT(n->zone),
             SLICE_FMT(n->endpoint));
    status_node_state(n, rows);
    buf_addf(rows, "\t%u\t%zu\t%zu\t%s\n", n->primaries, s->members, s->learners, ctl_time(ctl, n->seen_ms));
}

enum ctl_exit node_list(struct ctl *ctl)
{
    struct status status;
    enum err err = store_status_read(ctl->store, true, &ctl->arena, &status);
    if (err != OK)
        return ctl_fail(ctl, err, "list the nodes");
    struct json json = { 0 };
    struct buf rows = { 0 };
    buf_add_str(&rows, "ID\tNAME\tZONE\tENDPOINT\tSTATE\tPRIMARIES\tMEMBERS\tLEARNERS\tLAST SEEN\n");
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < status.node_count; i++) {
        struct shares shares = shares_of(&status, status.nodes[i].id);
        add_json(&json, &status.nodes[i], &shares);
        add_row(ctl, &rows, &status.nodes[i], &shares);
    }
    json_close(&json, ']');
    return ctl_print_list(ctl, &json, &rows);
}

/* ---- drain */

static size_t count_moving(const struct status *s, uint32_t id)
{
    size_t moving = 0;
    for (size_t i = 0; i < s->move_count; i++)
        moving += s->moves[i].from == id && !slice_eq(s->moves[i].state, SLICE_LIT("waits"));
    return moving;
}

/* What the director has to say about the node: most likely why nothing moves. False if that is nothing. */
static bool tell_obstacle(const struct status *s, uint32_t id)
{
    char start[sizeof "Node 4294967295 "];
    bool told = false;
    snprintf(start, sizeof start, "Node %u ", id);
    for (size_t i = 0; i < s->problem_count; i++) {
        if (slice_starts(s->problems[i], slice_str(start))) {
            fprintf(stderr, "%s%.*s\n", isatty(STDERR_FILENO) ? "\r\x1b[K" : "", SLICE_FMT(s->problems[i]));
            told = true;
        }
    }
    return told;
}

/* What is left on the node. */
static void tell_progress(const struct status *s, const struct status_node *node, bool in_place)
{
    printf("%s%u copies and %u primaries are left on node %u, %zu on the move%s", in_place ? "\r\x1b[K" : "",
           node->copies, node->primaries, node->id, count_moving(s, node->id), in_place ? "" : "\n");
    fflush(stdout);
}

static enum ctl_exit wait_until_empty(struct ctl *ctl, uint32_t id)
{
    bool in_place = isatty(STDOUT_FILENO);
    struct arena arena = { 0 };
    enum ctl_exit exit = CTL_OK;
    bool told = false;
    for (unsigned i = 0;; i++) {
        struct status status;
        enum err err = store_status_read(ctl->store, false, &arena, &status);
        const struct status_node *node = err == OK ? status_find_node(&status, id) : NULL;
        if (err == OK && (node == NULL || !node->draining)) {
            exit = ctl_refuse(CTL_FAILED, "wait for the node", "it is not to be emptied any more", NULL);
            break;
        }
        if (node != NULL && (in_place || i % WAIT_TELL_EVERY == 0 || node->copies == 0))
            tell_progress(&status, node, in_place);
        if (node != NULL && node->copies == 0)
            break;
        if (node != NULL && !told && i >= WAIT_PATIENCE && count_moving(&status, id) == 0)
            told = tell_obstacle(&status, id);
        arena_clear(&arena);
        fiber_sleep_ms(WAIT_INTERVAL_MS);
    }
    if (in_place)
        printf("\n");
    if (exit == CTL_OK)
        printf("Node %u is empty. Stop it, then: ternctl node remove %u\n", id, id);
    arena_fini(&arena);
    return exit;
}

/* The id of the node that the first argument names; false and told if there is none. */
static bool find_node(struct ctl *ctl, const char *what, uint32_t *id_out)
{
    struct status status;
    enum err err = store_status_read(ctl->store, false, &ctl->arena, &status);
    if (err != OK) {
        ctl_fail(ctl, err, what);
        return false;
    }
    const struct status_node *node = ctl_find_node(&status, ctl->arguments[0]);
    *id_out = node == NULL ? 0 : node->id;
    return node != NULL;
}

enum ctl_exit node_drain(struct ctl *ctl)
{
    bool undo = ctl->given & CTL_UNDO;
    struct buf detail = { 0 };
    uint32_t id;
    if (undo && (ctl->given & CTL_WAIT))
        return ctl_refuse(CTL_USAGE, "drain a node", "--undo has nothing to wait for", NULL);
    if (!find_node(ctl, "drain a node", &id))
        return CTL_FAILED;
    enum err err = store_node_drain(ctl->store, id, !undo, &detail);
    enum ctl_exit exit = CTL_OK;
    if (err != OK)
        exit = ctl_fail_detail(ctl, err, arena_printf(&ctl->arena, "drain node %u", id), &detail);
    else if (ctl->given & CTL_WAIT)
        exit = wait_until_empty(ctl, id);
    buf_fini(&detail);
    return exit;
}

/* ---- remove */

enum ctl_exit node_remove(struct ctl *ctl)
{
    struct buf detail = { 0 };
    uint32_t id, missing = 0;
    bool listed = false;
    if (!find_node(ctl, "remove a node", &id))
        return CTL_FAILED;
    enum err err = store_node_remove(ctl->store, id, ctl->given & CTL_LOST, &missing, &listed, &detail);
    enum ctl_exit exit = CTL_OK;
    if (err != OK)
        exit = ctl_fail_detail(ctl, err, arena_printf(&ctl->arena, "remove node %u", id), &detail);
    else if (listed)
        printf("Node %u is given up. When all other nodes are here: ternctl partition recover --all\n", id);
    else if (missing > 0)
        printf(
            "%u copies are missing, and are made anew where nodes can take them. See: ternctl cluster status "
            "--watch\n",
            missing);
    buf_fini(&detail);
    return exit;
}
