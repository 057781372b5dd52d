/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions of which no member is there, and the older copies that they can go on from; and partitions that
 * the directors' store, put back from an older copy, knows less of than the nodes do (R27): these go on with
 * nothing lost. */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/status.h"

static bool is_alive(const struct status *s, uint32_t id)
{
    const struct status_node *node = status_find_node(s, id);
    return node != NULL && node->alive;
}

static bool is_ahead(const struct status_partition *p)
{
    return p->known > p->conf.epoch;
}

/* No member is there: what is missing may be on any of them. */
static bool is_lost(const struct status *s, const struct status_partition *p)
{
    if (is_ahead(p)) /* what the store calls members says little */
        return false;
    for (size_t i = 0; i < p->conf.member_count; i++) {
        if (is_alive(s, p->conf.members[i]))
            return false;
    }
    return true;
}

/* By the director's order, which is the only one (director/heard.h). NULL: no node that is there has a whole
 * copy. */
static const struct status_spare *newest_of(const struct status_partition *p)
{
    for (size_t i = 0; i < p->spare_count; i++) {
        if (p->spares[i].newest)
            return &p->spares[i];
    }
    return NULL;
}

/* ---- what there is */

static void add_row(const struct status *s, const struct status_partition *p, const struct status_spare *copy,
                    struct buf *rows)
{
    buf_addf(rows, "%u\t", p->conf.partition);
    for (size_t i = 0; i < p->conf.member_count; i++)
        buf_addf(rows, "%s%u", i > 0 ? "," : "", p->conf.members[i]);
    if (copy == NULL) {
        buf_addf(rows, "\t%llu\t-\t-\t-\t-\t-\t-\n", (unsigned long long)p->conf.epoch);
        return;
    }
    const struct status_node *node = status_find_node(s, copy->node);
    buf_addf(rows, "\t%llu\t%u\t", (unsigned long long)p->conf.epoch, copy->node);
    if (node != NULL)
        buf_add_slice(rows, node->name);
    buf_addf(rows, "\t%llu\t%llu\t%llu\t%s\n", (unsigned long long)copy->known,
             (unsigned long long)copy->epoch, (unsigned long long)copy->last,
             copy->newest   ? "yes"
             : copy->broken ? "broken"
                            : "-");
}

static void add_json(struct json *json, const struct status *s, const struct status_partition *p)
{
    json_open(json, NULL, '{');
    json_number(json, "partition", p->conf.partition);
    json_number(json, "epoch", p->conf.epoch);
    json_bool(json, "ahead", is_ahead(p));
    json_open(json, "members", '[');
    for (size_t i = 0; i < p->conf.member_count; i++)
        json_number(json, NULL, p->conf.members[i]);
    json_close(json, ']');
    json_open(json, "copies", '[');
    for (size_t i = 0; i < p->spare_count; i++) {
        if (!is_alive(s, p->spares[i].node))
            continue;
        json_open(json, NULL, '{');
        json_number(json, "node", p->spares[i].node);
        json_number(json, "known", p->spares[i].known);
        json_number(json, "epoch", p->spares[i].epoch);
        json_number(json, "last", p->spares[i].last);
        json_bool(json, "broken", p->spares[i].broken);
        json_bool(json, "newest", p->spares[i].newest);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void add_copies(const struct status *s, const struct status_partition *p, struct buf *rows)
{
    size_t listed = 0;
    for (size_t i = 0; i < p->spare_count; i++) {
        if (!is_alive(s, p->spares[i].node))
            continue;
        add_row(s, p, &p->spares[i], rows);
        listed++;
    }
    if (listed == 0)
        add_row(s, p, NULL, rows);
}

static void say_what_to_do(size_t lost, size_t ahead)
{
    if (lost + ahead == 0)
        printf("Nothing is to be recovered: of every partition a member is there.\n");
    if (ahead > 0)
        printf("\nWhere a copy knows a higher epoch than the store, that was put back from an older copy. "
               "Start all\n"
               "nodes, and then: ternctl partition recover --all. Nothing is lost by it.\n");
    if (lost > 0)
        printf("\nStart the members if that is possible at all. If they are lost for good, start all other "
               "nodes\n"
               "that may have copies, and then: ternctl partition recover --all --accept-loss\n");
}

static enum ctl_exit list(struct ctl *ctl, const struct status *s)
{
    struct json json = { 0 };
    struct buf rows = { 0 };
    size_t lost = 0, ahead = 0;
    buf_add_str(&rows, "PARTITION\tMEMBERS\tSTORE'S\tCOPY ON\tNAME\tKNOWS\tEPOCH\tLAST ENTRY\tNEWEST\n");
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < s->partition_listed; i++) {
        const struct status_partition *p = &s->partitions[i];
        if (!is_lost(s, p) && !is_ahead(p))
            continue;
        lost += !is_ahead(p);
        ahead += is_ahead(p);
        add_json(&json, s, p);
        add_copies(s, p, &rows);
    }
    json_close(&json, ']');
    if (ctl->given & CTL_JSON)
        ctl_print_json(&json);
    else if (lost + ahead > 0)
        ctl_print_table(&rows);
    if (!(ctl->given & CTL_JSON))
        say_what_to_do(lost, ahead);
    buf_fini(&json.out);
    buf_fini(&rows);
    return CTL_OK;
}

/* ---- going on */

static enum ctl_exit needs_acceptance(void)
{
    return ctl_refuse(CTL_USAGE, "recover a partition", "what the copy lacks will be lost for good",
                      "If every node that had more is lost, say --accept-loss. If one can be started again, "
                      "start it instead. See: ternctl partition recover");
}

/* What a director answered last; most often it says the same of all partitions. */
struct refusals {
    struct buf text;
    uint32_t same; /* as often again, untold */
};

static void tell_same(struct refusals *r)
{
    if (r->same > 0)
        fprintf(stderr, "ternctl: the same for %u more partition%s\n", r->same, r->same == 1 ? "" : "s");
    r->same = 0;
}

static enum ctl_exit refuse(struct ctl *ctl, enum err err, const char *what, const struct buf *detail,
                            struct refusals *r)
{
    if (detail->len > 0 && slice_eq(buf_slice(detail), buf_slice(&r->text))) {
        r->same++;
        return CTL_FAILED;
    }
    tell_same(r);
    buf_clear(&r->text);
    buf_add_slice(&r->text, buf_slice(detail));
    return ctl_fail_detail(ctl, err, what, detail);
}

/* `node` 0: with nothing lost. */
static enum ctl_exit go_on_from(struct ctl *ctl, const struct status *s, const char *what, uint32_t partition,
                                uint32_t node, struct refusals *refusals)
{
    struct buf detail = { 0 }, name = { 0 };
    enum ctl_exit exit = CTL_OK;
    uint32_t from;
    enum err err = store_partition_recover(ctl->store, partition, node, &from, &detail);
    if (err == OK) {
        status_node_name(s, from, 64, &name);
        printf("Partition %u goes on from the copy of node %u (%s)%s.\n", partition, from, buf_cstr(&name),
               node == 0 ? ", with nothing lost" : "");
    } else {
        exit = refuse(ctl, err, what, &detail, refusals);
    }
    buf_fini(&name);
    buf_fini(&detail);
    return exit;
}

static enum ctl_exit recover(struct ctl *ctl, const struct status *s, const struct status_partition *p,
                             uint32_t from, struct refusals *refusals)
{
    const char *what = arena_printf(&ctl->arena, "recover partition %u", p->conf.partition);
    bool accepted = ctl->given & CTL_ACCEPT_LOSS;
    if (is_ahead(p) && from == 0) { /* a loss that need not be is none that was accepted */
        enum ctl_exit exit = go_on_from(ctl, s, what, p->conf.partition, 0, refusals);
        if (exit == CTL_OK || !accepted)
            return exit;
    }
    if (!accepted)
        return needs_acceptance();
    if (from == 0 && !is_lost(s, p) && !is_ahead(p))
        return ctl_refuse(CTL_FAILED, what, "a member is alive: it comes back by itself", NULL);
    const struct status_spare *newest = newest_of(p);
    if (from == 0 && newest == NULL)
        return ctl_refuse(CTL_FAILED, what, "no node that is there has a whole copy of it",
                          "Start one that has. See: ternctl partition recover");
    return go_on_from(ctl, s, what, p->conf.partition, from != 0 ? from : newest->node, refusals);
}

/* Without --accept-loss all that can be done without a loss is done before it is asked for. */
static enum ctl_exit recover_all(struct ctl *ctl, const struct status *s, uint32_t from)
{
    enum ctl_exit worst = CTL_OK;
    size_t lost = 0, ahead = 0;
    struct refusals refusals = { 0 };
    for (size_t i = 0; i < s->partition_listed; i++) {
        const struct status_partition *p = &s->partitions[i];
        bool is_it = is_ahead(p) || (is_lost(s, p) && ctl->given & CTL_ACCEPT_LOSS);
        lost += is_lost(s, p);
        ahead += is_ahead(p);
        if (is_it && recover(ctl, s, p, from, &refusals) != CTL_OK)
            worst = CTL_FAILED;
    }
    tell_same(&refusals);
    buf_fini(&refusals.text);
    if (lost > 0 && !(ctl->given & CTL_ACCEPT_LOSS))
        return needs_acceptance();
    if (lost + ahead == 0)
        say_what_to_do(lost, ahead);
    return worst;
}

static enum ctl_exit recover_one(struct ctl *ctl, const struct status *s, uint64_t number, uint32_t from)
{
    struct refusals refusals = { 0 };
    for (size_t i = 0; i < s->partition_listed; i++) {
        if (s->partitions[i].conf.partition == number) {
            enum ctl_exit exit = recover(ctl, s, &s->partitions[i], from, &refusals);
            buf_fini(&refusals.text);
            return exit;
        }
    }
    return ctl_refuse(CTL_FAILED, "recover a partition", "there is none with that number",
                      "See: ternctl partition list");
}

/* What the command line asks for makes sense; *number_out of the one partition that is named, if any is. */
static enum ctl_exit check_usage(const struct ctl *ctl, uint64_t *number_out)
{
    bool all = ctl->given & CTL_ALL, one = ctl->argument_count > 0;
    if (one && !slice_parse_u64(slice_str(ctl->arguments[0]), UINT32_MAX, number_out))
        return ctl_refuse(CTL_USAGE, ctl->arguments[0], "no number of a partition", NULL);
    if (all && one)
        return ctl_refuse(CTL_USAGE, "recover a partition", "either one or --all", NULL);
    if (!all && !one && (ctl->from != NULL || ctl->given & CTL_ACCEPT_LOSS))
        return ctl_refuse(CTL_USAGE, "recover a partition", "which one is not said",
                          "Name it, or say --all. See: ternctl partition recover");
    if (ctl->from != NULL && !(ctl->given & CTL_ACCEPT_LOSS))
        return needs_acceptance();
    return CTL_OK;
}

enum ctl_exit partition_recover(struct ctl *ctl)
{
    struct status status;
    uint64_t number;
    uint32_t from = 0;
    enum ctl_exit usage = check_usage(ctl, &number);
    if (usage != CTL_OK)
        return usage;
    enum err err = store_status_read(ctl->store, true, &ctl->arena, &status);
    if (err != OK)
        return ctl_fail(ctl, err, "recover a partition");
    if (ctl->from != NULL) {
        const struct status_node *node = ctl_find_node(&status, ctl->from);
        if (node == NULL)
            return CTL_FAILED;
        from = node->id;
    }
    if (ctl->given & CTL_ALL)
        return recover_all(ctl, &status, from);
    return ctl->argument_count > 0 ? recover_one(ctl, &status, number, from) : list(ctl, &status);
}
