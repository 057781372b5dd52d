/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads, deliveries, pages and split commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/store/message.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;

/* What came, by arrival within its method. */
static struct {
    uint8_t upload_id[16];
    size_t upload_id_len, summary_len, target_count, uid_count;
    uint64_t offset, size;
    bool last;
} seen[FAKE_SEEN_MAX];
static uint32_t failing_partition; /* uploads to it fail; UINT32_MAX: none */
static uint32_t rows_a_page;
static bool stuck; /* pages do not advance */

static void on_chunk(struct rpc_request *request, unsigned nth)
{
    Tern__UploadChunkRequest *r =
        tern__upload_chunk_request__unpack(NULL, request->request.len, request->request.data);
    seen[nth].upload_id_len = r->upload_id.len;
    memcpy(seen[nth].upload_id, r->upload_id.data, 16);
    seen[nth].summary_len = r->summary.len;
    seen[nth].offset = r->offset;
    seen[nth].last = r->last;
    tern__upload_chunk_request__free_unpacked(r, NULL);
    fake_reply(request, request->partition == failing_partition ? ERR_NO_SPACE : OK, NULL, SLICE_NULL);
}

static void on_deliver(struct rpc_request *request, unsigned nth)
{
    Tern__DeliverRequest *r =
        tern__deliver_request__unpack(NULL, request->request.len, request->request.data);
    Tern__DeliverResponse response = TERN__DELIVER_RESPONSE__INIT;
    seen[nth].target_count = r->n_targets;
    seen[nth].upload_id_len = r->message->upload_id.len;
    if (r->message->upload_id.len > 0)
        memcpy(seen[nth].upload_id, r->message->upload_id.data, sizeof seen[nth].upload_id);
    seen[nth].size = r->message->size;
    seen[nth].summary_len = r->message->summary.len;
    Tern__DeliverResult *results = NEW_ARRAY(Tern__DeliverResult, r->n_targets);
    response.results = NEW_ARRAY(Tern__DeliverResult *, r->n_targets);
    response.n_results = r->n_targets;
    for (size_t i = 0; i < r->n_targets; i++) {
        tern__deliver_result__init(&results[i]);
        results[i].status = r->targets[i]->account == 13 ? ERR_NOT_FOUND : OK;
        results[i].uid = (uint32_t)r->targets[i]->account;
        response.results[i] = &results[i];
    }
    fake_reply(request, OK, &response.base, SLICE_NULL);
    free(response.results);
    free(results);
    tern__deliver_request__free_unpacked(r, NULL);
}

static void read_uids(ProtobufCBinaryData bytes, struct uidset *out)
{
    assert_int_equal(uids_read(bytes, out), OK);
}

static void on_fetch(struct rpc_request *request, unsigned nth)
{
    Tern__FetchRequest *r = tern__fetch_request__unpack(NULL, request->request.len, request->request.data);
    Tern__FetchResponse response = TERN__FETCH_RESPONSE__INIT;
    struct uidset uids = { 0 };
    struct buf rows = { 0 };
    (void)nth;
    read_uids(r->uids, &uids);
    for (uint32_t i = 0; i < rows_a_page && uidset_at(&uids, i) != 0; i++)
        row_encode(&(struct row){ .uid = uidset_at(&uids, i), .size = 100 }, &rows);
    response.next_uid = stuck ? uidset_min(&uids) : uidset_at(&uids, rows_a_page);
    fake_reply(request, OK, &response.base, buf_slice(&rows));
    buf_fini(&rows);
    uidset_fini(&uids);
    tern__fetch_request__free_unpacked(r, NULL);
}

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

static void on_store(struct rpc_request *request, unsigned nth)
{
    Tern__StoreFlagsRequest *r =
        tern__store_flags_request__unpack(NULL, request->request.len, request->request.data);
    Tern__StoreFlagsResponse response = TERN__STORE_FLAGS_RESPONSE__INIT;
    struct uidset uids = { 0 };
    read_uids(r->uids, &uids);
    seen[nth].uid_count = uidset_count(&uids);
    uidset_fini(&uids);
    response.modseq = 100 + nth;
    response.changed_uids = r->uids;
    if (telling > 0) {
        response.before_modseq = told[telling - 1].before[nth % 2];
        response.modseq = told[telling - 1].modseq[nth % 2];
    }
    fake_reply(request, nth == 2 && telling == 0 ? ERR_CORRUPT : OK, &response.base, SLICE_NULL);
    tern__store_flags_request__free_unpacked(r, NULL);
}

static void on_expunge(struct rpc_request *request, unsigned nth)
{
    Tern__ExpungeRequest *r =
        tern__expunge_request__unpack(NULL, request->request.len, request->request.data);
    Tern__ExpungeResponse response = TERN__EXPUNGE_RESPONSE__INIT;
    struct uidset uids = { 0 };
    read_uids(r->uids, &uids);
    seen[nth].uid_count = uidset_count(&uids);
    uidset_fini(&uids);
    response.modseq = 200 - nth;
    response.vanished_uids = r->uids;
    fake_reply(request, OK, &response.base, SLICE_NULL);
    tern__expunge_request__free_unpacked(r, NULL);
}

/* ---- a node's stage, as far as the client sees it */

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
    read_uids(r->uids, &uids);
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
    switch (request->method) {
    case METHOD_UPLOAD_CHUNK:
        on_chunk(request, nth);
        return;
    case METHOD_DELIVER:
        on_deliver(request, nth);
        return;
    case METHOD_FETCH:
        on_fetch(request, nth);
        return;
    case METHOD_STORE_FLAGS:
        on_store(request, nth);
        return;
    case METHOD_EXPUNGE:
        on_expunge(request, nth);
        return;
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
    memset(seen, 0, sizeof seen);
    failing_partition = UINT32_MAX;
    rows_a_page = 10;
    stuck = false;
    store = fake_start(on_request);
    return 0;
}

/* ---- uploads and deliveries */

static struct upload *upload_of(const uint32_t *partitions, size_t count, size_t size)
{
    struct upload *u = upload_new(store, partitions, count);
    uint8_t *bytes = xcalloc(1, size);
    size_t half = size / 2; /* in two pieces that fit no chunk */
    assert_int_equal(upload_write(u, slice_of(bytes, half)), OK);
    assert_int_equal(upload_write(u, slice_of(bytes + half, size - half)), OK);
    assert_int_equal(upload_size(u), size);
    upload_finish(u, SLICE_LIT("summary"));
    free(bytes);
    return u;
}

static void deliver_small(void)
{
    static const uint32_t partitions[] = { 1, 2, 1 };
    struct delivery_target targets[] = { { .account = { 11, 1 } },
                                         { .account = { 12, 2 } },
                                         { .account = { 13, 1 } } };
    struct upload *u = upload_of(partitions, 3, BODY_CHUNK_MAX);
    store_deliver(store, u, delivery_id_new(), targets, 3);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 0); /* one chunk travels beside the command */
    assert_int_equal(fake_count(METHOD_DELIVER), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fake_seen(METHOD_DELIVER, i).body_len, BODY_CHUNK_MAX);
        assert_int_equal(seen[i].target_count, fake_seen(METHOD_DELIVER, i).partition == 1 ? 2 : 1);
        assert_int_equal(seen[i].summary_len, 7);
    }
    assert_true(targets[0].status == OK && targets[0].uid == 11);
    assert_true(targets[1].status == OK && targets[1].uid == 12);
    assert_int_equal(targets[2].status, ERR_NOT_FOUND);
    upload_free(&u);
    upload_free(&u);
}

static void a_small_message_goes_with_its_delivery(void **state)
{
    (void)state;
    fake_run(deliver_small);
}

static void deliver_large(void)
{
    static const uint32_t partition = 1;
    struct delivery_target target = { .account = { 11, 1 } };
    size_t size = 2 * BODY_CHUNK_MAX + 5;
    struct upload *u = upload_of(&partition, 1, size);
    store_deliver(store, u, delivery_id_new(), &target, 1);
    assert_int_equal(target.status, OK);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i].offset, i * (uint64_t)BODY_CHUNK_MAX);
        assert_int_equal(seen[i].last, i == 2);
        assert_int_equal(fake_seen(METHOD_UPLOAD_CHUNK, i).body_len, i == 2 ? 5 : BODY_CHUNK_MAX);
    }
    assert_int_equal(seen[0].size, size);
    assert_int_equal(fake_seen(METHOD_DELIVER, 0).body_len, 0);
    upload_free(&u);
}

static void a_large_message_goes_before(void **state)
{
    (void)state;
    fake_run(deliver_large);
}

static void one_partition_fails(void)
{
    static const uint32_t partitions[] = { 1, 2 };
    struct delivery_target targets[] = { { .account = { 11, 1 } }, { .account = { 12, 2 } } };
    failing_partition = 2;
    struct upload *u = upload_of(partitions, 2, BODY_CHUNK_MAX + 1);
    store_deliver(store, u, delivery_id_new(), targets, 2);
    assert_int_equal(targets[0].status, OK);
    assert_int_equal(targets[1].status, ERR_NO_SPACE);
    assert_int_equal(fake_count(METHOD_DELIVER), 1);
    upload_free(&u);

    /* With none left the writer hears of it. */
    static const uint8_t zeros[BODY_CHUNK_MAX];
    u = upload_new(store, &partitions[1], 1);
    assert_int_equal(upload_write(u, slice_of(zeros, sizeof zeros)), OK);
    assert_int_equal(upload_write(u, SLICE_LIT("x")), ERR_NO_SPACE);
    upload_free(&u);
}

static void a_failing_partition_is_told_apart(void **state)
{
    (void)state;
    fake_run(one_partition_fails);
}

enum { CROWD = 2 * DELIVER_TARGETS_MAX + 50 };

static void deliver_to_crowd(void)
{
    struct delivery_target *targets = NEW_ARRAY(struct delivery_target, CROWD);
    uint32_t *partitions = NEW_ARRAY(uint32_t, CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        partitions[i] = 3;
        targets[i].account = (struct account_ref){ 1000 + i, 3 };
    }
    struct upload *u = upload_of(partitions, CROWD, BODY_CHUNK_MAX + 1);
    store_deliver(store, u, delivery_id_new(), targets, CROWD);
    assert_int_equal(fake_count(METHOD_DELIVER), 3);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 6); /* each delivery uses up a copy of its own */
    assert_memory_not_equal(seen[0].upload_id, seen[1].upload_id, 16);
    assert_memory_not_equal(seen[1].upload_id, seen[2].upload_id, 16);
    for (size_t i = 0; i < CROWD; i++)
        assert_true(targets[i].status == OK && targets[i].uid == 1000 + i);
    upload_free(&u);
    free(partitions);
    free(targets);
}

static void many_targets_are_split(void **state)
{
    (void)state;
    fake_run(deliver_to_crowd);
}

/* ---- pages */

static struct fetch *fetch_of(uint32_t first, uint32_t last)
{
    struct uidset uids = { 0 };
    uidset_add_range(&uids, first, last);
    struct fetch_options options = { .account = { 7, 1 }, .mailbox = 5, .uids = &uids };
    struct fetch *f = fetch_new(store, &options);
    uidset_fini(&uids);
    return f;
}

static void read_pages(void)
{
    struct fetch *f = fetch_of(101, 135);
    struct fetch_page page;
    uint32_t want = 101;
    enum err err;
    while ((err = fetch_next(f, &page)) == OK) {
        struct row row;
        while (fetch_page_next(&page, &row))
            assert_int_equal(row.uid, want++);
        fetch_page_fini(&page);
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_int_equal(want, 136);
    assert_int_equal(fake_count(METHOD_FETCH), 4);
    fetch_free(&f);

    /* Ended early: what was asked for ahead is dropped, and a page outlives its fetch. */
    f = fetch_of(1, 100);
    assert_int_equal(fetch_next(f, &page), OK);
    fetch_free(&f);
    struct row row;
    assert_true(fetch_page_next(&page, &row));
    assert_int_equal(row.uid, 1);
    fetch_page_fini(&page);
    f = fetch_of(1, 100); /* before anything was read */
    fetch_free(&f);
    fiber_sleep_ms(50);

    stuck = true;
    f = fetch_of(1, 100);
    assert_int_equal(fetch_next(f, &page), ERR_PROTOCOL);
    assert_int_equal(fetch_next(f, &page), ERR_NOT_FOUND);
    fetch_free(&f);

    struct uidset none = { 0 };
    f = fetch_new(store, &(struct fetch_options){ .account = { 7, 1 }, .uids = &none });
    assert_int_equal(fetch_next(f, &page), ERR_NOT_FOUND);
    fetch_free(&f);
}

static void pages_follow_each_other(void **state)
{
    (void)state;
    fake_run(read_pages);
}

/* Bodies are asked for in two segments at once; the rows come in order all the same, and only the last page
 * says that nothing is left. */
static void read_bodies(void)
{
    struct uidset uids = { 0 };
    uidset_add_range(&uids, 1, 1000);
    uidset_remove_range(&uids, 500, 599);
    struct fetch_options options = {
        .account = { 7, 1 }, .mailbox = 5, .uids = &uids, .items = ROW_BODY, .page_bytes = 300
    };
    struct fetch *f = fetch_new(store, &options);
    struct uidset got = { 0 };
    struct fetch_page page;
    bool more = true;
    enum err err;
    while ((err = fetch_next(f, &page)) == OK) {
        struct row row;
        assert_true(more);
        more = page.next_uid != 0;
        while (fetch_page_next(&page, &row)) {
            assert_true(row.uid > uidset_max(&got));
            uidset_add(&got, row.uid);
        }
        assert_true(!more || page.next_uid > uidset_max(&got));
        fetch_page_fini(&page);
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_false(more);
    assert_true(uidset_eq(&got, &uids));
    fetch_free(&f);
    uidset_fini(&got);
    uidset_fini(&uids);
}

static void bodies_come_in_order(void **state)
{
    (void)state;
    fake_run(read_bodies);
}

/* ---- splitting */

static void split_store(void)
{
    struct uidset uids = { 0 };
    struct arena arena = { 0 };
    struct store_flags_result result;
    uidset_add_range(&uids, 1, 2 * STORE_UIDS_MAX + 500);
    struct store_flags_request request = { .account = { 7, 1 }, .mailbox = 5, .uids = &uids, .flags = 1 };
    /* The third part fails; what the first two did is known. */
    assert_int_equal(store_flags(store, &request, &arena, &result), ERR_CORRUPT);
    assert_int_equal(fake_count(METHOD_STORE_FLAGS), 3);
    assert_int_equal(seen[0].uid_count, STORE_UIDS_MAX);
    assert_int_equal(seen[2].uid_count, 500);
    assert_int_equal(uidset_count(&result.changed), 2 * STORE_UIDS_MAX);
    assert_int_equal(result.modseq, 101);
    store_flags_result_fini(&result);
    arena_fini(&arena);
    uidset_fini(&uids);
}

static void modseqs_of_parts(void)
{
    struct uidset uids = { 0 };
    struct arena arena = { 0 };
    uidset_add_range(&uids, 1, 2 * STORE_UIDS_MAX);
    struct store_flags_request request = { .account = { 7, 1 }, .mailbox = 5, .uids = &uids, .flags = 1 };
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

static void split_expunge(void)
{
    struct uidset uids = { 0 }, vanished = { 0 };
    uint64_t modseq;
    for (uint32_t uid = 1; uid < 4 * EXPUNGE_UIDS_MAX + 600; uid += 2)
        uidset_add(&uids, uid);
    assert_int_equal(
        store_expunge(store, (struct account_ref){ 7, 1 }, 5, &uids, true, NULL, &vanished, &modseq), OK);
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

static void large_sets_are_split(void **state)
{
    (void)state;
    fake_run(split_store);
    fake_run(split_expunge);
}

/* ---- copies in stages */

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
        .account = { 7, 1 }, .from = 5, .to = 6, .uids = &uids, .move = true, .progress = &progress
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
        TEST(a_small_message_goes_with_its_delivery),
        TEST(a_large_message_goes_before),
        TEST(a_failing_partition_is_told_apart),
        TEST(many_targets_are_split),
        TEST(pages_follow_each_other),
        TEST(bodies_come_in_order),
        TEST(large_sets_are_split),
        TEST(parts_tell_whether_somebody_came_between),
        TEST(large_copies_are_staged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
