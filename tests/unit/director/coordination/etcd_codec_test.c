/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "director/coordination/etcd_codec.h"

static void assert_encoded(struct buf *out, const char *expected)
{
    assert_string_equal(buf_cstr(out), expected);
    json_t *json = json_loads(expected, 0, NULL);
    assert_non_null(json); /* whatever we expect is JSON */
    json_decref(json);
    buf_fini(out);
}

static void test_requests(void **state)
{
    struct buf out = { 0 };
    struct coordination_change changes[] = {
        { SLICE_LIT("a"), 7, COORDINATION_PUT, SLICE_LIT("\xff\n\"") },
        { SLICE_LIT("b"), 0, COORDINATION_CHECK, SLICE_NULL },
        { SLICE_LIT("c"), 18446744073709551615u, COORDINATION_DELETE, SLICE_NULL },
    };
    struct coordination_txn txn = { .changes = changes, .count = 3 };
    etcd_encode_txn(&out, &txn, SLICE_LIT("p/"), SLICE_LIT("d"));
    assert_encoded(
        &out,
        "{\"compare\":["
        "{\"key\":\"cC9h\",\"mod_revision\":\"7\",\"target\":\"MOD\",\"result\":\"EQUAL\"},"
        "{\"key\":\"cC9i\",\"mod_revision\":\"0\",\"target\":\"MOD\",\"result\":\"EQUAL\"},"
        "{\"key\":\"cC9j\",\"mod_revision\":\"18446744073709551615\",\"target\":\"MOD\",\"result\":\"EQUAL\"}"
        "],\"success\":[{\"request_put\":{\"key\":\"cC9h\",\"value\":\"/woi\"}},"
        "{\"request_delete_range\":{\"key\":\"cC9j\"}},{\"request_put\":{\"key\":\"ZA==\"}}"
        "],\"failure\":[{\"request_range\":{\"key\":\"cC9h\",\"keys_only\":true}},"
        "{\"request_range\":{\"key\":\"cC9i\",\"keys_only\":true}},"
        "{\"request_range\":{\"key\":\"cC9j\",\"keys_only\":true}}]}");
    etcd_encode_range(&out, SLICE_LIT("p/"), SLICE_LIT("p0"), 5, 9);
    assert_encoded(&out, "{\"key\":\"cC8=\",\"range_end\":\"cDA=\",\"limit\":\"5\",\"revision\":\"9\"}");
    etcd_encode_watch(&out, SLICE_LIT("p/"), SLICE_LIT("p0"), 10);
    assert_encoded(
        &out, "{\"create_request\":{\"key\":\"cC8=\",\"range_end\":\"cDA=\",\"start_revision\":\"10\"}}");
    etcd_encode_barrier(&out, SLICE_LIT("s"));
    assert_encoded(&out, "{\"key\":\"cw==\",\"count_only\":true}");
    etcd_encode_grant(&out, 3);
    assert_encoded(&out, "{\"TTL\":\"3\"}");
    etcd_encode_lease(&out, 12);
    assert_encoded(&out, "{\"ID\":\"12\"}");
    etcd_encode_campaign(&out, SLICE_LIT("l"), SLICE_LIT("me"), 4);
    assert_encoded(&out, "{\"compare\":[{\"key\":\"bA==\",\"target\":\"CREATE\",\"result\":\"EQUAL\","
                         "\"create_revision\":\"0\"}],\"success\":[{\"request_put\":{\"key\":\"bA==\","
                         "\"value\":\"bWU=\",\"lease\":\"4\"}}],\"failure\":[{\"request_range\":{\"key\":"
                         "\"bA==\"}}]}");
}

static const char events[] =
    "{\"result\":{\"header\":{\"cluster_id\":\"14841639068965178418\",\"member_id\":\"1\",\"revision\":\"9\","
    "\"raft_term\":\"2\"},\"events\":[{\"kv\":{\"key\":\"YQ==\",\"create_revision\":\"8\",\"mod_revision\":"
    "\"8\","
    "\"version\":\"1\",\"value\":\"AAEC\"}},{\"type\":\"DELETE\",\"kv\":{\"key\":\"Yg==\","
    "\"mod_revision\":\"9\"}}]}}";

static void test_events(void **state)
{
    struct etcd_answer answer;
    struct etcd_kv *kvs;
    size_t count;
    assert_int_equal(etcd_decode(slice_str(events), &answer), OK);
    assert_null(answer.message);
    assert_true(answer.cluster_id == 14841639068965178418u && answer.revision == 9);
    assert_int_equal(etcd_decode_events(answer.body, &kvs, &count), OK);
    assert_int_equal(count, 2);
    assert_true(slice_eq_str(buf_slice(&kvs[0].key), "a") && kvs[0].mod == 8 && !kvs[0].deleted);
    assert_int_equal(kvs[0].value.len, 3);
    assert_true(slice_eq_str(buf_slice(&kvs[1].key), "b") && kvs[1].mod == 9 && kvs[1].deleted);
    etcd_kvs_free(kvs, count);
    etcd_answer_fini(&answer);
}

static void test_transaction(void **state)
{
    struct etcd_answer answer;
    struct etcd_kv *kvs;
    size_t count;
    bool succeeded;
    static const char refused[] =
        "{\"header\":{\"cluster_id\":\"5\",\"revision\":\"30\"},\"responses\":["
        "{\"response_range\":{\"header\":{\"revision\":\"30\"},\"kvs\":[{\"key\":\"YQ==\",\"mod_revision\":"
        "\"12\"}],\"count\":\"1\"}},{\"response_range\":{\"header\":{\"revision\":\"30\"}}}]}";
    assert_int_equal(etcd_decode(slice_str(refused), &answer), OK);
    assert_int_equal(etcd_decode_txn(answer.body, &succeeded, &kvs, &count), OK);
    assert_false(succeeded);
    assert_int_equal(count, 2);
    assert_true(kvs[0].mod == 12 && kvs[1].mod == 0);
    etcd_kvs_free(kvs, count);
    etcd_answer_fini(&answer);
    assert_int_equal(etcd_decode(SLICE_LIT("{\"header\":{\"revision\":\"3\"},\"succeeded\":true}"), &answer),
                     OK);
    assert_int_equal(etcd_decode_txn(answer.body, &succeeded, &kvs, &count), OK);
    assert_true(succeeded);
    etcd_kvs_free(kvs, count);
    etcd_answer_fini(&answer);
}

/* As etcd 3.4.23 says it, and what it leaves out where it is zero. */
static void test_status(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{\"header\":{},\"version\":\"3.4.23\",\"leader\":\"738\",\"raftIndex\":\"4\"}", "" },
        { "{\"header\":{},\"version\":\"3.4.23\",\"leader\":\"738\",\"errors\":[]}", "" },
        { "{\"header\":{},\"version\":\"3.4.23\",\"errors\":[\"etcdserver: no leader\"]}",
          "it knows no leader: it does not reach most of the others" },
        { "{\"header\":{},\"version\":\"3.4.23\",\"leader\":\"7\",\"errors\":[\"alarm:NOSPACE \",\"b\"]}",
          "alarm:NOSPACE" },
        { "{\"header\":{},\"version\":\"3.4.23\",\"leader\":\"7\",\"errors\":7}", "" },
        { "{\"header\":{}}", "it does not say how it is" },
        { "{\"header\":{},\"version\":\"3\",\"leader\":\"x\"}", "it does not say how it is" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct etcd_answer answer;
        struct buf why = { 0 };
        buf_add_str(&why, "before");
        assert_int_equal(etcd_decode(slice_str(rows[i].text), &answer), OK);
        assert_int_equal(etcd_decode_status(answer.body, &why), rows[i].why[0] == '\0');
        assert_string_equal(buf_cstr(&why), rows[i].why);
        buf_fini(&why);
        etcd_answer_fini(&answer);
        for (size_t len = 0; len < strlen(rows[i].text); len++) /* cut anywhere */
            assert_int_equal(etcd_decode(slice_of(rows[i].text, len), &answer), ERR_PROTOCOL);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *message;
        int64_t code;
    } rows[] = {
        { "{\"error\":\"etcdserver: request timed out\",\"code\":14}", "etcdserver: request timed out", 14 },
        { "{\"error\":{\"grpc_code\":5,\"http_code\":404,\"message\":\"no lease\"}}", "no lease", 5 },
        { "{\"code\":3,\"message\":\"bad\",\"details\":[]}", "bad", 3 },
        { "{\"error\":{}}", "an error without a text", 0 },
        { "{\"error\":17}", "an error without a text", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct etcd_answer answer;
        assert_int_equal(etcd_decode(slice_str(rows[i].text), &answer), OK);
        assert_string_equal(answer.message, rows[i].message);
        assert_int_equal(answer.code, rows[i].code);
        etcd_answer_fini(&answer);
    }
}

static void test_nonsense(void **state)
{
    static const char *const heads[] = { "",
                                         "[]",
                                         "1",
                                         "{}",
                                         "{\"header\":1}",
                                         "{\"result\":[]}",
                                         "{\"header\":{\"revision\":\"-1\"}}",
                                         "{\"header\":{\"revision\":\"99999999999999999999\"}}" };
    static const char *const bodies[] = { "{\"header\":{},\"kvs\":1}",
                                          "{\"header\":{},\"kvs\":[1]}",
                                          "{\"header\":{},\"kvs\":[{\"key\":\"YQ==\"}]}",
                                          "{\"header\":{},\"kvs\":[{\"key\":\"?\",\"mod_revision\":\"1\"}]}",
                                          "{\"header\":{},\"kvs\":[{\"key\":\"\",\"mod_revision\":\"1\"}]}",
                                          "{\"header\":{},\"kvs\":[{\"key\":7,\"mod_revision\":\"1\"}]}" };
    struct etcd_answer answer;
    struct etcd_kv *kvs;
    size_t count;
    bool more;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        assert_int_equal(etcd_decode(slice_str(heads[i]), &answer), ERR_PROTOCOL);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_int_equal(etcd_decode(slice_str(bodies[i]), &answer), OK);
        assert_int_equal(etcd_decode_kvs(answer.body, &kvs, &count, &more), ERR_PROTOCOL);
        etcd_answer_fini(&answer);
    }
    for (size_t len = 0; len < strlen(events); len++) /* cut anywhere */
        assert_int_equal(etcd_decode(slice_of(events, len), &answer), ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_events),   cmocka_unit_test(test_transaction),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_nonsense), cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
