/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of more messages than one command may name: in stages, begun anew when others come between. */
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

/* A node's stage, as far as the client sees it. */
static struct {
    unsigned in_use, conflicts; /* still to be answered so, at the first step and at the commit */
    bool steps_fail;
    enum err commit;
    uint8_t id[REQUEST_ID_SIZE];
    bool open;
    uint32_t total;
    struct uidset uids;
    unsigned begun, abandoned;
} stage;

static void on_copy_stage(struct rpc_request *request)
{
    Tern__CopyStageRequest *r =
        tern__copy_stage_request__unpack(NULL, request->request.len, request->request.data);
    Tern__CopyStageResponse response = TERN__COPY_STAGE_RESPONSE__INIT;
    struct uidset uids = { 0 };
    enum err err = OK;
    fake_read_uids(r->uids, &uids);
    assert_true(uidset_count(&uids) <= COPY_UIDS_MAX);
    if (r->total > 0 && stage.in_use > 0) {
        stage.in_use--;
        err = ERR_IN_USE;
    } else if (r->total > 0) {
        assert_false(stage.open);
        stage.open = true;
        stage.begun++;
        stage.total = r->total;
        memcpy(stage.id, r->stage.data, sizeof stage.id);
        uidset_clear(&stage.uids);
    }
    if (err == OK) {
        assert_memory_equal(stage.id, r->stage.data, sizeof stage.id);
        assert_true(uidset_min(&uids) > uidset_max(&stage.uids));
        uidset_add_set(&stage.uids, &uids);
        response.from_uids = r->uids;
        if (stage.steps_fail)
            err = ERR_IO;
    }
    fake_reply(request, err, &response.base, SLICE_NULL);
    uidset_fini(&uids);
    tern__copy_stage_request__free_unpacked(r, NULL);
}

static void on_copy_commit(struct rpc_request *request)
{
    Tern__CopyCommitResponse response = TERN__COPY_COMMIT_RESPONSE__INIT;
    enum err err = stage.commit;
    if (stage.conflicts > 0) {
        stage.conflicts--;
        err = ERR_CONFLICT;
    }
    response.uidvalidity = 9;
    response.first_uid = 10240;
    response.count = (uint32_t)uidset_count(&stage.uids);
    response.modseq = 77;
    stage.open = stage.open && err != OK;
    fake_reply(request, err, &response.base, SLICE_NULL);
}

static void on_copy_abandon(struct rpc_request *request)
{
    Tern__CopyAbandonResponse response = TERN__COPY_ABANDON_RESPONSE__INIT;
    stage.open = false;
    stage.abandoned++;
    fake_reply(request, OK, &response.base, SLICE_NULL);
}

static void on_request(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    switch (request->method) {
    case METHOD_COPY_STAGE:
        on_copy_stage(request);
        return;
    case METHOD_COPY_COMMIT:
        on_copy_commit(request);
        return;
    case METHOD_COPY_ABANDON:
        on_copy_abandon(request);
        return;
    default:
        fake_reply(request, ERR_UNSUPPORTED, NULL, SLICE_NULL);
    }
}

static int setup(void **state)
{
    (void)state;
    store = fake_start(on_request);
    return 0;
}

static void note_progress(uint64_t done, uint64_t total, void *arg)
{
    uint64_t *last = arg;
    assert_true(done >= *last && done <= total);
    *last = done;
}

static enum err copy_many(uint32_t count, struct copy_result *out)
{
    struct uidset uids = { 0 };
    uint64_t done = 0;
    struct store_progress progress = { note_progress, &done };
    uidset_add_range(&uids, 5, 4 + count);
    struct copy_request request = {
        .account = { 7, 1 }, .from = { 5, 9 }, .to = 6, .uids = &uids, .move = true, .progress = &progress
    };
    enum err err = store_copy(store, &request, out);
    if (err == OK) {
        assert_int_equal(done, count);
        assert_true(uidset_eq(&out->from, &uids));
        assert_int_equal(uidset_min(&out->to), 10240);
        assert_int_equal(uidset_count(&out->to), count);
        assert_int_equal(out->uidvalidity, 9);
        assert_int_equal(out->modseq, 77);
    } else {
        assert_true(uidset_is_empty(&out->from) && uidset_is_empty(&out->to));
    }
    copy_result_fini(out);
    uidset_fini(&uids);
    return err;
}

static void copy_in_stages(void)
{
    struct copy_result result;
    stage.in_use = 2;
    stage.conflicts = 1;
    assert_int_equal(copy_many(3 * COPY_UIDS_MAX - 7, &result), OK);
    assert_int_equal(stage.total, 3 * COPY_UIDS_MAX - 7);
    assert_int_equal(stage.begun, 2);
    assert_int_equal(stage.abandoned, 1);
    assert_int_equal(fake_count(METHOD_COPY), 0);
    /* Others change what is to move again and again. */
    stage.conflicts = 100;
    assert_int_equal(copy_many(COPY_UIDS_MAX + 1, &result), ERR_CONFLICT);
    assert_false(stage.open);
    stage.conflicts = 0;
    stage.commit = ERR_OVER_QUOTA;
    assert_int_equal(copy_many(COPY_UIDS_MAX + 1, &result), ERR_OVER_QUOTA);
    assert_false(stage.open);
    stage.steps_fail = true;
    assert_int_equal(copy_many(COPY_UIDS_MAX + 1, &result), ERR_IO);
    assert_false(stage.open);
}

static void large_copies_are_staged(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    fake_run(copy_in_stages);
    uidset_fini(&stage.uids);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(large_copies_are_staged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
