/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and MOVE. What one entry may hold is one request; more goes in stages (proto/message.proto): steps
 * that nobody sees, then the commit. Each request has its own deadline, so the whole may take as long as it
 * needs. */
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/loop.h"
#include "lib/store/message_priv.h"

enum {
    STAGE_TRIES = 4,               /* a stage is begun so often if what it copies changes meanwhile */
    STAGE_WAIT_MS = 3 * 60 * 1000, /* for the account's other stage to end, or to be swept */
    STAGE_WAIT_STEP_MS = 200,
};

void store_progress_tell(const struct store_progress *progress, uint64_t done, uint64_t total)
{
    if (progress != NULL)
        progress->fn(done, total, progress->arg);
}

/* ---- in one entry */

static enum err copy_whole(struct store *store, const struct copy_request *r, struct copy_result *out)
{
    Tern__CopyRequest request = TERN__COPY_REQUEST__INIT;
    Tern__CopyResponse *response;
    struct buf encoded = { 0 };
    uidset_encode(r->uids, &encoded);
    request.account = r->account.id;
    request.from = r->from.id;
    request.from_uidvalidity = r->from.uidvalidity;
    request.to = r->to;
    request.uids = pb_bytes(buf_slice(&encoded));
    request.move = r->move;
    enum err err = call_simple(store, METHOD_COPY, r->account.home, &request.base,
                               &tern__copy_response__descriptor, &response);
    buf_fini(&encoded);
    TRY(err);
    out->uidvalidity = response->uidvalidity;
    out->modseq = response->modseq;
    err = uids_read(response->from_uids, &out->from);
    if (err == OK)
        err = uids_read(response->to_uids, &out->to);
    tern__copy_response__free_unpacked(response, NULL);
    return err;
}

/* ---- in stages */

struct staging {
    struct store *store;
    const struct copy_request *r;
    struct copy_result *out;
    uint8_t id[REQUEST_ID_SIZE];
    uint64_t total, told; /* progress does not go back when a stage is begun again */
    struct uidset left, part, set;
    struct buf encoded;
    uint64_t wait_until_ms;
};

static void tell(struct staging *g, uint64_t done)
{
    g->told = done > g->told ? done : g->told;
    store_progress_tell(g->r->progress, g->told, g->total);
}

static enum err step(struct staging *g, bool first)
{
    Tern__CopyStageRequest request = TERN__COPY_STAGE_REQUEST__INIT;
    Tern__CopyStageResponse *response;
    buf_clear(&g->encoded);
    uidset_encode(&g->part, &g->encoded);
    request.account = g->r->account.id;
    request.stage = pb_bytes(slice_of(g->id, sizeof g->id));
    request.total = first ? (uint32_t)g->total : 0;
    request.from = g->r->from.id;
    request.from_uidvalidity = g->r->from.uidvalidity;
    request.to = g->r->to;
    request.move = g->r->move;
    request.uids = pb_bytes(buf_slice(&g->encoded));
    TRY(call_simple(g->store, METHOD_COPY_STAGE, g->r->account.home, &request.base,
                    &tern__copy_stage_response__descriptor, &response));
    enum err err = uids_read(response->from_uids, &g->set);
    if (err == OK)
        uidset_add_set(&g->out->from, &g->set);
    tern__copy_stage_response__free_unpacked(response, NULL);
    return err;
}

/* The first step has to wait for its turn. */
static enum err first_step(struct staging *g)
{
    for (;;) {
        enum err err = step(g, true);
        if (err != ERR_IN_USE || loop_now_ms() >= g->wait_until_ms || g->store->stopping)
            return err;
        tell(g, 0);
        fiber_sleep_ms(STAGE_WAIT_STEP_MS);
    }
}

static enum err steps(struct staging *g)
{
    enum err err = OK;
    bool first = true;
    uidset_copy(g->r->uids, &g->left);
    while (err == OK && !uidset_is_empty(&g->left)) {
        uids_take(&g->left, COPY_UIDS_MAX, &g->part);
        err = first ? first_step(g) : step(g, false);
        first = false;
        if (err == OK)
            tell(g, g->total - uidset_count(&g->left));
    }
    return err;
}

static enum err commit(struct staging *g)
{
    Tern__CopyCommitRequest request = TERN__COPY_COMMIT_REQUEST__INIT;
    Tern__CopyCommitResponse *response;
    request.account = g->r->account.id;
    request.stage = pb_bytes(slice_of(g->id, sizeof g->id));
    TRY(call_simple(g->store, METHOD_COPY_COMMIT, g->r->account.home, &request.base,
                    &tern__copy_commit_response__descriptor, &response));
    enum err err = response->count == uidset_count(&g->out->from) ? OK : ERR_PROTOCOL;
    g->out->uidvalidity = response->uidvalidity;
    g->out->modseq = response->modseq;
    if (err == OK && response->count > 0)
        uidset_add_range(&g->out->to, response->first_uid, response->first_uid + (response->count - 1));
    tern__copy_commit_response__free_unpacked(response, NULL);
    return err;
}

/* So that the account's next stage need not wait until this one is found idle. */
static void abandon(struct staging *g)
{
    Tern__CopyAbandonRequest request = TERN__COPY_ABANDON_REQUEST__INIT;
    Tern__CopyAbandonResponse *response;
    request.account = g->r->account.id;
    request.stage = pb_bytes(slice_of(g->id, sizeof g->id));
    enum err err = call_simple(g->store, METHOD_COPY_ABANDON, g->r->account.home, &request.base,
                               &tern__copy_abandon_response__descriptor, &response);
    if (err == OK)
        tern__copy_abandon_response__free_unpacked(response, NULL);
    else
        log_debug("store", "a staged copy is left to the sweep: %s", err_name(err));
}

static enum err stage_once(struct staging *g)
{
    rand_bytes(g->id, sizeof g->id);
    enum err err = steps(g);
    /* Whatever became of a step, nothing of it is to be seen. */
    if (err == ERR_IN_DOUBT)
        err = ERR_UNAVAILABLE;
    if (err == OK)
        err = commit(g);
    if (err != OK && err != ERR_IN_DOUBT && err != ERR_IN_USE)
        abandon(g);
    return err;
}

static enum err copy_staged(struct store *store, const struct copy_request *r, struct copy_result *out)
{
    struct staging g = { .store = store, .r = r, .out = out, .total = uidset_count(r->uids) };
    g.wait_until_ms = loop_deadline_ms(STAGE_WAIT_MS);
    enum err err = ERR_CONFLICT;
    for (int tries = 0; tries < STAGE_TRIES && err == ERR_CONFLICT; tries++) {
        copy_result_fini(out);
        err = stage_once(&g);
    }
    uidset_fini(&g.left);
    uidset_fini(&g.part);
    uidset_fini(&g.set);
    buf_fini(&g.encoded);
    return err;
}

enum err store_copy(struct store *store, const struct copy_request *request, struct copy_result *out)
{
    *out = (struct copy_result){ 0 };
    enum err err = uidset_count(request->uids) <= COPY_UIDS_MAX ? copy_whole(store, request, out)
                                                                : copy_staged(store, request, out);
    if (err != OK)
        copy_result_fini(out);
    return err;
}

void copy_result_fini(struct copy_result *r)
{
    uidset_fini(&r->from);
    uidset_fini(&r->to);
}
