/* SPDX-License-Identifier: Apache-2.0 */
/* A storage node's talk with the directors: hello to each of them, the map from one, and what its replicas
 * ask of that one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/director/dsim.h"

enum {
    MAP_MS = 5000,        /* a map is asked for so often, if nothing is new */
    TELL_MS = 3000,       /* what copies it has is told for so long when asked for */
    SILENCE_MS = 1000,    /* then another director is asked */
    OTHER_PER_MILLE = 50, /* an answer comes so late that another is asked next time */
    DISK_BYTES = 100000000,
    SMALL_DISK_BYTES = 1500000,
    SMALL_DISK_SLOT = 1,
    RESERVE_BYTES = 200000,
    ENTRY_BYTES = 1000,
};

struct step {
    struct todo todo;
    int slot;
};

int node_slot(const struct node *n)
{
    return (int)(n - sim->nodes);
}

bool node_runs(const struct node *n)
{
    return n->up && !n->refused && sim->now >= n->paused_until;
}

struct node *node_of(uint32_t id)
{
    for (int i = 0; i < NODES_MAX && id != 0; i++) {
        if (sim->nodes[i].used && sim->nodes[i].id == id)
            return &sim->nodes[i];
    }
    return NULL;
}

static struct director_call call_of(const struct node *n, int kind, int director)
{
    struct director_call call = { .node = node_slot(n), .boot = n->boot, .director = director };
    call.kind = kind == CALL_HELLO ? CALL_HELLO : kind == CALL_MAP ? CALL_MAP : CALL_CONF;
    return call;
}

/* ---- hello */

static void fill_figures(const struct node *n, uint32_t p, Tern__PartitionFigures *out)
{
    const struct copy *c = &n->copies[p];
    tern__partition_figures__init(out);
    out->partition = p;
    out->epoch = c->conf.epoch;
    out->active = c->active;
    out->last = out->commit = c->log.count;
    out->bytes = ENTRY_BYTES * c->log.count;
}

/* As storage-node/node.c tells it. */
static void fill_disk(struct node *n, Tern__NodeHelloRequest *out)
{
    uint64_t used = 0;
    for (uint32_t p = 0; p < sim->partitions; p++)
        used += n->copies[p].record ? ENTRY_BYTES * n->copies[p].log.count : 0;
    out->disk_total = sim->small_disk && node_slot(n) == SMALL_DISK_SLOT ? SMALL_DISK_BYTES : DISK_BYTES;
    out->disk_free = used < out->disk_total ? out->disk_total - used : 0;
    out->disk_reserve = RESERVE_BYTES;
    n->full =
        out->disk_free < RESERVE_BYTES || (n->full && out->disk_free < RESERVE_BYTES + RESERVE_BYTES / 4);
    out->disk_low = n->full;
}

bool node_is_full(const struct node *n)
{
    return n != NULL && n->full;
}

static void fill_spare(const struct node *n, uint32_t p, Tern__SpareCopy *out)
{
    const struct copy *c = &n->copies[p];
    tern__spare_copy__init(out);
    out->partition = p;
    out->epoch = out->known = c->conf.epoch;
    out->last = c->log.count;
    out->primary = c->started;
    out->active = c->active;
}

static uint64_t known_of(const struct node *n, uint32_t p)
{
    uint64_t of_map = n->map_confs[p].epoch, of_copy = n->copies[p].conf.epoch;
    return of_map > of_copy ? of_map : of_copy;
}

/* All that it has and knows, as a director asked for that does not know yet who is ahead of the store (R27).
 */
static void tell_copies(const struct node *n, Tern__NodeHelloRequest *hello, Tern__SpareCopy *spares,
                        Tern__SpareCopy **at, uint64_t *epochs)
{
    hello->whole = true;
    hello->spares = at;
    hello->epochs = epochs;
    hello->n_epochs = sim->partitions;
    for (uint32_t p = 0; p < sim->partitions; p++) {
        epochs[p] = known_of(n, p);
        if (!n->copies[p].record)
            continue;
        fill_spare(n, p, &spares[hello->n_spares]);
        at[hello->n_spares] = &spares[hello->n_spares];
        hello->n_spares++;
    }
}

static uint32_t count_not_active(const struct node *n)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < sim->partitions; p++)
        count += n->map_confs[p].epoch != 0 && n->map_confs[p].primary == n->id && !n->copies[p].active;
    return count;
}

static void say_hello(struct node *n, int director)
{
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    static Tern__PartitionFigures figures[PARTITIONS_MAX], *at[PARTITIONS_MAX];
    static Tern__SpareCopy spares[PARTITIONS_MAX], *spare_at[PARTITIONS_MAX];
    static uint64_t epochs[PARTITIONS_MAX];
    struct director_call call = call_of(n, CALL_HELLO, director);
    info.id = n->id;
    info.store_id = (ProtobufCBinaryData){ MAP_ID_SIZE, n->store_id };
    info.name = info.endpoint = n->endpoint;
    info.zone = n->zone;
    hello.node = &info;
    if (n->joined)
        hello.cluster_id = (ProtobufCBinaryData){ MAP_ID_SIZE, n->cluster_id };
    hello.map_version = n->map_version;
    hello.not_active = count_not_active(n);
    hello.leaving = n->leaving;
    fill_disk(n, &hello);
    hello.figures = at;
    for (uint32_t p = 0; p < sim->partitions; p++) {
        if (!n->copies[p].started)
            continue;
        fill_figures(n, p, &figures[hello.n_figures]);
        at[hello.n_figures] = &figures[hello.n_figures];
        hello.n_figures++;
    }
    if (sim->now < n->telling_until)
        tell_copies(n, &hello, spares, spare_at, epochs);
    hello.hearing = hello.whole ? n->hearing[director] : 0;
    director_call_send(&call, METHOD_NODE_HELLO, &hello.base);
}

static void take_hello(struct node *n, int director, enum err status, struct slice response)
{
    if (status == ERR_DENIED) {
        sim_trace("node %u is refused", n->id);
        n->refused = true;
        copies_stop(n);
        return;
    }
    if (status != OK)
        return;
    Tern__NodeHelloResponse *hello = tern__node_hello_response__unpack(NULL, response.len, response.data);
    if (hello == NULL || hello->node_id == 0 || hello->node_id >= ID_MAX) {
        sim_fail("an answer to a hello makes no sense");
        return;
    }
    if (n->id == 0)
        sim_trace("node %u is in slot %d, zone %s", hello->node_id, node_slot(n), n->zone);
    else if (n->id != hello->node_id)
        sim_fail("node %u is told that it is %u", n->id, hello->node_id);
    n->id = hello->node_id;
    if (hello->map_version > n->told_version)
        n->told_version = hello->map_version;
    if (hello->tell_copies && sim->now >= n->telling_until) { /* at once, and to all */
        n->telling_until = sim->now + TELL_MS;
        memset(n->hello_at, 0, sizeof n->hello_at);
    }
    if (hello->tell_copies && hello->hearing != n->hearing[director]) {
        n->hearing[director] = hello->hearing;
        n->hello_at[director] = 0;
    }
    for (size_t i = 0; i < hello->n_wishes; i++)
        copy_wish(n, hello->wishes[i]);
    tern__node_hello_response__free_unpacked(hello, NULL);
}

/* ---- the map */

static void ask_map(struct node *n)
{
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    if (n->map_asked_at > n->map_answered_at)
        n->director = (n->director + 1) % DIRECTORS;
    struct director_call call = call_of(n, CALL_MAP, n->director);
    request.have_version = n->map_version;
    request.subscribe = true;
    n->map_asked_at = sim->now;
    director_call_send(&call, METHOD_MAP, &request.base);
}

static void take_map(struct node *n, enum err status, struct slice response)
{
    n->map_answered_at = sim->now + 1;
    Tern__MapResponse *answer =
        status == OK ? tern__map_response__unpack(NULL, response.len, response.data) : NULL;
    const Tern__Map *map = answer == NULL ? NULL : answer->map;
    if (map != NULL && map->version > n->map_version) {
        n->map_version = map->version;
        n->joined = map->cluster_id.len == MAP_ID_SIZE;
        if (n->joined)
            memcpy(n->cluster_id, map->cluster_id.data, MAP_ID_SIZE);
        for (size_t i = 0; i < map->n_partitions; i++) {
            struct conf conf;
            if (conf_from_proto(map->partitions[i], &conf) != OK || conf.partition >= sim->partitions) {
                sim_fail("a map has a partition that makes no sense");
                break;
            }
            n->map_confs[conf.partition] = conf;
            copy_learn(n, &conf);
        }
    }
    if (answer != NULL)
        tern__map_response__free_unpacked(answer, NULL);
}

void node_notice(int slot, uint64_t boot, uint64_t version)
{
    struct node *n = &sim->nodes[slot];
    if (n->boot == boot && node_runs(n) && version > n->told_version)
        n->told_version = version;
}

/* What a node here tells and asks it tells and asks again every second, answered or not. */
uint64_t node_sends_at(const struct director_call *call)
{
    (void)call;
    return 0;
}

/* ---- what replicas ask */

void node_ask(struct node *n, uint32_t partition, Tern__ConfChange change, uint32_t subject, bool wished)
{
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    int director = sim_chance(OTHER_PER_MILLE) ? (int)sim_below(DIRECTORS) : n->director;
    struct director_call call = call_of(n, CALL_CONF, director);
    call.partition = partition;
    call.change = change;
    call.wished = wished;
    request.change = change;
    request.partition = partition;
    request.epoch = n->copies[partition].conf.epoch;
    request.asker = n->id;
    request.subject = subject;
    director_call_send(&call, METHOD_CONF_CHANGE, &request.base);
}

static void take_conf(struct node *n, const struct director_call *call, enum err status,
                      struct slice response)
{
    struct conf conf;
    Tern__ConfChangeResponse *answer = tern__conf_change_response__unpack(NULL, response.len, response.data);
    if (answer != NULL && answer->conf != NULL) {
        if (conf_from_proto(answer->conf, &conf) != OK)
            sim_fail("an answer has a configuration that makes no sense");
        else
            copy_learn(n, &conf);
        bool out = !sim->failed && !conf_is_member(&conf, n->id) && !conf_is_learner(&conf, n->id);
        if (status == ERR_LIMIT && call->change == TERN__CONF_CHANGE__CONF_ADD_LEARNER && out)
            copy_drop(n, call->partition);
    }
    if (answer != NULL)
        tern__conf_change_response__free_unpacked(answer, NULL);
}

void node_answer(const struct director_call *call, enum err status, struct slice response)
{
    struct node *n = &sim->nodes[call->node];
    if (n->boot != call->boot || !node_runs(n))
        return;
    if (call->kind == CALL_HELLO)
        take_hello(n, call->director, status, response);
    else if (call->kind == CALL_MAP)
        take_map(n, status, response);
    else
        take_conf(n, call, status, response);
}

/* ---- life */

static void wake_up(struct node *n)
{
    n->up = true;
    n->leaving = false;
    n->boot = sim_rand() | 1;
    n->map_version = n->told_version = n->telling_until = 0;
    n->director = (int)sim_below(DIRECTORS);
    memset(n->hello_at, 0, sizeof n->hello_at);
    memset(n->hearing, 0, sizeof n->hearing);
    copies_stop(n);
    sim_trace("node %u starts", n->id);
}

static void step(struct node *n)
{
    for (int i = 0; i < DIRECTORS; i++) {
        if (sim->now >= n->hello_at[i] && (n->id != 0 || i == n->director)) {
            n->hello_at[i] = sim->now + HELLO_MS;
            say_hello(n, i);
        }
    }
    bool waits = n->map_asked_at >= n->map_answered_at && sim->now < n->map_asked_at + SILENCE_MS;
    if (n->id != 0 && !waits && /* a map says nothing to one that does not know who it is */
        (n->told_version > n->map_version || sim->now >= n->map_asked_at + MAP_MS ||
         (n->map_version == 0 && sim->now >= n->map_asked_at + SILENCE_MS)))
        ask_map(n);
    if (n->id == 0 && sim_chance(100))
        n->director = (int)sim_below(DIRECTORS);
    copies_step(n);
}

static void step_run(struct todo *todo)
{
    struct node *n = &sim->nodes[((struct step *)todo)->slot];
    if (n->used && !n->up && !n->dead && sim->now >= n->up_at)
        wake_up(n);
    if (n->used && node_runs(n))
        step(n);
    sim_post(todo, sim->now + STEP_MS / 2 + sim_below(STEP_MS));
}

static void step_drop(struct todo *todo)
{
    free(todo);
}

struct node *node_start(unsigned zone)
{
    struct node *n = NULL;
    for (int i = 0; i < NODES_MAX && n == NULL; i++)
        n = sim->nodes[i].used ? NULL : &sim->nodes[i];
    if (n == NULL)
        return NULL;
    *n = (struct node){ .used = true };
    for (size_t i = 0; i < sizeof n->store_id; i++)
        n->store_id[i] = (uint8_t)sim_rand();
    snprintf(n->zone, sizeof n->zone, "z%u", zone);
    snprintf(n->endpoint, sizeof n->endpoint, "tcp://n%d:1", node_slot(n));
    struct step *s = NEW(struct step);
    *s = (struct step){ { .run = step_run, .drop = step_drop }, node_slot(n) };
    sim_post(&s->todo, sim->now + sim_below(STEP_MS));
    return n;
}

void node_crash(struct node *n, uint64_t ms)
{
    sim_trace("node %u dies", n->id);
    n->up = false;
    n->boot = 0;
    n->down_since = sim->now;
    n->up_at = sim->now + ms;
    n->paused_until = 0;
    copies_stop(n);
    sim->totals.crashes++;
}

void node_fini(struct node *n)
{
    for (int p = 0; p < PARTITIONS_MAX; p++)
        numbers_fini(&n->copies[p].log);
}
