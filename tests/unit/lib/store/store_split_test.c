/* SPDX-License-Identifier: Apache-2.0 */
/* STORE and EXPUNGE of more messages than one command may name: the parts, and what they come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/store/message.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;

/* What came, by arrival within its method. */
static struct {
    size_t uid_count;
} seen[FAKE_SEEN_MAX];

/* What two parts of a store say, and what that comes to. */
static const struct {
    uint64_t before[2], modseq[2];
    uint64_t before_out, modseq_out;
    bool one_out;
} told[] = {
    { { 50, 100 }, { 100, 101 }, 50, 101, false }, /* one follows the other */
    { { 50, 100 }, { 100, 0 }, 50, 100, true },
    { { 50, 50 }, { 0, 101 }, 50, 101, true },
    { { 50, 50 }, { 0, 0 }, 50, 0, false },
    { { 50, 101 }, { 100, 102 }, 0, 102, false }, /* somebody came between */
    { { 50, 51 }, { 0, 0 }, 0, 0, false },
    { { 0, 100 }, { 100, 101 }, 0, 101, false }, /* not said */
    { { 50, 0 }, { 100, 101 }, 0, 101, false },
};
static size_t telling; /* 0: the default; else the row and one */

/* What two parts say of the flags of what they changed, and what that comes to. */
static const struct {
    struct {
        bool nothing, one_flags;
        uint32_t flags;
        uint64_t keyword_mask;
    } part[2];
    bool one_out;
} carried[] = {
    { { { false, true, 4, 2 }, { false, true, 4, 2 } }, true },
    { { { true, false, 0, 0 }, { false, true, 4, 2 } }, true },
    { { { false, true, 4, 2 }, { true, false, 0, 0 } }, true },
    { { { false, true, 4, 2 }, { false, true, 5, 2 } }, false },
    { { { false, true, 4, 2 }, { false, true, 4, 3 } }, false },
    { { { false, false, 0, 0 }, { false, true, 4, 2 } }, false },
    { { { false, true, 4, 2 }, { false, false, 0, 0 } }, false }, /* or not said */
    { { { true, false, 0, 0 }, { true, false, 0, 0 } }, false },
};
static size_t carrying; /* likewise */

static void on_store(struct rpc_request *request, unsigned nth)
{
    Tern__StoreFlagsRequest *r =
        tern__store_flags_request__unpack(NULL, request->request.len, request->request.data);
    Tern__StoreFlagsResponse response = TERN__STORE_FLAGS_RESPONSE__INIT;
    struct uidset uids = { 0 };
    fake_read_uids(r->uids, &uids);
    seen[nth].uid_count = uidset_count(&uids);
    uidset_fini(&uids);
    response.modseq = 100 + nth;
    response.changed_uids = r->uids;
    if (telling > 0) {
        response.before_modseq = told[telling - 1].before[nth % 2];
        response.modseq = told[telling - 1].modseq[nth % 2];
    }
    if (carrying > 0) {
        if (carried[carrying - 1].part[nth % 2].nothing)
            response.changed_uids.len = 0;
        response.one_flags = carried[carrying - 1].part[nth % 2].one_flags;
        response.flags = carried[carrying - 1].part[nth % 2].flags;
        response.keyword_mask = carried[carrying - 1].part[nth % 2].keyword_mask;
    }
    fake_reply(request, nth == 2 && telling + carrying == 0 ? ERR_CORRUPT : OK, &response.base, SLICE_NULL);
    tern__store_flags_request__free_unpacked(r, NULL);
}

static void on_expunge(struct rpc_request *request, unsigned nth)
{
    Tern__ExpungeRequest *r =
        tern__expunge_request__unpack(NULL, request->request.len, request->request.data);
    Tern__ExpungeResponse response = TERN__EXPUNGE_RESPONSE__INIT;
    struct uidset uids = { 0 };
    fake_read_uids(r->uids, &uids);
    seen[nth].uid_count = uidset_count(&uids);
    uidset_fini(&uids);
    response.modseq = 200 - nth;
    response.vanished_uids = r->uids;
    fake_reply(request, OK, &response.base, SLICE_NULL);
    tern__expunge_request__free_unpacked(r, NULL);
}

static void on_request(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    switch (request->method) {
    case METHOD_STORE_FLAGS:
        on_store(request, nth);
        return;
    case METHOD_EXPUNGE:
        on_expunge(request, nth);
        return;
    default:
        fake_reply(request, ERR_UNSUPPORTED, NULL, SLICE_NULL);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(seen, 0, sizeof seen);
    store = fake_start(on_request);
    return 0;
}

static void split_store(void)
{
    struct uidset uids = { 0 };
    struct arena arena = { 0 };
    struct store_flags_result result;
    uidset_add_range(&uids, 1, 2 * STORE_UIDS_SPLIT + 100);
    struct store_flags_request request = {
        .account = { 7, 1 }, .mailbox = { 5, 9 }, .uids = &uids, .flags = 1
    };
    /* The third part fails; what the first two did is known. */
    assert_int_equal(store_flags(store, &request, &arena, &result), ERR_CORRUPT);
    assert_int_equal(fake_count(METHOD_STORE_FLAGS), 3);
    assert_int_equal(seen[0].uid_count, STORE_UIDS_SPLIT);
    assert_int_equal(seen[2].uid_count, 100);
    assert_int_equal(uidset_count(&result.changed), 2 * STORE_UIDS_SPLIT);
    assert_int_equal(result.modseq, 101);
    store_flags_result_fini(&result);
    arena_fini(&arena);
    uidset_fini(&uids);
}

static void modseqs_of_parts(void)
{
    struct uidset uids = { 0 };
    struct arena arena = { 0 };
    uidset_add_range(&uids, 1, 2 * STORE_UIDS_SPLIT);
    struct store_flags_request request = {
        .account = { 7, 1 }, .mailbox = { 5, 9 }, .uids = &uids, .flags = 1
    };
    for (telling = 1; telling <= sizeof told / sizeof told[0]; telling++) {
        struct store_flags_result result;
        assert_int_equal(store_flags(store, &request, &arena, &result), OK);
        assert_int_equal(result.parts, 2);
        assert_int_equal(result.before_modseq, told[telling - 1].before_out);
        assert_int_equal(result.modseq, told[telling - 1].modseq_out);
        assert_int_equal(result.one_modseq, told[telling - 1].one_out);
        store_flags_result_fini(&result);
    }
    telling = 0;
    arena_fini(&arena);
    uidset_fini(&uids);
}

static void flags_of_parts(void)
{
    struct uidset uids = { 0 };
    struct arena arena = { 0 };
    uidset_add_range(&uids, 1, 2 * STORE_UIDS_SPLIT);
    struct store_flags_request request = {
        .account = { 7, 1 }, .mailbox = { 5, 9 }, .uids = &uids, .flags = 1
    };
    for (carrying = 1; carrying <= sizeof carried / sizeof carried[0]; carrying++) {
        struct store_flags_result result;
        assert_int_equal(store_flags(store, &request, &arena, &result), OK);
        assert_int_equal(result.one_flags, carried[carrying - 1].one_out);
        if (result.one_flags)
            assert_true(result.flags == 4 && result.keyword_mask == 2);
        store_flags_result_fini(&result);
    }
    carrying = 0;
    arena_fini(&arena);
    uidset_fini(&uids);
}

static void split_expunge(void)
{
    struct uidset uids = { 0 }, vanished = { 0 };
    uint64_t modseq;
    for (uint32_t uid = 1; uid < 4 * EXPUNGE_UIDS_MAX + 600; uid += 2)
        uidset_add(&uids, uid);
    assert_int_equal(store_expunge(store, (struct account_ref){ 7, 1 }, (struct mailbox_ref){ 5, 9 }, &uids,
                                   true, NULL, &vanished, &modseq),
                     OK);
    assert_int_equal(fake_count(METHOD_EXPUNGE), 3);
    assert_int_equal(seen[0].uid_count, EXPUNGE_UIDS_MAX);
    assert_int_equal(seen[2].uid_count, 300);
    assert_true(uidset_eq(&uids, &vanished));
    assert_int_equal(modseq, 200);
    uidset_fini(&uids);
    uidset_fini(&vanished);
}

static void parts_tell_whether_somebody_came_between(void **state)
{
    (void)state;
    fake_run(modseqs_of_parts);
}

static void parts_tell_whether_all_carry_the_same(void **state)
{
    (void)state;
    fake_run(flags_of_parts);
}

static void large_sets_are_split(void **state)
{
    (void)state;
    fake_run(split_store);
    fake_run(split_expunge);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(large_sets_are_split),
        TEST(parts_tell_whether_somebody_came_between),
        TEST(parts_tell_whether_all_carry_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
