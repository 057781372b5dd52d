/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the coordination store: there and back, and everything that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "director/rows.h"
#include "proto/cluster.pb-c.h"

static const struct {
    const char *key;
    enum row_kind kind;
    uint32_t number;
    const char *name; /* NULL: none */
} good[] = {
    { "cluster", ROW_CLUSTER, 0, NULL },
    { "node-id", ROW_NODE_ID, 0, NULL },
    { "node/0000000017", ROW_NODE, 17, NULL },
    { "node/4294967295", ROW_NODE, UINT32_MAX, NULL },
    { "removed/0000000017", ROW_REMOVED, 17, NULL },
    { "partition/000000", ROW_PARTITION, 0, NULL },
    { "partition/016383", ROW_PARTITION, 16383, NULL },
    { "domain/example.org", ROW_DOMAIN, 0, "example.org" },
    { "setting/a/b", ROW_SETTING, 0, "a/b" },
};

static const char *const bad[] = {
    "",
    "cluste",
    "clusters",
    "node",
    "node/",
    "node/17",
    "node/00000000017",
    "node/4294967296",
    "node/000000001x",
    "node/+000000017",
    "node/-000000017",
    "removed/",
    "partition/00001",
    "partition/0000001",
    "partition/ 00001",
    "domain/",
    "setting/",
    "node-id/",
    "Cluster",
    " cluster",
    "domain",
};

static void keys_come_back(void **state)
{
    struct buf key = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        enum row_kind kind;
        uint32_t number;
        struct slice name, text = slice_str(good[i].key);
        assert_int_equal(row_parse_key(text, &kind, &number, &name), OK);
        assert_int_equal(kind, good[i].kind);
        assert_int_equal(number, good[i].number);
        assert_true(slice_eq_str(name, good[i].name == NULL ? "" : good[i].name));
        row_key(&key, kind, number, name);
        assert_true(slice_eq(buf_slice(&key), text));
    }
    buf_fini(&key);
}

static void other_keys_are_refused(void **state)
{
    enum row_kind kind;
    uint32_t number;
    struct slice name;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(row_parse_key(slice_str(bad[i]), &kind, &number, &name), ERR_CORRUPT);
}

/* Every byte changed and every length: refused or understood, never read beyond. */
static void damaged_values(void **state)
{
    struct buf value = { 0 };
    Tern__Setting setting = TERN__SETTING__INIT;
    (void)state;
    setting.name = (char *)"name";
    setting.value = (char *)"value";
    row_value(&value, &setting.base);
    for (size_t len = 0; len <= value.len; len++) {
        for (size_t at = 0; at <= len; at++) { /* at the end: not changed */
            uint8_t *exact = malloc(len + 1);
            memcpy(exact, value.data, len);
            if (at < len)
                exact[at] ^= 0x15;
            ProtobufCMessage *m = row_parse_value(slice_of(exact, len), &tern__setting__descriptor);
            assert_true(m == NULL || (at > 0 && len > 0));
            assert_true(m != NULL || at < len || len < value.len);
            if (m != NULL)
                protobuf_c_message_free_unpacked(m, NULL);
            free(exact);
        }
    }
    buf_fini(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_back),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(damaged_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
