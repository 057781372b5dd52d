/* SPDX-License-Identifier: Apache-2.0 */
/* Changing messages: flags and expunge. Large sets are split into bounded requests. */
#include <stdlib.h>

#include "lib/store/message_priv.h"

/* ---- flags */

/* Of the parts of a large change: did somebody else come between? */
static void note_modseqs(const Tern__StoreFlagsResponse *response, struct store_flags_result *out)
{
    uint64_t before = out->modseq != 0 ? out->modseq : out->before_modseq;
    if (out->parts++ == 0)
        out->before_modseq = response->before_modseq;
    else if (response->before_modseq != before)
        out->before_modseq = 0;
    if (response->modseq != 0) {
        out->one_modseq = out->modseq == 0;
        out->modseq = response->modseq;
    }
}

/* What those carry that a part changed. */
static void note_flags(const Tern__StoreFlagsResponse *response, const struct uidset *changed,
                       struct store_flags_result *out)
{
    if (uidset_is_empty(changed))
        return;
    bool same = out->flags == response->flags && out->keyword_mask == response->keyword_mask;
    out->one_flags = response->one_flags && (uidset_is_empty(&out->changed) || (out->one_flags && same));
    out->flags = response->flags;
    out->keyword_mask = response->keyword_mask;
}

static enum err store_part(struct store *store, const struct store_flags_request *r,
                           const struct uidset *uids, struct arena *scratch, struct arena *arena,
                           struct store_flags_result *out)
{
    Tern__StoreFlagsRequest request = TERN__STORE_FLAGS_REQUEST__INIT;
    Tern__StoreFlagsResponse *response;
    struct uidset set = { 0 };
    request.account = r->account.id;
    request.mailbox = r->mailbox.id;
    request.uidvalidity = r->mailbox.uidvalidity;
    request.uids = uids_write(uids, scratch);
    request.mode = (Tern__StoreMode)r->mode;
    request.flags = r->flags;
    request.keywords = texts_write(r->keywords, r->keyword_count, scratch);
    request.n_keywords = r->keyword_count;
    request.set_unchanged_since = r->unchanged_since != NULL;
    request.unchanged_since = r->unchanged_since == NULL ? 0 : *r->unchanged_since;
    TRY(call_within(store, r->timeout_ms, METHOD_STORE_FLAGS, r->account.home, &request.base,
                    &tern__store_flags_response__descriptor, &response));
    note_modseqs(response, out);
    if (response->n_keywords != out->keyword_count) { /* it only grows */
        out->keywords = texts_read(response->keywords, response->n_keywords, arena);
        out->keyword_count = (uint32_t)response->n_keywords;
    }
    enum err err = uids_read(response->changed_uids, &set);
    if (err == OK) {
        note_flags(response, &set, out);
        uidset_add_set(&out->changed, &set);
        err = uids_read(response->modified_uids, &set);
    }
    if (err == OK)
        uidset_add_set(&out->modified, &set);
    uidset_fini(&set);
    tern__store_flags_response__free_unpacked(response, NULL);
    return err;
}

enum err store_flags(struct store *store, const struct store_flags_request *request, struct arena *arena,
                     struct store_flags_result *out)
{
    struct uidset left = { 0 }, part = { 0 };
    struct arena scratch = { 0 };
    uint64_t total = uidset_count(request->uids);
    enum err err = OK;
    *out = (struct store_flags_result){ 0 };
    uidset_copy(request->uids, &left);
    while (err == OK && !uidset_is_empty(&left)) {
        uids_take(&left, STORE_UIDS_SPLIT, &part);
        arena_clear(&scratch);
        err = store_part(store, request, &part, &scratch, arena, out);
        if (err == OK)
            store_progress_tell(request->progress, total - uidset_count(&left), total);
    }
    uidset_fini(&left);
    uidset_fini(&part);
    arena_fini(&scratch);
    return err;
}

void store_flags_result_fini(struct store_flags_result *r)
{
    uidset_fini(&r->changed);
    uidset_fini(&r->modified);
}

/* ---- expunge */

static enum err expunge_part(struct store *store, Tern__ExpungeRequest *request, uint32_t home,
                             struct uidset *vanished_out, uint64_t *modseq_out)
{
    Tern__ExpungeResponse *response;
    struct uidset set = { 0 };
    TRY(call_simple(store, METHOD_EXPUNGE, home, &request->base, &tern__expunge_response__descriptor,
                    &response));
    enum err err = uids_read(response->vanished_uids, &set);
    if (err == OK)
        uidset_add_set(vanished_out, &set);
    if (response->modseq > *modseq_out)
        *modseq_out = response->modseq;
    uidset_fini(&set);
    tern__expunge_response__free_unpacked(response, NULL);
    return err;
}

enum err store_expunge(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                       const struct uidset *uids, bool only_deleted, const struct store_progress *progress,
                       struct uidset *vanished_out, uint64_t *modseq_out)
{
    uint64_t total = uidset_count(uids);
    struct uidset left = { 0 }, part = { 0 };
    struct buf encoded = { 0 };
    enum err err = OK;
    *modseq_out = 0;
    uidset_copy(uids, &left);
    while (err == OK && !uidset_is_empty(&left)) {
        Tern__ExpungeRequest request = TERN__EXPUNGE_REQUEST__INIT;
        uids_take(&left, EXPUNGE_UIDS_MAX, &part);
        buf_clear(&encoded);
        uidset_encode(&part, &encoded);
        request.account = account.id;
        request.mailbox = mailbox.id;
        request.uidvalidity = mailbox.uidvalidity;
        request.uids = pb_bytes(buf_slice(&encoded));
        request.only_deleted = only_deleted;
        err = expunge_part(store, &request, account.home, vanished_out, modseq_out);
        if (err == OK)
            store_progress_tell(progress, total - uidset_count(&left), total);
    }
    uidset_fini(&left);
    uidset_fini(&part);
    buf_fini(&encoded);
    return err;
}
