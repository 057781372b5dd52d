/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "director/map.h"
#include "director/rows.h"

static enum err put(struct map *map, enum row_kind kind, uint32_t number, const char *name, uint64_t mod,
                    const ProtobufCMessage *message)
{
    struct buf key = { 0 }, value = { 0 };
    row_key(&key, kind, number, slice_str(name));
    if (message != NULL)
        row_value(&value, message);
    struct coordination_row row = { buf_slice(&key), buf_slice(&value), mod, message == NULL };
    enum err err = map_apply(map, &row, 1, mod);
    buf_fini(&key);
    buf_fini(&value);
    return err;
}

static void put_cluster(struct map *map, uint32_t partitions)
{
    uint8_t id[MAP_ID_SIZE] = { 1, 2, 3 };
    Tern__Map cluster = TERN__MAP__INIT;
    cluster.cluster_id = (ProtobufCBinaryData){ sizeof id, id };
    cluster.partition_count = partitions;
    cluster.copies = 1;
    cluster.min_members = 1;
    assert_int_equal(put(map, ROW_CLUSTER, 0, NULL, 1, &cluster.base), OK);
}

static enum err put_node(struct map *map, uint32_t id, uint64_t mod)
{
    uint8_t store[MAP_ID_SIZE] = { (uint8_t)id };
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    info.id = id;
    info.name = (char *)"node";
    info.endpoint = (char *)"tcp://127.0.0.1:7500";
    info.store_id = (ProtobufCBinaryData){ sizeof store, store };
    return put(map, ROW_NODE, id, NULL, mod, &info.base);
}

static enum err put_conf(struct map *map, uint32_t partition, uint64_t epoch, uint64_t mod)
{
    uint32_t members[] = { 1 };
    struct conf conf = conf_create(partition, 1, members, 1);
    conf.epoch = epoch;
    Tern__PartitionConf proto;
    conf_to_proto(&conf, &proto);
    return put(map, ROW_PARTITION, partition, NULL, mod, &proto.base);
}

static Tern__MapResponse *pack_and_read(const struct map *map, size_t *size_out)
{
    struct buf packed = { 0 };
    map_pack(map, "a reason", &packed);
    Tern__MapResponse *response = tern__map_response__unpack(NULL, packed.len, packed.data);
    assert_non_null(response);
    *size_out = packed.len;
    buf_fini(&packed);
    return response;
}

static void test_picture(void **state)
{
    struct map map = { 0 };
    size_t size;
    put_cluster(&map, 256);
    assert_int_equal(put_node(&map, 1, 2), OK);
    assert_int_equal(put_node(&map, 3, 3), OK);
    assert_int_equal(put_node(&map, 2, 4), OK);
    assert_int_equal(put_conf(&map, 0, 1, 5), OK);
    assert_false(map_is_placed(&map));
    Tern__MapResponse *response = pack_and_read(&map, &size);
    assert_int_equal(response->map->n_partitions, 0); /* all or none */
    assert_string_equal(response->map->problem, "a reason");
    tern__map_response__free_unpacked(response, NULL);
    for (uint32_t p = 1; p < 256; p++)
        assert_int_equal(put_conf(&map, p, 1, 5 + p), OK);
    assert_true(map_is_placed(&map));
    assert_int_equal(map.version, 260);
    response = pack_and_read(&map, &size);
    assert_int_equal(response->map->version, 260);
    assert_int_equal(response->map->n_partitions, 256);
    for (uint32_t p = 0; p < 256; p++)
        assert_int_equal(response->map->partitions[p]->partition, p);
    assert_int_equal(response->map->n_nodes, 3);
    assert_int_equal(response->map->nodes[1]->id, 2);
    assert_in_range(size, 1, 6 * 1024); /* small: it goes to every front-end at every change */
    tern__map_response__free_unpacked(response, NULL);
    assert_int_equal(map_find_node(&map, 3)->mod, 3);
    assert_null(map_find_node(&map, 4));
    uint8_t store[MAP_ID_SIZE] = { 2 };
    assert_int_equal(map_find_store(&map, slice_of(store, sizeof store))->info->id, 2);
    map_fini(&map);
}

static void test_names(void **state)
{
    struct map map = { 0 };
    Tern__Domain domain = TERN__DOMAIN__INIT;
    Tern__Setting setting = TERN__SETTING__INIT;
    domain.name = (char *)"b.test";
    assert_int_equal(put(&map, ROW_DOMAIN, 0, "b.test", 1, &domain.base), OK);
    domain.name = (char *)"a.test";
    assert_int_equal(put(&map, ROW_DOMAIN, 0, "a.test", 2, &domain.base), OK);
    assert_int_equal(map.domain_count, 2);
    assert_string_equal(map.domains[0].domain->name, "a.test");
    assert_int_equal(put(&map, ROW_DOMAIN, 0, "a.test", 3, NULL), OK);
    assert_null(map_find_domain(&map, SLICE_LIT("a.test")));
    assert_int_equal(map.version, 3);
    assert_int_equal(put(&map, ROW_DOMAIN, 0, "c.test", 4, &domain.base),
                     ERR_CORRUPT); /* key and value differ */
    setting.name = (char *)"x";
    setting.value = (char *)"1";
    assert_int_equal(put(&map, ROW_SETTING, 0, "x", 5, &setting.base), OK);
    setting.value = (char *)"2";
    assert_int_equal(put(&map, ROW_SETTING, 0, "x", 6, &setting.base), OK);
    assert_int_equal(map.setting_count, 1);
    assert_string_equal(map_find_setting(&map, SLICE_LIT("x"))->setting->value, "2");
    map_fini(&map);
}

static void test_nonsense(void **state)
{
    struct map map = { 0 };
    assert_int_equal(put_conf(&map, 0, 1, 1), ERR_CORRUPT); /* before the cluster's row */
    put_cluster(&map, 4);
    assert_int_equal(put_conf(&map, 4, 1, 2), ERR_CORRUPT);
    assert_int_equal(put_conf(&map, 3, 2, 3), OK);
    assert_int_equal(put_conf(&map, 3, 1, 4), ERR_CORRUPT); /* an epoch never goes back */
    struct coordination_row unknown = { SLICE_LIT("what/1"), SLICE_LIT("\1"), 5, false };
    assert_int_equal(map_apply(&map, &unknown, 1, 5), ERR_CORRUPT);
    struct coordination_row newer = { SLICE_LIT("node/0000000001"), SLICE_LIT("\2"), 5, false };
    assert_int_equal(map_apply(&map, &newer, 1, 5), ERR_CORRUPT);
    map_fini(&map);
}

static void test_alive(void **state)
{
    struct map_node node = { 0 };
    assert_false(map_node_is_alive(&node, 1000));
    node.heard_mono_ms = 1000;
    assert_true(map_node_is_alive(&node, 1000 + MAP_NODE_ALIVE_MS - 1));
    assert_false(map_node_is_alive(&node, 1000 + MAP_NODE_ALIVE_MS));
}

static void test_keys(void **state)
{
    static const struct {
        const char *key;
        enum err err;
    } rows[] = {
        { "cluster", OK },
        { "clusters", ERR_CORRUPT },
        { "node-id", OK },
        { "node/0000000017", OK },
        { "node/17", ERR_CORRUPT },
        { "node/99999999999", ERR_CORRUPT },
        { "node/000000001x", ERR_CORRUPT },
        { "partition/000042", OK },
        { "partition/", ERR_CORRUPT },
        { "domain/a.b", OK },
        { "domain/", ERR_CORRUPT },
        { "", ERR_CORRUPT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum row_kind kind;
        uint32_t number;
        struct slice name;
        assert_int_equal(row_parse_key(slice_str(rows[i].key), &kind, &number, &name), rows[i].err);
    }
}

/* A store that was put back, whatever its revision is by now. */
static void test_went_back(void **state)
{
    (void)state;
    struct map old = { 0 }, same = { 0 }, back = { 0 }, other = { 0 };
    struct map *maps[] = { &old, &same, &back, &other };
    for (size_t i = 0; i < 4; i++)
        put_cluster(maps[i], 4);
    assert_int_equal(put_conf(&old, 1, 5, 20), OK);
    assert_int_equal(put_conf(&same, 1, 5, 20), OK);
    assert_false(map_went_back(&old, &same));
    assert_int_equal(put_conf(&same, 1, 6, 30), OK);
    assert_false(map_went_back(&old, &same));
    assert_true(map_went_back(&same, &old));
    assert_int_equal(put_conf(&back, 1, 4, 50), OK); /* changed again since */
    assert_true(map_went_back(&old, &back));
    assert_int_equal(put_conf(&other, 1, 7, 19), OK);
    assert_true(map_went_back(&old, &other));
    for (size_t i = 0; i < 4; i++)
        map_fini(maps[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture), cmocka_unit_test(test_names), cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_alive),   cmocka_unit_test(test_keys),  cmocka_unit_test(test_went_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
