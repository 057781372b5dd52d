/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the coordination store, as another version or a damaged store may present them. A key
 * that is read is written the same; whole rows go into a map, which takes or refuses them and still can be
 * shown.
 *
 * Input: varbytes key, varbytes value, again and again. */
#include <stdint.h>
#include <stdlib.h>

#include "director/map.h"
#include "director/rows.h"
#include "lib/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_key(struct slice key)
{
    enum row_kind kind;
    uint32_t number;
    struct slice name;
    struct buf again = { 0 };
    if (row_parse_key(key, &kind, &number, &name) != OK)
        return;
    row_key(&again, kind, number, name);
    if (!slice_eq(buf_slice(&again), key))
        abort();
    buf_fini(&again);
}

static void must_find(const struct map *map)
{
    if (map->node_count > 0 && map_find_node(map, map->nodes[map->node_count - 1].info->id) == NULL)
        abort();
    for (size_t i = 1; i < map->node_count; i++) {
        if (map->nodes[i - 1].info->id >= map->nodes[i].info->id)
            abort();
    }
    for (uint32_t i = 0; i < map->partition_count; i++) {
        if (map->confs[i].epoch != 0 && map->confs[i].partition != i)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(slice_of(data, size));
    struct map map = { 0 };
    struct buf packed = { 0 };
    enum err err = OK;
    log_set_level(LOG_LEVEL_ERROR);
    for (uint64_t revision = 1; err == OK && !cursor_done(&c); revision++) {
        struct slice key = cursor_varbytes(&c), value = cursor_varbytes(&c);
        if (c.bad)
            break;
        try_key(key);
        /* A value that is empty stands for a row that was deleted. */
        struct coordination_row row = { key, value, revision, value.len == 0 };
        err = map_apply(&map, &row, 1, revision);
    }
    must_find(&map);
    if (err == OK && map.cluster_mod != 0)
        map_pack(&map, NULL, &packed);
    buf_fini(&packed);
    map_fini(&map);
    return 0;
}
