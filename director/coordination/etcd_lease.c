/* SPDX-License-Identifier: Apache-2.0 */
/* Who leads: whoever made the key `leader`, which is bound to a lease of ETCD_LEASE_S. A director asks for a
 * lease only when there is no such key. It believes itself the leader for LEAD_MS from the moment it sent
 * what renewed the lease, by a clock that counts suspend; so one that was stopped knows at once that it may
 * be no leader any more. */
#include <inttypes.h>

#include "director/coordination/etcd_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

bool lead_is_held(const struct etcd *e)
{
    return clock_boot_ns() / 1000000 < atomic_load(&e->lead.until_boot_ms);
}

static void lose(struct etcd *e, const char *why)
{
    struct lead *l = &e->lead;
    if (l->won)
        log_warn("etcd", "this director does not lead any more: %s", why);
    l->lease = 0;
    l->won = l->logged = false;
    atomic_store(&l->until_boot_ms, 0);
}

static void renew(struct etcd *e)
{
    atomic_store(&e->lead.until_boot_ms, e->lead.request.sent_boot_ms + LEAD_MS);
    if (!e->lead.logged)
        log_info("etcd", "this director leads");
    e->lead.logged = true;
}

void lead_on_key(struct etcd *e, const struct etcd_kv *kv)
{
    struct lead *l = &e->lead;
    l->present = kv != NULL && !kv->deleted;
    pthread_mutex_lock(&e->lock);
    buf_clear(&e->leader);
    if (l->present)
        buf_add_slice(&e->leader, buf_slice(&kv->value));
    pthread_mutex_unlock(&e->lock);
    if (l->won && (!l->present || kv->lease != l->lease))
        lose(e, "another has the key");
    if (!l->present)
        l->next_ms = 0;
}

static void take_campaign(struct etcd *e, const struct etcd_answer *answer)
{
    bool succeeded;
    struct etcd_kv *kvs;
    size_t count;
    if (etcd_decode_txn(answer->body, &succeeded, &kvs, &count) != OK)
        return;
    bool ours = succeeded || (count > 0 && kvs[0].lease == e->lead.lease);
    etcd_kvs_free(kvs, count);
    if (ours) {
        e->lead.won = true;
        renew(e);
    } else {
        e->lead.lease = 0; /* runs out by itself; the watch tells when there is something to win */
    }
}

static void take_lease(struct etcd *e, const struct etcd_answer *answer)
{
    struct lead *l = &e->lead;
    uint64_t ttl = 0, id = 0;
    bool good = etcd_decode_number(answer->body, "TTL", &ttl) == OK &&
                etcd_decode_number(answer->body, "ID", &id) == OK && ttl > 0 && id > 0;
    if (l->asked == LEAD_GRANT) {
        l->lease = good ? id : 0;
        l->next_ms = good ? 0 : l->next_ms;
    } else if (!good) {
        lose(e, "its lease has run out");
    } else if (l->won) {
        renew(e);
    }
}

static void lead_done(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct lead *l = &e->lead;
    struct etcd_answer answer;
    bool answered = single_end(e, &l->request, &answer);
    l->next_ms = e->now_ms + RETRY_MS;
    if (l->asked == LEAD_REVOKE) {
        l->lease = 0;
    } else if (answered && answer.message != NULL) {
        if (call->status >= 500)
            etcd_leave(e, call->endpoint, answer.message);
        else
            lose(e, answer.message); /* the lease is not known (any more) */
    } else if (answered) {
        if (l->asked == LEAD_RENEW)
            l->next_ms = e->now_ms + LEAD_RENEW_MS;
        if (l->asked == LEAD_CAMPAIGN)
            take_campaign(e, &answer);
        else
            take_lease(e, &answer);
    }
    etcd_answer_fini(&answer);
}

static void ask(struct etcd *e, int what, const char *path, uint64_t timeout_ms)
{
    e->lead.asked = what;
    single_start(e, &e->lead.request, path, timeout_ms, lead_done);
}

void lead_tick(struct etcd *e)
{
    struct lead *l = &e->lead;
    struct buf *body = &l->request.call.body;
    if (l->logged && !lead_is_held(e)) {
        log_warn("etcd", "this director does not lead for now: its lease could not be renewed");
        l->logged = false;
    }
    if (l->request.busy || !e->was_loaded || e->now_ms < l->next_ms)
        return;
    if (l->won) {
        etcd_encode_lease(body, l->lease);
        ask(e, LEAD_RENEW, "/v3/lease/keepalive", SHORT_CALL_MS);
    } else if (l->lease != 0) {
        etcd_encode_campaign(body, buf_slice(&e->leader_key), slice_str(e->name), l->lease);
        ask(e, LEAD_CAMPAIGN, "/v3/kv/txn", SHORT_CALL_MS);
    } else if (!l->present) {
        etcd_encode_grant(body, ETCD_LEASE_S);
        ask(e, LEAD_GRANT, "/v3/lease/grant", SHORT_CALL_MS);
    }
}

bool lead_end(struct etcd *e)
{
    struct lead *l = &e->lead;
    atomic_store(&l->until_boot_ms, 0);
    l->won = l->logged = false;
    if (l->request.busy && l->asked != LEAD_REVOKE) {
        etcd_http_cancel(e->http, &l->request.call);
        l->request.busy = false;
    }
    if (l->request.busy)
        return false;
    if (l->lease == 0)
        return true;
    etcd_encode_lease(&l->request.call.body, l->lease);
    ask(e, LEAD_REVOKE, "/v3/lease/revoke", REVOKE_MS);
    return false;
}
