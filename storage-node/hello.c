/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/hello.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/metrics.h"
#include "proto/methods.h"
#include "storage-node/mailbox/machine.h"

enum { NODES_SHOWN_MAX = 64 /* with a gauge of their own */ };

/* How far a director has been told. A pass over the partitions may take several hellos. */
struct told {
    uint64_t since;        /* the change up to which it knows */
    uint32_t from;         /* the pass's next partition */
    uint64_t pass_newest;  /* the newest change when the pass began */
    uint32_t filled_from;  /* `from` after the hello that is out */
    uint64_t next_full_ms; /* when it is told everything again */
    uint64_t hearing;      /* the number that it asked for all copies with last */
    uint64_t hearing_at;   /* copies told for this asking of the workers count for it */
};

struct lag {
    uint32_t node;
    struct metric_gauge *gauge;
    uint64_t behind; /* the most of any partition */
};

struct hello {
    struct kv *kv;
    struct board *board;
    struct faults *faults;
    uint32_t measure_from;
    uint64_t whole_at;        /* the asking for which the workers told of all copies; 0: none yet */
    uint64_t copies_until_ms; /* all are told before */
    struct lag lags[NODES_SHOWN_MAX];
    size_t lag_count;
    size_t director_count;
    struct told told[];
};

struct hello *hello_new(struct kv *kv, struct board *board, struct faults *faults, size_t director_count)
{
    struct hello *hello = xcalloc(1, sizeof *hello + director_count * sizeof hello->told[0]);
    hello->kv = kv;
    hello->board = board;
    hello->faults = faults;
    hello->director_count = director_count;
    return hello;
}

void hello_free(struct hello **hello)
{
    free(*hello);
    *hello = NULL;
}

/* ---- refreshing */

static void measure(struct hello *hello)
{
    struct buf lower = { 0 }, upper = { 0 };
    uint32_t partition;
    for (int i = 0; i < HELLO_MEASURES_MAX; i++) {
        if (!board_next_unmeasured(hello->board, &hello->measure_from, &partition))
            break;
        machine_key_range(partition, &lower, &upper);
        board_set_state_bytes(hello->board, partition,
                              kv_size(hello->kv, KV_STATE, buf_slice(&lower), buf_slice(&upper)));
    }
    buf_fini(&lower);
    buf_fini(&upper);
}

static struct lag *lag_of(struct hello *hello, uint32_t node)
{
    for (size_t i = 0; i < hello->lag_count; i++) {
        if (hello->lags[i].node == node)
            return &hello->lags[i];
    }
    if (hello->lag_count == NODES_SHOWN_MAX)
        return NULL;
    char text[16];
    struct lag *lag = &hello->lags[hello->lag_count++];
    snprintf(text, sizeof text, "%u", node);
    lag->node = node;
    lag->gauge = metrics_gauge("tern_replica_behind_entries",
                               "entries that another node lacks, of the partition that lacks most there",
                               METRIC_LABELS("node", text));
    return lag;
}

static void see_lag(void *arg, uint32_t partition, const struct board_figures *figures)
{
    for (int i = 0; i < figures->peer_count; i++) {
        struct lag *lag = lag_of(arg, figures->peers[i].node);
        if (lag != NULL && figures->peers[i].behind > lag->behind)
            lag->behind = figures->peers[i].behind;
    }
}

static void show_lags(struct hello *hello)
{
    uint64_t newest;
    for (size_t i = 0; i < hello->lag_count; i++)
        hello->lags[i].behind = 0;
    board_collect(hello->board, 0, 0, SIZE_MAX, see_lag, hello, &newest);
    for (size_t i = 0; i < hello->lag_count; i++)
        metric_set(hello->lags[i].gauge, (int64_t)hello->lags[i].behind);
}

void hello_refresh(struct hello *hello, bool placed, uint64_t asked)
{
    measure(hello);
    show_lags(hello);
    if (placed && hello->whole_at == 0)
        hello->whole_at = asked;
}

/* ---- telling */

struct filling {
    struct arena *arena;
    Tern__PartitionFigures **list;
    size_t count;
};

static void add_figures(void *arg, uint32_t partition, const struct board_figures *figures)
{
    struct filling *filling = arg;
    Tern__PartitionFigures *out = ARENA_NEW(filling->arena, Tern__PartitionFigures);
    tern__partition_figures__init(out);
    out->partition = partition;
    out->epoch = figures->epoch;
    out->active = figures->active;
    out->last = figures->last;
    out->commit = figures->commit;
    out->machine_version = figures->version;
    out->bytes = figures->body_bytes + figures->state_bytes;
    out->peers = ARENA_ARRAY(filling->arena, Tern__PeerFigures *, figures->peer_count);
    out->n_peers = figures->peer_count;
    for (int i = 0; i < figures->peer_count; i++) {
        Tern__PeerFigures *peer = out->peers[i] = ARENA_NEW(filling->arena, Tern__PeerFigures);
        tern__peer_figures__init(peer);
        peer->node = figures->peers[i].node;
        peer->behind = figures->peers[i].behind;
        peer->copied_bytes = figures->peers[i].copied_bytes;
    }
    filling->list[filling->count++] = out;
}

static void fill_figures(struct hello *hello, struct told *told, uint64_t now_ms, struct arena *arena,
                         Tern__NodeHelloRequest *out)
{
    struct filling filling = { .arena = arena };
    uint64_t newest;
    if (now_ms >= told->next_full_ms) {
        told->since = told->from = 0;
        told->next_full_ms = now_ms + FIGURES_INTERVAL_MS;
    }
    filling.list = ARENA_ARRAY(arena, Tern__PartitionFigures *, HELLO_FIGURES_MAX);
    told->filled_from = board_collect(hello->board, told->since, told->from, HELLO_FIGURES_MAX, add_figures,
                                      &filling, &newest);
    if (told->from == 0)
        told->pass_newest = newest;
    out->figures = filling.list;
    out->n_figures = filling.count;
}

static void fill_faults(struct hello *hello, struct arena *arena, Tern__NodeHelloRequest *out)
{
    if (faults_count(hello->faults) == 0)
        return;
    struct fault *faults = ARENA_ARRAY(arena, struct fault, FAULTS_TEXTS_MAX);
    size_t count = faults_list(hello->faults, faults, FAULTS_TEXTS_MAX);
    out->faults = ARENA_ARRAY(arena, Tern__PartitionFault *, FAULTS_TEXTS_MAX);
    out->n_faults = count;
    for (size_t i = 0; i < count; i++) {
        out->faults[i] = ARENA_NEW(arena, Tern__PartitionFault);
        tern__partition_fault__init(out->faults[i]);
        out->faults[i]->partition = faults[i].partition;
        out->faults[i]->text = faults[i].text;
    }
}

void hello_ask_copies(struct hello *hello, size_t director, uint64_t hearing, uint64_t asked, uint64_t now_ms)
{
    struct told *to = &hello->told[director];
    hello->copies_until_ms = now_ms + HELLO_COPIES_MS;
    if (to->hearing != hearing)
        to->hearing_at = asked;
    to->hearing = hearing;
}

static void fill_spares(struct hello *hello, const struct told *to, uint64_t told, uint64_t now_ms,
                        struct arena *arena, Tern__NodeHelloRequest *out)
{
    bool all = now_ms < hello->copies_until_ms;
    size_t max = board_copy_count(hello->board, all);
    out->whole = all && hello->whole_at != 0 && told >= hello->whole_at;
    out->hearing = out->whole && told >= to->hearing_at ? to->hearing : 0;
    if (max == 0)
        return;
    struct board_copy *spares = ARENA_ARRAY(arena, struct board_copy, max + 1);
    out->n_spares = board_copies(hello->board, all, spares, max + 1);
    if (out->n_spares > max) { /* they have become more just now, perhaps by several */
        out->whole = false;
        out->hearing = 0;
    }
    out->spares = ARENA_ARRAY(arena, Tern__SpareCopy *, out->n_spares);
    for (size_t i = 0; i < out->n_spares; i++) {
        Tern__SpareCopy *copy = out->spares[i] = ARENA_NEW(arena, Tern__SpareCopy);
        tern__spare_copy__init(copy);
        copy->partition = spares[i].partition;
        copy->epoch = spares[i].epoch;
        copy->last = spares[i].last;
        copy->known = spares[i].known;
        copy->primary = spares[i].primary;
        copy->active = spares[i].active;
        copy->broken = spares[i].broken;
    }
}

/* Beyond those of the copies: a learner that has nothing yet, and a node that only has a map of it, know more
 * than anybody who has a copy, perhaps. The map keeps the higher epoch whatever a later one says. */
static void fill_epochs(struct hello *hello, const Tern__Map *map, uint64_t now_ms, struct arena *arena,
                        Tern__NodeHelloRequest *out)
{
    if (now_ms >= hello->copies_until_ms)
        return;
    uint32_t count = board_known_count(hello->board);
    for (size_t i = 0; map != NULL && i < map->n_partitions; i++) {
        uint32_t partition = map->partitions[i]->partition;
        if (partition < PARTITION_COUNT_MAX && partition >= count)
            count = partition + 1;
    }
    if (count == 0)
        return;
    out->n_epochs = count;
    out->epochs = ARENA_ARRAY(arena, uint64_t, count);
    memset(out->epochs, 0, count * sizeof *out->epochs);
    for (size_t i = 0; map != NULL && i < map->n_partitions; i++) {
        uint32_t partition = map->partitions[i]->partition;
        if (partition < count)
            out->epochs[partition] = map->partitions[i]->epoch;
    }
    board_raise_known(hello->board, out->epochs, count);
}

void hello_fill(struct hello *hello, size_t director, uint64_t told, const Tern__Map *map, uint64_t now_ms,
                struct arena *arena, Tern__NodeHelloRequest *out)
{
    fill_figures(hello, &hello->told[director], now_ms, arena, out);
    fill_faults(hello, arena, out);
    fill_spares(hello, &hello->told[director], told, now_ms, arena, out);
    fill_epochs(hello, map, now_ms, arena, out);
}

void hello_done(struct hello *hello, size_t director, bool taken)
{
    struct told *told = &hello->told[director];
    if (!taken) {
        told->next_full_ms = 0;
        return;
    }
    told->from = told->filled_from;
    if (told->from == 0)
        told->since = told->pass_newest;
}
