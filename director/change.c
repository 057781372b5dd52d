/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

struct change *change_new(struct director *d, struct rpc_request *request, size_t parts_max,
                          change_finish *finish)
{
    assert(parts_max <= COORDINATION_CHANGES_MAX);
    struct change *change = NEW(struct change);
    change->parts_max = parts_max;
    change->parts = NEW_ARRAY(struct coordination_change, parts_max);
    change->keys = NEW_ARRAY(struct buf, parts_max);
    change->values = NEW_ARRAY(struct buf, parts_max);
    change->director = d;
    change->request = request;
    change->finish = finish;
    change->txn.changes = change->parts;
    d->changes_open++;
    return change;
}

static void change_free(struct change *change)
{
    assert(change->request == NULL); /* answered by the finisher */
    change->director->changes_open--;
    for (size_t i = 0; i < change->txn.count; i++) {
        buf_fini(&change->keys[i]);
        buf_fini(&change->values[i]);
    }
    free(change->values);
    free(change->keys);
    free(change->parts);
    buf_fini(&change->name);
    free(change->told);
    free(change);
}

static struct coordination_change *add_part(struct change *change, enum row_kind kind, uint32_t number,
                                            struct slice name, uint64_t expected_mod)
{
    assert(change->txn.count < change->parts_max);
    size_t at = change->txn.count++;
    struct coordination_change *part = &change->parts[at];
    row_key(&change->keys[at], kind, number, name);
    part->key = buf_slice(&change->keys[at]);
    part->expected_mod = expected_mod;
    return part;
}

void change_add_put(struct change *change, enum row_kind kind, uint32_t number, struct slice name,
                    uint64_t expected_mod, const ProtobufCMessage *value)
{
    struct coordination_change *part = add_part(change, kind, number, name, expected_mod);
    struct buf *bytes = &change->values[change->txn.count - 1];
    row_value(bytes, value);
    part->action = COORDINATION_PUT;
    part->value = buf_slice(bytes);
}

void change_add_delete(struct change *change, enum row_kind kind, uint32_t number, struct slice name,
                       uint64_t expected_mod)
{
    add_part(change, kind, number, name, expected_mod)->action = COORDINATION_DELETE;
}

void change_add_check(struct change *change, uint32_t node)
{
    const struct map_node *known = map_find_node(&change->director->map, node);
    struct buf key = { 0 };
    bool there = false;
    row_key(&key, ROW_NODE, node, SLICE_NULL);
    for (size_t i = 0; i < change->txn.count && !there; i++)
        there = slice_eq(change->parts[i].key, buf_slice(&key));
    buf_fini(&key);
    if (!there)
        add_part(change, ROW_NODE, node, SLICE_NULL, known == NULL ? 0 : known->mod)->action =
            COORDINATION_CHECK;
}

void change_add_conf(struct change *change, const struct conf *next)
{
    const struct map *map = &change->director->map;
    const struct conf *conf = &map->confs[next->partition];
    Tern__PartitionConf proto;
    conf_to_proto(next, &proto);
    change_add_put(change, ROW_PARTITION, next->partition, SLICE_NULL, map->conf_mods[next->partition],
                   &proto.base);
    for (size_t i = 0; i < (size_t)next->member_count + next->learner_count; i++) {
        uint32_t node = i < next->member_count ? next->members[i] : next->learners[i - next->member_count];
        if (conf_admits(conf, next, node))
            change_add_check(change, node);
    }
}

size_t change_conf_parts(const struct conf *next)
{
    return 1 + (size_t)next->member_count + next->learner_count;
}

static void finish(struct change *change)
{
    change->finish(change->director, change, change->result);
    change_free(change);
}

/* On the director's thread. A decision of the store is told on only when the picture shows it. */
static void on_decided(struct event *event, void *arg)
{
    struct change *change = (struct change *)event;
    struct director *d = change->director;
    metric_observe(d->figures.commit_seconds, (clock_mono_ns() - change->begun_mono_ns) / 1000);
    metric_count(change->result == ERR_CONFLICT ? d->figures.conflicts : d->figures.commits, 1);
    change->next_waiting = NULL;
    *d->waiting_tail = change;
    d->waiting_tail = &change->next_waiting;
    changes_resume(d);
}

void changes_resume(struct director *d)
{
    struct change **at = &d->waiting;
    while (*at != NULL) {
        struct change *change = *at;
        if (change->revision > d->map.revision) {
            at = &change->next_waiting;
            continue;
        }
        *at = change->next_waiting;
        finish(change);
    }
    d->waiting_tail = at;
}

void changes_abandon(struct director *d)
{
    while (d->waiting != NULL) {
        struct change *change = d->waiting;
        d->waiting = change->next_waiting;
        change->result = ERR_UNAVAILABLE;
        finish(change);
    }
    d->waiting_tail = &d->waiting;
}

/* On the store's thread. */
static void on_done(struct coordination_txn *txn, enum err result, uint64_t revision, void *arg)
{
    struct change *change = arg;
    change->result = result;
    change->revision = result == OK || result == ERR_CONFLICT ? revision : 0;
    events_post(&change->director->events, &change->event);
}

void change_submit(struct change *change)
{
    change->event.run = on_decided;
    change->txn.done = on_done;
    change->txn.arg = change;
    change->begun_mono_ns = clock_mono_ns();
    enum err err = coordination_submit(change->director->coordination, &change->txn);
    if (err == OK) /* the store's from here: on_done may have written the result already */
        return;
    change->result = err; /* not taken: nothing happened */
    finish(change);
}
