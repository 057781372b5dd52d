/* SPDX-License-Identifier: Apache-2.0 */
/* The coordination store as etcd is one: a single judge of transactions, whose answer may be lost, or come
 * long after the director has given up (ERR_IN_DOUBT); to each director a watch in the order of revisions,
 * late, sometimes torn (then all rows come anew); and a leader's lease, believed in for less time than it is
 * kept. */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "tests/sim/directors/directors.h"

enum {
    LEASE_KEPT_MS = 3000, /* ETCD_LEASE_S */
    LEASE_BELIEVED_MS = 2500,
    LEAD_RENEW_MS = 700,
    GIVE_UP_MS = 2000, /* no answer to a transaction */
    RELOAD_PER_MILLE = 20,
    RESTORE_MS = 3000, /* directors are started again so soon after the store was put back */
    STRAY_MS = 1500,   /* a transaction under way is taken so late at most */
};

struct entry {
    uint64_t revision;
    struct coordination_row *rows;
    size_t count;
};

struct store {
    struct coordination_row *rows; /* that there are now */
    size_t row_count;
    uint64_t revision, newest;
    struct entry *history;
    size_t history_count;
    struct conf *confs; /* by partition */
    uint64_t down_until, leader_until;
    int leader;
    uint64_t leader_boot;
};

struct client {
    struct coordination base;
    int host;
    uint64_t boot, lead_until;
    bool led;
    struct coordination_watcher watcher;
    size_t told; /* entries of the history */
    struct transit *transits;
};

/* A transaction on its way: copied, for the director may be gone when it arrives. */
struct transit {
    struct todo todo;
    struct transit *next;          /* of the client's */
    struct coordination_txn *txn;  /* NULL: nobody waits for it any more */
    struct coordination_row *rows; /* mod: what is expected */
    int *actions;
    size_t count;
    int host;
    uint64_t boot, era;
    enum { GOES, RETURNS } stage;
    enum err result;
    uint64_t revision;
    struct made made;
};

/* A client's own affairs. */
struct errand {
    struct todo todo;
    int host;
    uint64_t boot;
    enum { TELLS, LEADS } what;
};

/* ---- rows */

static struct slice copy_slice(struct slice s)
{
    return slice_of(xmemdup(s.data, s.len), s.len);
}

static void row_free(struct coordination_row *row)
{
    free((void *)row->key.data);
    free((void *)row->value.data);
}

static struct coordination_row *find(struct slice key)
{
    for (size_t i = 0; i < directors.store->row_count; i++) {
        if (slice_eq(directors.store->rows[i].key, key))
            return &directors.store->rows[i];
    }
    return NULL;
}

static void put(const struct coordination_row *row)
{
    struct store *s = directors.store;
    struct coordination_row *at = find(row->key);
    if (at == NULL) {
        s->rows = xrealloc(s->rows, (s->row_count + 1) * sizeof *s->rows);
        at = &s->rows[s->row_count++];
        *at = (struct coordination_row){ .key = copy_slice(row->key) };
    } else {
        free((void *)at->value.data);
    }
    at->value = copy_slice(row->value);
    at->mod = s->revision;
}

static void delete (struct slice key)
{
    struct coordination_row *at = find(key);
    if (at == NULL)
        return;
    row_free(at);
    *at = directors.store->rows[--directors.store->row_count];
}

const struct conf *store_conf(uint32_t partition)
{
    return &directors.store->confs[partition];
}

bool store_is_marked(uint32_t node)
{
    struct buf key = { 0 };
    row_key(&key, ROW_NODE, node, SLICE_NULL);
    const struct coordination_row *row = find(buf_slice(&key));
    Tern__NodeInfo *info =
        row == NULL ? NULL : (Tern__NodeInfo *)row_parse_value(row->value, &tern__node_info__descriptor);
    bool marked = info != NULL && info->removing;
    if (info != NULL)
        tern__node_info__free_unpacked(info, NULL);
    buf_fini(&key);
    return marked;
}

bool store_has_node(uint32_t node)
{
    struct buf key = { 0 };
    row_key(&key, ROW_NODE, node, SLICE_NULL);
    bool has = find(buf_slice(&key)) != NULL;
    buf_fini(&key);
    return has;
}

int store_leader(void)
{
    return sim_now() < directors.store->leader_until ? directors.store->leader : -1;
}

/* ---- the judge */

/* `made` NULL: it was judged when it was made. */
static void look(const struct coordination_row *row, const struct made *made)
{
    enum row_kind kind;
    uint32_t number;
    struct slice name;
    if (row_parse_key(row->key, &kind, &number, &name) != OK) {
        sim_fail("a row has no known key");
    } else if (kind == ROW_PARTITION && number >= directors.options.partitions) {
        sim_fail("a row of a partition that there is not");
    } else if (kind == ROW_PARTITION) {
        struct conf next = { 0 }, old = directors.store->confs[number];
        Tern__PartitionConf *proto =
            (Tern__PartitionConf *)row_parse_value(row->value, &tern__partition_conf__descriptor);
        if (proto == NULL || conf_from_proto(proto, &next) != OK)
            sim_fail("a partition's row does not decode");
        if (proto != NULL)
            tern__partition_conf__free_unpacked(proto, NULL);
        directors.store->confs[number] = next;
        if (made != NULL)
            check_conf(&old, &next, made);
    }
}

/* Behind all else that its transaction changed. */
static void look_for_removal(const struct coordination_row *row)
{
    enum row_kind kind;
    uint32_t number;
    struct slice name;
    if (row_parse_key(row->key, &kind, &number, &name) == OK && kind == ROW_REMOVED)
        check_removed(number);
}

static bool holds(const struct transit *t)
{
    for (size_t i = 0; i < t->count && !directors.breaks.cas; i++) {
        if (directors.breaks.mark && t->actions[i] == COORDINATION_CHECK)
            continue;
        const struct coordination_row *row = find(t->rows[i].key);
        if ((row == NULL ? 0 : row->mod) != t->rows[i].mod)
            return false;
    }
    return true;
}

static void remember(const struct transit *t)
{
    struct store *s = directors.store;
    struct entry entry = { .revision = s->revision, .rows = NEW_ARRAY(struct coordination_row, t->count) };
    for (size_t i = 0; i < t->count; i++) {
        if (t->actions[i] == COORDINATION_CHECK)
            continue;
        bool deleted = t->actions[i] == COORDINATION_DELETE;
        entry.rows[entry.count++] =
            (struct coordination_row){ .key = copy_slice(t->rows[i].key),
                                       .value = deleted ? SLICE_NULL : copy_slice(t->rows[i].value),
                                       .mod = s->revision,
                                       .deleted = deleted };
    }
    s->history = xrealloc(s->history, (s->history_count + 1) * sizeof *s->history);
    s->history[s->history_count++] = entry;
}

static void errand_post(int host, uint64_t boot, int what, uint64_t at);

static void take(struct transit *t)
{
    struct store *s = directors.store;
    bool writes = false;
    for (size_t i = 0; i < t->count; i++)
        writes |= t->actions[i] != COORDINATION_CHECK;
    t->result = holds(t) ? OK : ERR_CONFLICT;
    if (t->result == OK && writes) {
        s->newest = ++s->revision;
        for (size_t i = 0; i < t->count; i++) {
            if (t->actions[i] == COORDINATION_DELETE) {
                delete (t->rows[i].key);
            } else if (t->actions[i] == COORDINATION_PUT) {
                put(&t->rows[i]);
                look(&t->rows[i], &t->made);
            }
        }
        for (size_t i = 0; i < t->count; i++)
            look_for_removal(&t->rows[i]);
        remember(t);
        for (int i = 0; i < directors.count; i++) {
            if (directors.hosts[i].client != NULL)
                errand_post(i, directors.hosts[i].boot, TELLS, sim_now() + 1 + sim_below(directors.lag_ms));
        }
    }
    directors.totals.conflicts += t->result == ERR_CONFLICT;
    t->revision = s->revision;
}

/* ---- transactions */

static struct client *client_of(int host, uint64_t boot)
{
    struct host *h = &directors.hosts[host];
    return h->boot == boot ? h->client : NULL;
}

static void transit_free(struct todo *todo)
{
    struct transit *t = (struct transit *)todo;
    for (size_t i = 0; i < t->count; i++)
        row_free(&t->rows[i]);
    free(t->rows);
    free(t->actions);
    free(t);
}

/* The director hears of it, once. */
static void tell_result(struct transit *t, enum err result, uint64_t revision)
{
    struct client *c = client_of(t->host, t->boot);
    if (t->txn == NULL || c == NULL)
        return;
    struct transit **at = &c->transits;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    struct coordination_txn *txn = t->txn;
    t->txn = NULL;
    directors.totals.doubts += result == ERR_IN_DOUBT;
    txn->done(txn, result, revision, txn->arg);
    host_poke(t->host);
}

static void give_up(struct todo *todo)
{
    struct transit *t = (struct transit *)todo;
    tell_result(t, ERR_IN_DOUBT, 0);
    transit_free(todo);
}

static void transit_run(struct todo *todo)
{
    struct transit *t = (struct transit *)todo;
    uint64_t at;
    bool lost = t->era != directors.era;
    if (lost || (t->stage == GOES && sim_now() < directors.store->down_until)) {
        todo->run = give_up;
        sim_post(todo, sim_now() + sim_below(GIVE_UP_MS));
    } else if (t->stage == GOES) {
        take(t);
        t->stage = RETURNS;
        if (sim_route(END_STORE, t->host, &at)) {
            sim_post(todo, at);
        } else {
            todo->run = give_up;
            sim_post(todo, sim_now() + GIVE_UP_MS);
        }
    } else {
        tell_result(t, t->result, t->revision);
        transit_free(todo);
    }
}

/* It goes on its way by itself: the director has given up. */
static void stray(struct transit *t)
{
    struct transit *copy = xmemdup(t, sizeof *t);
    copy->txn = NULL;
    copy->rows = xmemdup(t->rows, t->count * sizeof *t->rows);
    copy->actions = xmemdup(t->actions, t->count * sizeof *t->actions);
    for (size_t i = 0; i < t->count; i++) {
        copy->rows[i].key = copy_slice(t->rows[i].key);
        copy->rows[i].value = copy_slice(t->rows[i].value);
    }
    sim_post(&copy->todo, sim_now() + sim_below(STRAY_MS));
}

static enum err client_submit(struct coordination *base, struct coordination_txn *txn)
{
    struct client *c = (struct client *)base;
    const struct change *change = txn->arg;
    uint64_t at;
    if (directors.hosts[c->host].ending)
        return ERR_UNAVAILABLE;
    struct transit *t = NEW(struct transit);
    *t = (struct transit){ .todo = { .run = transit_run, .drop = transit_free },
                           .next = c->transits,
                           .txn = txn,
                           .host = c->host,
                           .boot = c->boot,
                           .era = directors.era,
                           .count = txn->count };
    t->rows = NEW_ARRAY(struct coordination_row, txn->count + 1);
    t->actions = NEW_ARRAY(int, txn->count + 1);
    for (size_t i = 0; i < txn->count; i++) {
        const struct coordination_change *from = &txn->changes[i];
        t->rows[i] = (struct coordination_row){ .key = copy_slice(from->key),
                                                .value = copy_slice(from->value),
                                                .mod = from->expected_mod };
        t->actions[i] = (int)from->action;
    }
    const struct director_call *call = change->request == NULL ? NULL : change->request->user;
    t->made = (struct made){ .own = change->request == NULL,
                             .wished = call != NULL && call->wished,
                             .director = c->host,
                             .asked = change->asked };
    if (t->made.own && change->asked.change == TERN__CONF_CHANGE__CONF_ADD_LEARNER)
        check_begins(c->host, change->number, change->asked.subject);
    c->transits = t;
    if (sim_route(c->host, END_STORE, &at)) {
        sim_post(&t->todo, at);
    } else {
        if (sim_chance(500))
            stray(t);
        t->todo.run = give_up;
        sim_post(&t->todo, sim_now() + GIVE_UP_MS);
    }
    return OK;
}

/* ---- the watch and the lease */

static void reload(struct client *c)
{
    struct store *s = directors.store;
    c->told = s->history_count;
    directors.totals.reloads++;
    sim_trace("director %d: its watch was torn, all rows come anew", c->host);
    c->watcher.on_reload(s->rows, s->row_count, s->newest, s->revision, c->watcher.arg);
}

static void tell(struct client *c)
{
    struct store *s = directors.store;
    if (sim_now() < s->down_until || sim_cut(END_STORE, c->host)) {
        uint64_t until = sim_cut_until(END_STORE, c->host);
        errand_post(c->host, c->boot, TELLS, (until > s->down_until ? until : s->down_until) + 1);
        return;
    }
    if (c->told < s->history_count && !sim_calm() && sim_chance(RELOAD_PER_MILLE)) {
        reload(c);
    } else {
        /* As far as it has come: what is newer has an errand of its own. */
        size_t upto = c->told + 1 + sim_below(s->history_count - c->told);
        for (; c->told < upto && c->told < s->history_count; c->told++) {
            const struct entry *e = &s->history[c->told];
            c->watcher.on_change(e->rows, e->count, e->revision, c->watcher.arg);
        }
        if (c->told < s->history_count)
            errand_post(c->host, c->boot, TELLS, sim_now() + 1 + sim_below(directors.lag_ms));
    }
    host_poke(c->host);
}

static void lead(struct client *c)
{
    struct store *s = directors.store;
    struct host *h = &directors.hosts[c->host];
    errand_post(c->host, c->boot, LEADS, sim_now() + LEAD_RENEW_MS / 2 + sim_below(LEAD_RENEW_MS / 2));
    bool mine = s->leader == c->host && s->leader_boot == c->boot;
    if (sim_now() < s->down_until || sim_now() < h->paused_until || sim_cut(c->host, END_STORE) ||
        (!mine && sim_now() < s->leader_until))
        return;
    if (!mine) {
        directors.totals.leaders++;
        sim_trace("director %d leads", c->host);
    }
    s->leader = c->host;
    s->leader_boot = c->boot;
    s->leader_until = sim_now() + LEASE_KEPT_MS;
    if (!sim_cut(END_STORE, c->host)) { /* it was sent a while ago */
        c->lead_until = sim_now() - sim_below(200) + LEASE_BELIEVED_MS;
        c->led = true;
    }
}

static void errand_run(struct todo *todo)
{
    struct errand *e = (struct errand *)todo;
    struct client *c = client_of(e->host, e->boot);
    if (c != NULL && e->what == TELLS)
        tell(c);
    else if (c != NULL)
        lead(c);
    free(e);
}

static void errand_drop(struct todo *todo)
{
    free(todo);
}

static void errand_post(int host, uint64_t boot, int what, uint64_t at)
{
    struct errand *e = NEW(struct errand);
    *e = (struct errand){ .todo = { .run = errand_run, .drop = errand_drop }, .host = host, .boot = boot };
    e->what = what == TELLS ? TELLS : LEADS;
    sim_post(&e->todo, at);
}

/* ---- the seam */

static enum err client_load(struct coordination *base, const struct coordination_watcher *watcher,
                            uint64_t *newest_out)
{
    struct client *c = (struct client *)base;
    struct store *s = directors.store;
    c->watcher = *watcher;
    for (size_t i = 0; i < s->row_count; i++)
        watcher->on_change(&s->rows[i], 1, s->revision, watcher->arg);
    c->told = s->history_count;
    *newest_out = s->newest;
    return OK;
}

static bool client_leads(struct coordination *base)
{
    struct client *c = (struct client *)base;
    return sim_now() < c->lead_until || (directors.breaks.lease && c->led);
}

static void client_close(struct coordination *base)
{
    struct client *c = (struct client *)base;
    while (c->transits != NULL) /* what is under way arrives all the same */
        tell_result(c->transits, ERR_IN_DOUBT, 0);
    directors.hosts[c->host].client = NULL;
    free(c);
}

static const struct coordination_ops ops = {
    .load = client_load,
    .submit = client_submit,
    .close = client_close,
    .leads = client_leads,
};

struct client *store_connect(int host)
{
    if (sim_now() < directors.store->down_until || sim_cut(host, END_STORE) || sim_cut(END_STORE, host))
        return NULL;
    struct client *c = NEW(struct client);
    *c = (struct client){ .base = { &ops }, .host = host, .boot = directors.hosts[host].boot };
    errand_post(host, c->boot, LEADS, sim_now() + sim_below(LEAD_RENEW_MS));
    return c;
}

struct coordination *store_coordination(struct client *client)
{
    return &client->base;
}

void store_down(uint64_t ms)
{
    directors.store->down_until = sim_now() + ms;
    sim_trace("the store is away for %llu ms", (unsigned long long)ms);
}

void store_calm(void)
{
    directors.store->down_until = 0;
}

size_t store_entries(void)
{
    return directors.store->history_count;
}

static void entry_fini(struct entry *entry)
{
    for (size_t i = 0; i < entry->count; i++)
        row_free(&entry->rows[i]);
    free(entry->rows);
}

static void replay(const struct entry *entry)
{
    struct store *s = directors.store;
    s->newest = s->revision = entry->revision;
    for (size_t i = 0; i < entry->count; i++) {
        if (entry->rows[i].deleted)
            delete (entry->rows[i].key);
        else
            put(&entry->rows[i]);
        if (!entry->rows[i].deleted)
            look(&entry->rows[i], NULL);
    }
}

void store_restore(size_t entries)
{
    struct store *s = directors.store;
    for (int i = 0; i < directors.count; i++)
        host_crash(i, sim_below(RESTORE_MS));
    for (size_t i = 0; i < s->row_count; i++)
        row_free(&s->rows[i]);
    s->row_count = 0;
    for (size_t i = entries; i < s->history_count; i++)
        entry_fini(&s->history[i]);
    s->history_count = entries;
    memset(s->confs, 0, directors.options.partitions * sizeof *s->confs);
    for (size_t i = 0; i < entries; i++)
        replay(&s->history[i]);
    s->leader_until = 0;
    directors.era++;
    sim_trace("the store is put back from a copy");
}

void store_init(void)
{
    directors.store = NEW(struct store);
    directors.store->confs = NEW_ARRAY(struct conf, directors.options.partitions);
}

void store_fini(void)
{
    struct store *s = directors.store;
    for (size_t i = 0; i < s->row_count; i++)
        row_free(&s->rows[i]);
    for (size_t i = 0; i < s->history_count; i++)
        entry_fini(&s->history[i]);
    free(s->history);
    free(s->rows);
    free(s->confs);
    free(s);
}
