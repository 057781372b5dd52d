/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "storage-node/partition/partition_priv.h"

enum { WATCH_BUCKETS_MIN = 64 };

static struct watch **bucket_of(const struct watch_table *t, uint64_t account)
{
    uint64_t mixed = account * UINT64_C(0x9E3779B97F4A7C15);
    return &t->buckets[(mixed >> 32) & (t->bucket_count - 1)];
}

static void grow(struct watch_table *t)
{
    struct watch_table bigger = { 0 };
    bigger.bucket_count = t->bucket_count == 0 ? WATCH_BUCKETS_MIN : t->bucket_count * 2;
    bigger.buckets = NEW_ARRAY(struct watch *, bigger.bucket_count);
    bigger.count = t->count;
    for (size_t i = 0; i < t->bucket_count; i++) {
        while (t->buckets[i] != NULL) {
            struct watch *w = t->buckets[i];
            struct watch **to = bucket_of(&bigger, w->account);
            t->buckets[i] = w->next;
            w->next = *to;
            *to = w;
        }
    }
    free(t->buckets);
    *t = bigger;
}

static bool same(const struct watch *w, const struct partition_peer *peer, uint64_t id, uint64_t mailbox)
{
    return w->id == id && w->mailbox == mailbox && w->peer.len == peer->len &&
           memcmp(w->peer.bytes, peer->bytes, peer->len) == 0;
}

static struct watch **find(const struct watch_table *t, const struct partition_peer *peer, uint64_t id,
                           uint64_t account, uint64_t mailbox)
{
    struct watch **at = bucket_of(t, account);
    while (*at != NULL && !((*at)->account == account && same(*at, peer, id, mailbox)))
        at = &(*at)->next;
    return at;
}

struct watch *watch_table_put(struct watch_table *t, const struct partition_peer *peer, uint64_t id,
                              uint64_t account, uint64_t mailbox)
{
    if (t->count >= t->bucket_count)
        grow(t);
    struct watch **at = find(t, peer, id, account, mailbox);
    if (*at == NULL) {
        if (t->count >= WATCHES_MAX)
            return NULL;
        *at = NEW(struct watch);
        (*at)->account = account;
        (*at)->mailbox = mailbox;
        (*at)->id = id;
        (*at)->peer = *peer;
        t->count++;
    }
    return *at;
}

static void remove_at(struct watch_table *t, struct watch **at)
{
    struct watch *gone = *at;
    *at = gone->next;
    free(gone);
    t->count--;
}

void watch_table_remove(struct watch_table *t, const struct partition_peer *peer, uint64_t id,
                        uint64_t account, uint64_t mailbox)
{
    if (t->count == 0)
        return;
    struct watch **at = find(t, peer, id, account, mailbox);
    if (*at != NULL)
        remove_at(t, at);
}

void watch_table_expire(struct watch_table *t, uint64_t now_mono_ms)
{
    for (size_t i = 0; i < t->bucket_count; i++) {
        struct watch **at = &t->buckets[i];
        while (*at != NULL) {
            if ((*at)->expires_mono_ms <= now_mono_ms)
                remove_at(t, at);
            else
                at = &(*at)->next;
        }
    }
}

void watch_table_fini(struct watch_table *t)
{
    watch_table_expire(t, UINT64_MAX);
    free(t->buckets);
    *t = (struct watch_table){ 0 };
}

struct watch *watch_table_match(const struct watch_table *t, struct watch *from, uint64_t account,
                                uint64_t mailbox)
{
    struct watch *w = from;
    if (w == NULL && t->count > 0)
        w = *bucket_of(t, account);
    while (w != NULL && !(w->account == account && (w->mailbox == 0 || w->mailbox == mailbox)))
        w = w->next;
    return w;
}

/* ---- METHOD_WATCH and its notices */

/* The newest modseq of what is watched: of the mailbox, or the highest of the account's. */
static enum err current_modseq(struct partition *p, const Tern__WatchRequest *watch, uint64_t *out)
{
    struct buf request = { 0 }, response = { 0 }, body = { 0 };
    enum err err;
    *out = 0;
    if (watch->mailbox != 0) {
        Tern__MailboxOpenRequest open = TERN__MAILBOX_OPEN_REQUEST__INIT;
        open.account = watch->account;
        open.id = watch->mailbox;
        request.len = tern__mailbox_open_request__pack(
            &open, buf_reserve(&request, tern__mailbox_open_request__get_packed_size(&open)));
        err = machine_read(p->kv, NULL, p->id, METHOD_MAILBOX_OPEN, buf_slice(&request), &response, &body);
        Tern__MailboxOpenResponse *got =
            err == OK ? tern__mailbox_open_response__unpack(NULL, response.len, response.data) : NULL;
        if (got != NULL && got->mailbox != NULL)
            *out = got->mailbox->modseq;
        if (got != NULL)
            tern__mailbox_open_response__free_unpacked(got, NULL);
    } else {
        Tern__MailboxListRequest list = TERN__MAILBOX_LIST_REQUEST__INIT;
        list.account = watch->account;
        request.len = tern__mailbox_list_request__pack(
            &list, buf_reserve(&request, tern__mailbox_list_request__get_packed_size(&list)));
        err = machine_read(p->kv, NULL, p->id, METHOD_MAILBOX_LIST, buf_slice(&request), &response, &body);
        Tern__MailboxListResponse *got =
            err == OK ? tern__mailbox_list_response__unpack(NULL, response.len, response.data) : NULL;
        for (size_t i = 0; got != NULL && i < got->n_mailboxes; i++) {
            if (got->mailboxes[i]->modseq > *out)
                *out = got->mailboxes[i]->modseq;
        }
        if (got != NULL)
            tern__mailbox_list_response__free_unpacked(got, NULL);
    }
    buf_fini(&request);
    buf_fini(&response);
    buf_fini(&body);
    return err;
}

static void answer_watch(struct partition *p, struct partition_request *request, uint64_t modseq)
{
    Tern__WatchResponse response = TERN__WATCH_RESPONSE__INIT;
    struct replica_info info;
    struct buf packed = { 0 };
    replica_info(p->replica, &info);
    response.modseq = modseq;
    response.epoch = info.dep_durable; /* the node could be restarted and serve in a higher one without it */
    packed.len = tern__watch_response__pack(
        &response, buf_reserve(&packed, tern__watch_response__get_packed_size(&response)));
    struct partition_answer answer = { .status = OK, .time_ms = p->applied_time, .response = &packed };
    request->done(request, &answer);
    buf_fini(&packed);
}

static void send_notice(struct partition *p, struct watch *w, uint64_t mailbox, uint64_t modseq)
{
    Tern__WatchNotice notice = TERN__WATCH_NOTICE__INIT;
    uint8_t packed[64]; /* four varint fields of at most 11 bytes */
    notice.watch = w->id;
    notice.account = w->account;
    notice.mailbox = mailbox;
    notice.modseq = modseq;
    size_t len = tern__watch_notice__pack(&notice, packed);
    w->modseq = modseq;
    atomic_fetch_add_explicit(&p->stats->notices, 1, memory_order_relaxed);
    p->host->notify(p->host->arg, &w->peer, METHOD_WATCH_NOTICE, p->id, slice_of(packed, len));
}

void partition_watch(struct partition *p, struct partition_now now, struct partition_request *request)
{
    Tern__WatchRequest *req = tern__watch_request__unpack(NULL, request->request.len, request->request.data);
    if (req == NULL) {
        partition_request_end(request, ERR_INVALID, p->applied_time);
        return;
    }
    uint64_t modseq = 0;
    if (req->end) {
        watch_table_remove(&p->watches, &request->peer, req->watch, req->account, req->mailbox);
        answer_watch(p, request, 0);
        tern__watch_request__free_unpacked(req, NULL);
        return;
    }
    enum err err = current_modseq(p, req, &modseq);
    struct watch *w =
        err == OK ? watch_table_put(&p->watches, &request->peer, req->watch, req->account, req->mailbox)
                  : NULL;
    if (w != NULL) {
        /* The answer carries the present modseq, so only what comes later is a notice. */
        w->expires_mono_ms = now.mono_ms + WATCH_EXPIRY_MS;
        w->modseq = modseq;
        answer_watch(p, request, modseq);
        if (STORAGE_FAULT(p->faults, drop_watches) && p->record.dep > 1)
            watch_table_fini(&p->watches);
    } else {
        partition_request_end(request, err != OK ? err : ERR_LIMIT, p->applied_time);
    }
    tern__watch_request__free_unpacked(req, NULL);
}

void partition_notify_changes(struct partition *p, const struct machine_change *changes, size_t count)
{
    for (size_t i = 0; p->watches.count > 0 && i < count; i++) {
        const struct machine_change *c = &changes[i];
        struct watch *w = watch_table_match(&p->watches, NULL, c->account, c->mailbox);
        while (w != NULL) {
            if (c->modseq > w->modseq)
                send_notice(p, w, c->mailbox, c->modseq);
            w = w->next == NULL ? NULL : watch_table_match(&p->watches, w->next, c->account, c->mailbox);
        }
    }
}
