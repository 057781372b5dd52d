/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "proto/message.pb-c.h"
#include "storage-node/partition/partition_priv.h"

enum { LOCK_BUCKETS = 256 };

static struct lock **slot_of(const struct lock_table *t, uint64_t account)
{
    uint64_t mixed = account * UINT64_C(0x9E3779B97F4A7C15);
    struct lock **at = &t->buckets[(mixed >> 32) % t->bucket_count];
    while (*at != NULL && (*at)->account != account)
        at = &(*at)->next;
    return at;
}

static void remove_at(struct lock_table *t, struct lock **at)
{
    struct lock *gone = *at;
    *at = gone->next;
    free(gone);
    t->count--;
}

static bool holds(const struct lock *l, struct slice token)
{
    return slice_eq(slice_of(l->token, l->token_len), token);
}

enum err lock_table_take(struct lock_table *t, uint64_t account, struct slice token, uint64_t now_mono_ms)
{
    if (token.len == 0 || token.len > LOCK_TOKEN_MAX)
        return ERR_INVALID;
    if (t->buckets == NULL) {
        t->bucket_count = LOCK_BUCKETS;
        t->buckets = NEW_ARRAY(struct lock *, LOCK_BUCKETS);
    }
    struct lock **at = slot_of(t, account);
    if (*at != NULL && !holds(*at, token) && (*at)->expires_mono_ms > now_mono_ms)
        return ERR_IN_USE;
    if (*at == NULL) {
        if (t->count >= LOCKS_MAX)
            return ERR_LIMIT;
        *at = NEW(struct lock);
        (*at)->account = account;
        t->count++;
    }
    memcpy((*at)->token, token.data, token.len);
    (*at)->token_len = (uint8_t)token.len;
    (*at)->expires_mono_ms = now_mono_ms + LOCK_EXPIRY_MS;
    return OK;
}

void lock_table_release(struct lock_table *t, uint64_t account, struct slice token)
{
    if (t->buckets == NULL)
        return;
    struct lock **at = slot_of(t, account);
    if (*at != NULL && holds(*at, token))
        remove_at(t, at);
}

void lock_table_expire(struct lock_table *t, uint64_t now_mono_ms)
{
    for (size_t i = 0; i < t->bucket_count; i++) {
        struct lock **at = &t->buckets[i];
        while (*at != NULL) {
            if ((*at)->expires_mono_ms <= now_mono_ms)
                remove_at(t, at);
            else
                at = &(*at)->next;
        }
    }
}

void lock_table_fini(struct lock_table *t)
{
    lock_table_expire(t, UINT64_MAX);
    free(t->buckets);
    *t = (struct lock_table){ 0 };
}

void partition_lock(struct partition *p, struct partition_now now, struct partition_request *request)
{
    Tern__LockRequest *req = tern__lock_request__unpack(NULL, request->request.len, request->request.data);
    enum err status = req == NULL ? ERR_INVALID : OK;
    if (req != NULL) {
        struct slice token = slice_of(req->token.data, req->token.len);
        if (req->release)
            lock_table_release(&p->locks, req->account, token);
        else
            status = lock_table_take(&p->locks, req->account, token, now.mono_ms);
        tern__lock_request__free_unpacked(req, NULL);
    }
    partition_request_end(request, status, p->applied_time);
}
