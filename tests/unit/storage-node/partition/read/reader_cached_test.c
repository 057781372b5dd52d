/* SPDX-License-Identifier: Apache-2.0 */
/* A read on a thread that may not wait: answered from memory by the same rules (R14), or left to a reader. */
#include "storage-node/partition/read/reader.h"

#include "proto/account.pb-c.h"
#include "storage-node/mailbox/rows/keys.h"
#include "storage-node/mailbox/rows/rows.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum { PARTITION = 3, ELSEWHERE = 4, ACCOUNT = 77, NOW = 1000 };

static const char name[] = "a@example.test";

struct told {
    int count;
    enum err status;
    uint64_t account;
};

static uint64_t fake_clock(void)
{
    return NOW;
}

static void on_done(struct partition_request *request, const struct partition_answer *answer)
{
    struct told *told = *(struct told **)request->peer.bytes;
    told->count++;
    told->status = answer->status;
    if (answer->status != OK)
        return;
    Tern__AddressLookupResponse *response =
        tern__address_lookup_response__unpack(NULL, answer->response->len, answer->response->data);
    assert_non_null(response);
    told->account = response->account->id;
    tern__address_lookup_response__free_unpacked(response, NULL);
}

/* One address, in a table that nobody has read yet. */
static void fill(struct kv_fixture *f)
{
    struct address_row row = { .type = ADDRESS_ACCOUNT, .account = ACCOUNT, .home = ELSEWHERE };
    struct buf value = { 0 };
    struct key key;
    struct kv_batch *batch = kv_batch_new(f->kv);
    struct kv_options options = fixture_options(f);
    address_encode(&row, &value);
    key_address(&key, PARTITION, slice_str(name));
    kv_batch_put(batch, KV_STATE, key_slice(&key), buf_slice(&value));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&value);
    kv_close(&f->kv);
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
}

static bool look_up(struct kv *kv, struct partition_public *pub, bool cached, struct told *told)
{
    struct partition_request request = { .partition = PARTITION,
                                         .method = METHOD_ADDRESS_LOOKUP,
                                         .kind = METHOD_READ,
                                         .deadline_mono_ms = UINT64_MAX,
                                         .done = on_done };
    Tern__AddressLookupRequest message = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    uint8_t packed[64];
    message.address = (char *)name;
    request.request = slice_of(packed, tern__address_lookup_request__pack(&message, packed));
    *(struct told **)request.peer.bytes = told;
    *told = (struct told){ 0 };
    if (cached)
        return reader_serve_cached(kv, pub, &request, fake_clock, 1);
    reader_serve(kv, pub, &request, fake_clock, 1, NULL);
    return true;
}

static void what_is_not_in_memory_is_left_to_readers(void **state)
{
    struct kv_fixture *f = *state;
    struct partition_public pub = { 0 };
    struct told told;
    fill(f);
    atomic_store(&pub.role, REPLICA_PRIMARY);
    atomic_store(&pub.read_until, NOW + 1);
    assert_false(look_up(f->kv, &pub, true, &told));
    assert_int_equal(told.count, 0);
    assert_false(atomic_load(&pub.damaged));
    for (int cached = 0; cached < 2; cached++) {
        assert_true(look_up(f->kv, &pub, cached, &told));
        assert_int_equal(told.count, 1);
        assert_int_equal(told.status, OK);
        assert_int_equal(told.account, ACCOUNT);
    }
}

static void the_lease_counts(void **state)
{
    struct kv_fixture *f = *state;
    struct partition_public pub = { 0 };
    struct told told;
    fill(f);
    atomic_store(&pub.role, REPLICA_PRIMARY);
    atomic_store(&pub.read_until, NOW);
    assert_true(look_up(f->kv, &pub, true, &told));
    assert_int_equal(told.status, ERR_UNAVAILABLE);
    assert_true(look_up(f->kv, NULL, true, &told));
    assert_int_equal(told.status, ERR_NOT_PRIMARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_in_memory_is_left_to_readers, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(the_lease_counts, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
