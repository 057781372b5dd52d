/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_TOTALS: what QUEUE_STATUS would say of many partitions, in one answer. Each is judged for itself, as
 * R14 wants it: first its lease, then the view, which is one for all. */
#include <stdlib.h>

#include "lib/base/arena.h"
#include "proto/queue.pb-c.h"
#include "storage-node/partition/read/reader_priv.h"

struct asked {
    struct partition_public *pub; /* NULL: not for us to answer */
    uint64_t wiped;
};

struct totals {
    struct kv *kv;
    struct kv_view *view;
    struct arena arena;
    Tern__QueueTotalsRequest *request;
    struct asked *asked;
    Tern__QueueTotalsResponse response;
};

static void check_leases(struct totals *t, struct directory *directory, uint64_t (*boot_ns)(void))
{
    t->asked = ARENA_ARRAY(&t->arena, struct asked, t->request->n_partitions);
    for (size_t i = 0; i < t->request->n_partitions; i++) {
        struct partition_public *pub = directory_find(directory, t->request->partitions[i]);
        uint64_t wiped = pub == NULL ? 0 : atomic_load(&pub->wiped);
        bool may = pub != NULL && reader_may_answer(pub, boot_ns) == OK;
        t->asked[i] = (struct asked){ may ? pub : NULL, wiped };
    }
}

/* NULL: it cannot be read. */
static Tern__QueueStatusResponse *read_one(struct totals *t, struct partition_public *pub, uint32_t partition)
{
    struct buf packed = { 0 }, body = { 0 };
    struct partition_request request = { .partition = partition, .method = METHOD_QUEUE_STATUS };
    Tern__QueueStatusResponse *status = NULL;
    if (reader_read(t->kv, t->view, pub, &request, &packed, &body) == OK)
        status = tern__queue_status_response__unpack(NULL, packed.len, packed.data);
    buf_fini(&packed);
    buf_fini(&body);
    return status;
}

static void answer_one(struct totals *t, size_t i)
{
    uint32_t partition = t->request->partitions[i];
    const struct asked *asked = &t->asked[i];
    Tern__QueueStatusResponse *status = NULL;
    if (asked->pub != NULL && atomic_load(&asked->pub->wiped) == asked->wiped)
        status = read_one(t, asked->pub, partition);
    if (status == NULL) {
        t->response.unknown[t->response.n_unknown++] = partition;
    } else if (status->items == 0) {
        tern__queue_status_response__free_unpacked(status, NULL);
    } else {
        Tern__QueueTotalsRow *row = ARENA_NEW(&t->arena, Tern__QueueTotalsRow);
        tern__queue_totals_row__init(row);
        row->partition = partition;
        row->status = status;
        t->response.rows[t->response.n_rows++] = row;
    }
}

static void answer_all(struct totals *t, struct directory *directory, uint64_t (*boot_ns)(void))
{
    size_t count = t->request->n_partitions;
    tern__queue_totals_response__init(&t->response);
    t->response.unknown = ARENA_ARRAY(&t->arena, uint32_t, count);
    t->response.rows = ARENA_ARRAY(&t->arena, Tern__QueueTotalsRow *, count);
    check_leases(t, directory, boot_ns);
    t->view = kv_view_new(t->kv);
    for (size_t i = 0; i < count; i++)
        answer_one(t, i);
    kv_view_free(&t->view);
}

static void reply(struct totals *t, struct partition_request *request)
{
    struct buf packed = { 0 };
    struct partition_answer answer = { .status = OK, .response = &packed };
    size_t size = tern__queue_totals_response__get_packed_size(&t->response);
    packed.len = tern__queue_totals_response__pack(&t->response, buf_reserve(&packed, size + 1));
    request->done(request, &answer);
    buf_fini(&packed);
    for (size_t i = 0; i < t->response.n_rows; i++)
        tern__queue_status_response__free_unpacked(t->response.rows[i]->status, NULL);
}

void reader_totals(struct kv *kv, struct directory *directory, struct partition_request *request,
                   uint64_t (*boot_ns)(void), uint64_t now_mono_ms)
{
    struct totals t = { .kv = kv };
    if (request->deadline_mono_ms <= now_mono_ms) {
        partition_request_end(request, ERR_TIMEOUT, 0);
        return;
    }
    t.request = tern__queue_totals_request__unpack(NULL, request->request.len, request->request.data);
    if (t.request == NULL || t.request->n_partitions > QUEUE_TOTALS_MAX) {
        partition_request_end(request, t.request == NULL ? ERR_INVALID : ERR_LIMIT, 0);
    } else {
        answer_all(&t, directory, boot_ns);
        reply(&t, request);
    }
    if (t.request != NULL)
        tern__queue_totals_request__free_unpacked(t.request, NULL);
    arena_fini(&t.arena);
}
