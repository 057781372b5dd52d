/* SPDX-License-Identifier: Apache-2.0 */
/* A state machine of which some kinds of entries came with version 2: in entries of version 1 they are what
 * they were to the program before, which does not know them. This program's table goes before the library's
 * (since.c). */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

enum {
    UNKNOWN_METHOD = 999, /* to all programs */
    UNKNOWN_ENTRY = ENTRY_END,
};

uint8_t machine_since(uint32_t method)
{
    bool is_new = method == METHOD_ALIAS_PUT || method == METHOD_UPLOAD_CHUNK || method == ENTRY_SWEEP;
    if (method == UNKNOWN_METHOD || method == UNKNOWN_ENTRY)
        return 0;
    return is_new ? 2 : 1;
}

static const uint8_t request_id[REQUEST_ID_SIZE] = { 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0, 1 }; /* TIME_START */

/* An AliasPut, under the name of `method`. */
static enum err apply_alias(struct fixture *f, uint8_t version, uint32_t method, struct slice body)
{
    struct entry_header header = {
        .version = version, .method = method, .time_ms = TIME_START + 10, .body_len = (uint32_t)body.len
    };
    Tern__AliasPutRequest request = TERN__ALIAS_PUT_REQUEST__INIT;
    char *targets[] = { (char *)"a@example.test" };
    request.address = (char *)"alias@example.test";
    request.targets = targets;
    request.n_targets = 1;
    memcpy(header.request_id, request_id, sizeof request_id);
    buf_clear(&f->request);
    f->request.len = protobuf_c_message_pack(
        &request.base, buf_reserve(&f->request, protobuf_c_message_get_packed_size(&request.base)));
    buf_clear(&f->entry);
    entry_encode(&header, buf_slice(&f->request), &f->entry);
    assert_int_equal(fixture_apply(f, buf_slice(&f->entry), body), OK);
    return f->result.status;
}

static void assert_same_rows(struct fixture *a, struct fixture *b)
{
    struct kv_iter *of_a = kv_iter_new(a->kv, NULL, KV_STATE, SLICE_NULL, SLICE_NULL);
    struct kv_iter *of_b = kv_iter_new(b->kv, NULL, KV_STATE, SLICE_NULL, SLICE_NULL);
    bool in_a = kv_iter_seek(of_a, SLICE_NULL), in_b = kv_iter_seek(of_b, SLICE_NULL);
    for (; in_a && in_b; in_a = kv_iter_next(of_a), in_b = kv_iter_next(of_b)) {
        assert_true(slice_eq(kv_iter_key(of_a), kv_iter_key(of_b)));
        assert_true(slice_eq(kv_iter_value(of_a), kv_iter_value(of_b)));
    }
    assert_false(in_a || in_b);
    kv_iter_free(&of_a);
    kv_iter_free(&of_b);
}

static void test_arrival(void **state)
{
    assert_int_equal(machine_check(1, METHOD_ALIAS_PUT, SLICE_NULL, 0), ERR_UNSUPPORTED);
    assert_int_equal(machine_check(2, METHOD_ALIAS_PUT, SLICE_NULL, 0), ERR_INVALID);
    assert_int_equal(machine_check(1, METHOD_MAILBOX_LIST, SLICE_NULL, 0), OK); /* reads have no version */
}

/* The older replica, which applies the same entry, leaves the same rows. */
static void test_below_its_version_it_is_unknown(void **state)
{
    struct fixture *f = *state, older;
    fixture_open(&older);
    assert_int_equal(apply_alias(f, 1, METHOD_ALIAS_PUT, SLICE_NULL), ERR_UNSUPPORTED);
    assert_int_equal(apply_alias(&older, 1, UNKNOWN_METHOD, SLICE_NULL), ERR_UNSUPPORTED);
    assert_true(count_rows(f, KV_STATE) > 0); /* the time, and the answer under the request's id */
    assert_same_rows(f, &older);
    fixture_close(&older);
}

static void test_a_body_beside_it_is_given_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_alias(f, 1, METHOD_UPLOAD_CHUNK, SLICE_LIT("bytes")), ERR_UNSUPPORTED);
    assert_int_equal(f->result.free_body_count, 1);
}

static void test_from_its_version_on_it_works(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_alias(f, 2, METHOD_ALIAS_PUT, SLICE_NULL), OK);
}

/* P2: the first answer stays, whatever version the repeat meets. */
static void test_a_refusal_is_remembered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply_alias(f, 1, METHOD_ALIAS_PUT, SLICE_NULL), ERR_UNSUPPORTED);
    assert_int_equal(apply_alias(f, 2, METHOD_ALIAS_PUT, SLICE_NULL), ERR_UNSUPPORTED);
}

static void test_an_entry_of_the_primarys_own(void **state)
{
    struct fixture *f = *state, older;
    fixture_open(&older);
    enum err status = apply_alias(f, 1, ENTRY_SWEEP, SLICE_NULL);
    assert_int_equal(apply_alias(&older, 1, UNKNOWN_ENTRY, SLICE_NULL), status);
    assert_same_rows(f, &older);
    fixture_close(&older);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrival),
        TEST(test_below_its_version_it_is_unknown),
        TEST(test_a_body_beside_it_is_given_back),
        TEST(test_from_its_version_on_it_works),
        TEST(test_a_refusal_is_remembered),
        TEST(test_an_entry_of_the_primarys_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
