/* SPDX-License-Identifier: Apache-2.0 */
#include "director/heard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

void heard_fini(struct heard *heard)
{
    for (uint32_t p = 0; p < heard->partition_count; p++)
        free(heard->figures[p]);
    free(heard->figures);
    free(heard->faults);
    free(heard->spares);
    for (size_t i = 0; i < heard->known_count; i++)
        free(heard->known[i].epochs);
    free(heard->known);
    *heard = (struct heard){ 0 };
}

/* ---- figures */

static void grow(struct heard *heard, uint32_t partition_count)
{
    if (partition_count <= heard->partition_count)
        return;
    heard->figures = xrealloc(heard->figures, partition_count * sizeof *heard->figures);
    memset(heard->figures + heard->partition_count, 0,
           (partition_count - heard->partition_count) * sizeof *heard->figures);
    heard->partition_count = partition_count;
}

static void take_figures(struct heard *heard, uint32_t node, const Tern__PartitionFigures *from,
                         uint64_t now_mono_ms)
{
    if (from->partition >= heard->partition_count)
        return;
    struct heard_figures *f = heard->figures[from->partition];
    if (f == NULL)
        f = heard->figures[from->partition] = NEW(struct heard_figures);
    if (from->epoch < f->epoch)
        return;
    *f = (struct heard_figures){ .teller = node,
                                 .heard_mono_ms = now_mono_ms,
                                 .served_mono_ms = f->served_mono_ms,
                                 .epoch = from->epoch,
                                 .active = from->active,
                                 .last = from->last,
                                 .commit = from->commit,
                                 .bytes = from->bytes,
                                 .machine_version = from->machine_version };
    for (size_t i = 0; i < from->n_peers && i < CONF_NODES_MAX; i++)
        f->peers[f->peer_count++] =
            (struct heard_peer){ from->peers[i]->node, from->peers[i]->behind, from->peers[i]->copied_bytes };
}

const struct heard_figures *heard_find(const struct heard *heard, uint32_t partition)
{
    return partition < heard->partition_count ? heard->figures[partition] : NULL;
}

const struct heard_peer *heard_find_peer(const struct heard_figures *figures, uint32_t node)
{
    for (int i = 0; figures != NULL && i < figures->peer_count; i++) {
        if (figures->peers[i].node == node)
            return &figures->peers[i];
    }
    return NULL;
}

uint32_t heard_version(const struct heard *heard, uint32_t partition)
{
    const struct heard_figures *f = heard_find(heard, partition);
    return f == NULL || f->machine_version == 0 ? 1 : f->machine_version;
}

uint64_t heard_bytes(const struct heard *heard, uint32_t partition)
{
    const struct heard_figures *f = heard_find(heard, partition);
    return f == NULL ? 0 : f->bytes;
}

static bool primary_is_here(const struct map *map, const struct conf *conf, uint64_t now_mono_ms)
{
    const struct map_node *node = map_find_node(map, conf->primary);
    return node != NULL && map_node_is_alive(node, now_mono_ms);
}

static bool primary_says_active(const struct heard_figures *f, const struct conf *conf)
{
    return f->active && f->teller == conf->primary && f->epoch >= conf->since;
}

/* ---- epochs beyond the store's */

static void forget_known(struct heard *heard, uint32_t node)
{
    size_t kept = 0;
    for (size_t i = 0; i < heard->known_count; i++) {
        if (heard->known[i].node == node)
            free(heard->known[i].epochs);
        else
            heard->known[kept++] = heard->known[i];
    }
    heard->known_count = kept;
}

static void take_known(struct heard *heard, const struct map *map, uint32_t node,
                       const Tern__NodeHelloRequest *hello)
{
    uint32_t count =
        hello->n_epochs < map->partition_count ? (uint32_t)hello->n_epochs : map->partition_count;
    bool beyond = false;
    forget_known(heard, node);
    for (uint32_t p = 0; p < count && !beyond; p++)
        beyond = hello->epochs[p] > map->confs[p].epoch;
    if (!beyond)
        return;
    heard->known = xrealloc(heard->known, (heard->known_count + 1) * sizeof *heard->known);
    heard->known[heard->known_count++] =
        (struct heard_known){ node, count, xmemdup(hello->epochs, count * sizeof *hello->epochs) };
}

static void forget_removed(struct heard *heard, const struct map *map)
{
    size_t faults = 0, spares = 0;
    for (size_t i = 0; i < heard->fault_count; i++) {
        if (map_find_node(map, heard->faults[i].node) != NULL)
            heard->faults[faults++] = heard->faults[i];
    }
    for (size_t i = 0; i < heard->spare_count; i++) {
        if (map_find_node(map, heard->spares[i].node) != NULL)
            heard->spares[spares++] = heard->spares[i];
    }
    heard->fault_count = faults;
    heard->spare_count = spares;
    for (size_t i = heard->known_count; i > 0; i--) {
        if (map_find_node(map, heard->known[i - 1].node) == NULL)
            forget_known(heard, heard->known[i - 1].node);
    }
}

uint64_t heard_epoch(const struct heard *heard, uint32_t partition)
{
    const struct heard_figures *f = heard_find(heard, partition);
    size_t count;
    const struct heard_spare *copies = heard_spares(heard, partition, &count);
    uint64_t epoch = f == NULL ? 0 : f->epoch;
    for (size_t i = 0; i < count; i++) {
        if (copies[i].known > epoch)
            epoch = copies[i].known;
    }
    for (size_t i = 0; i < heard->known_count; i++) {
        const struct heard_known *known = &heard->known[i];
        if (partition < known->count && known->epochs[partition] > epoch)
            epoch = known->epochs[partition];
    }
    return epoch;
}

bool heard_is_ahead(const struct heard *heard, const struct conf *conf)
{
    return heard_epoch(heard, conf->partition) > conf->epoch;
}

/* A primary that runs counts as if its newest entry were of its epoch, and has more than any other then. */
static bool is_better(const struct heard_spare *a, const struct heard_spare *b)
{
    uint64_t of_a = a->primary ? a->known : a->epoch, of_b = b->primary ? b->known : b->epoch;
    if (of_a != of_b)
        return of_a > of_b;
    if (a->active != b->active)
        return a->active;
    return a->primary != b->primary ? a->primary : a->last > b->last;
}

const struct heard_spare *heard_newest(const struct heard *heard, const struct map *map, uint32_t partition,
                                       uint64_t now_mono_ms)
{
    const struct heard_spare *best = NULL;
    size_t count;
    const struct heard_spare *copies = heard_spares(heard, partition, &count);
    for (size_t i = 0; i < count; i++) {
        const struct map_node *node = map_find_node(map, copies[i].node);
        if (copies[i].broken || node == NULL || !map_node_is_alive(node, now_mono_ms))
            continue;
        if (best == NULL || is_better(&copies[i], best))
            best = &copies[i];
    }
    return best;
}

static void count_ahead(struct heard *heard, const struct map *map, uint64_t now_mono_ms)
{
    heard->ahead = 0;
    for (uint32_t p = 0; p < heard->partition_count && p < map->partition_count; p++)
        heard->ahead += map->confs[p].epoch != 0 && heard_is_ahead(heard, &map->confs[p]);
    if (heard->ahead == 0)
        heard->ahead_since_ms = 0;
    else if (heard->ahead_since_ms == 0)
        heard->ahead_since_ms = now_mono_ms;
}

void heard_look(struct heard *heard, const struct map *map, uint64_t now_mono_ms)
{
    forget_removed(heard, map);
    count_ahead(heard, map, now_mono_ms);
    for (uint32_t p = 0; p < heard->partition_count && p < map->partition_count; p++) {
        struct heard_figures *f = heard->figures[p];
        const struct conf *conf = &map->confs[p];
        if (f != NULL && primary_says_active(f, conf) && primary_is_here(map, conf, now_mono_ms))
            f->served_mono_ms = now_mono_ms;
    }
}

bool heard_is_active(const struct heard *heard, const struct map *map, const struct conf *conf,
                     uint64_t now_mono_ms)
{
    const struct heard_figures *f = heard_find(heard, conf->partition);
    if (f == NULL || !primary_is_here(map, conf, now_mono_ms))
        return false;
    return primary_says_active(f, conf) ||
           (f->served_mono_ms != 0 && now_mono_ms < f->served_mono_ms + HEARD_SERVED_MS);
}

/* ---- faults */

static bool same_faults(const struct heard_fault *have, size_t count, const Tern__NodeHelloRequest *hello)
{
    if (count != hello->n_faults)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (have[i].partition != hello->faults[i]->partition ||
            strncmp(have[i].text, hello->faults[i]->text, HEARD_TEXT_MAX - 1) != 0)
            return false;
    }
    return true;
}

/* The node's faults stand together at *first_out. */
static size_t find_faults(const struct heard *heard, uint32_t node, size_t *first_out)
{
    size_t first = 0, count = 0;
    while (first < heard->fault_count && heard->faults[first].node < node)
        first++;
    while (first + count < heard->fault_count && heard->faults[first + count].node == node)
        count++;
    *first_out = first;
    return count;
}

static void take_faults(struct heard *heard, uint32_t node, const Tern__NodeHelloRequest *hello)
{
    size_t first, had = find_faults(heard, node, &first);
    size_t count = hello->n_faults < HEARD_FAULTS_MAX ? hello->n_faults : HEARD_FAULTS_MAX;
    if (same_faults(heard->faults + first, had, hello))
        return;
    struct heard_fault *all = NEW_ARRAY(struct heard_fault, heard->fault_count - had + count + 1);
    size_t behind = heard->fault_count - first - had;
    if (first > 0)
        memcpy(all, heard->faults, first * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        struct heard_fault *fault = &all[first + i];
        fault->node = node;
        fault->partition = hello->faults[i]->partition;
        snprintf(fault->text, sizeof fault->text, "%s", hello->faults[i]->text);
    }
    if (behind > 0)
        memcpy(all + first + count, heard->faults + first + had, behind * sizeof *all);
    free(heard->faults);
    heard->faults = all;
    heard->fault_count = first + count + behind;
}

/* ---- spare copies: few, and none while all is well and the director is not new */

static int compare_spares(const void *a, const void *b)
{
    const struct heard_spare *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

/* From the end, in place: every node tells all its copies when a director starts. */
static void merge_spares(struct heard *heard, const struct heard_spare *told, size_t count)
{
    size_t kept = heard->spare_count, at = kept + count;
    heard->spares = xrealloc(heard->spares, at * sizeof *heard->spares);
    heard->spare_count = at;
    while (count > 0) {
        bool take = kept == 0 || compare_spares(&heard->spares[kept - 1], &told[count - 1]) < 0;
        heard->spares[--at] = take ? told[--count] : heard->spares[--kept];
    }
}

static void take_spares(struct heard *heard, uint32_t node, const Tern__NodeHelloRequest *hello)
{
    size_t kept = 0, count = hello->n_spares < MAP_PARTITIONS_MAX ? hello->n_spares : MAP_PARTITIONS_MAX;
    for (size_t i = 0; i < heard->spare_count; i++) {
        if (heard->spares[i].node != node)
            heard->spares[kept++] = heard->spares[i];
    }
    heard->spare_count = kept;
    if (count == 0)
        return;
    struct heard_spare *told = NEW_ARRAY(struct heard_spare, count);
    for (size_t i = 0; i < count; i++)
        told[i] = (struct heard_spare){ .partition = hello->spares[i]->partition,
                                        .node = node,
                                        .epoch = hello->spares[i]->epoch,
                                        .last = hello->spares[i]->last,
                                        .known = hello->spares[i]->known,
                                        .primary = hello->spares[i]->primary,
                                        .active = hello->spares[i]->active,
                                        .broken = hello->spares[i]->broken };
    qsort(told, count, sizeof *told, compare_spares);
    merge_spares(heard, told, count);
    free(told);
}

const struct heard_spare *heard_spares(const struct heard *heard, uint32_t partition, size_t *count_out)
{
    size_t low = 0, high = heard->spare_count, count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heard->spares[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + count < heard->spare_count && heard->spares[low + count].partition == partition)
        count++;
    *count_out = count;
    return heard->spares + low;
}

bool heard_is_sane(const Tern__NodeHelloRequest *hello)
{
    bool sane = true;
    for (size_t i = 0; i < hello->n_epochs && sane; i++)
        sane = hello->epochs[i] <= HEARD_EPOCH_MAX;
    for (size_t i = 0; i < hello->n_spares && sane; i++)
        sane = hello->spares[i]->epoch <= HEARD_EPOCH_MAX && hello->spares[i]->known <= HEARD_EPOCH_MAX;
    for (size_t i = 0; i < hello->n_figures && sane; i++)
        sane = hello->figures[i]->epoch <= HEARD_EPOCH_MAX;
    return sane;
}

void heard_take(struct heard *heard, const struct map *map, uint32_t node,
                const Tern__NodeHelloRequest *hello, uint64_t now_mono_ms)
{
    grow(heard, map->partition_count);
    for (size_t i = 0; i < hello->n_figures; i++)
        take_figures(heard, node, hello->figures[i], now_mono_ms);
    take_faults(heard, node, hello);
    take_spares(heard, node, hello);
    take_known(heard, map, node, hello);
}
