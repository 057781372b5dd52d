/* SPDX-License-Identifier: Apache-2.0 */
/* The picture's source: all rows page by page at one revision, then the stream of changes from the next. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "director/coordination/etcd_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

static bool is_key(const struct etcd_kv *kv, const struct buf *key)
{
    return slice_eq(buf_slice(&kv->key), buf_slice(key));
}

/* False if the key is not a row's. */
static bool as_row(const struct etcd *e, const struct etcd_kv *kv, struct coordination_row *out)
{
    struct slice key = buf_slice(&kv->key);
    if (!slice_starts(key, buf_slice(&e->rows_prefix)))
        return false;
    *out = (struct coordination_row){ .key = slice_sub(key, e->rows_prefix.len, key.len),
                                      .value = kv->deleted ? SLICE_NULL : buf_slice(&kv->value),
                                      .mod = kv->mod,
                                      .deleted = kv->deleted };
    return out->key.len > 0;
}

/* ---- all rows */

static void free_rows(struct watch *w)
{
    etcd_kvs_free(w->rows, w->row_count);
    w->rows = NULL;
    w->row_count = w->row_cap = 0;
}

static void tell_loaded(struct etcd *e, const struct coordination_row *rows, size_t count, uint64_t newest)
{
    uint64_t revision = e->watch.load_revision;
    if (e->was_loaded) {
        log_info("etcd", "read all %zu rows again, as of revision %" PRIu64, count, revision);
        e->watcher.on_reload(rows, count, newest, revision, e->watcher.arg);
        return;
    }
    e->was_loaded = true;
    e->watcher.on_change(rows, count, revision, e->watcher.arg);
    pthread_mutex_lock(&e->lock);
    e->loaded = true;
    e->loaded_newest = newest;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

static void loaded(struct etcd *e)
{
    struct watch *w = &e->watch;
    struct coordination_row *rows = NEW_ARRAY(struct coordination_row, w->row_count + 1);
    const struct etcd_kv *leader = NULL;
    size_t count = 0;
    uint64_t newest = 0;
    for (size_t i = 0; i < w->row_count; i++) {
        const struct etcd_kv *kv = &w->rows[i];
        bool is_row = as_row(e, kv, &rows[count]);
        if (is_key(kv, &e->leader_key))
            leader = kv;
        if ((is_row || is_key(kv, &e->deleted_key)) && kv->mod > newest)
            newest = kv->mod;
        count += is_row;
    }
    tell_loaded(e, rows, count, newest);
    lead_on_key(e, leader);
    free(rows);
    free_rows(w);
    w->must_load = false;
    w->next_ms = 0;
    etcd_watched(e, w->load_revision);
}

static void load_failed(struct etcd *e, const char *why)
{
    struct watch *w = &e->watch;
    if (!w->told_broken && why != NULL)
        log_warn("etcd", "cannot read the rows: %s", why);
    w->told_broken = true;
    free_rows(w);
    w->next_ms = e->now_ms + RETRY_MS;
}

static void ask_page(struct etcd *e);

/* False: too many, or this is no page. */
static bool take_page(struct etcd *e, const struct etcd_answer *answer, bool *more_out)
{
    struct watch *w = &e->watch;
    struct etcd_kv *kvs;
    size_t count;
    if (etcd_decode_kvs(answer->body, &kvs, &count, more_out) != OK)
        return false;
    bool fits = w->row_count + count <= ROWS_MAX;
    if (fits) {
        w->rows = xrealloc(w->rows, (w->row_count + count + 1) * sizeof *w->rows);
        memcpy(w->rows + w->row_count, kvs, count * sizeof *kvs);
        w->row_count += count;
        free(kvs);
    } else {
        etcd_kvs_free(kvs, count);
    }
    *more_out = *more_out && count > 0;
    return fits;
}

static void page_done(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct watch *w = &e->watch;
    struct etcd_answer answer;
    bool more = false, first = w->row_count == 0;
    bool answered = single_end(e, &w->request, &answer);
    const char *why = answered ? answer.message : NULL;
    w->state = WATCH_IDLE;
    if (answered && why == NULL && first) {
        if (!etcd_saw(e, &answer, w->request.generation, w->request.newest_at_send))
            why = "the store has changed meanwhile";
        w->load_revision = answer.revision;
    }
    if (answered && why == NULL && !take_page(e, &answer, &more))
        why = "too many rows, or no rows at all";
    if (!answered || why != NULL)
        load_failed(e, why);
    else if (more)
        ask_page(e);
    else
        loaded(e);
    etcd_answer_fini(&answer);
}

static void ask_page(struct etcd *e)
{
    struct watch *w = &e->watch;
    struct buf from = { 0 };
    buf_add_slice(&from,
                  w->row_count == 0 ? buf_slice(&e->prefix) : buf_slice(&w->rows[w->row_count - 1].key));
    if (w->row_count > 0)
        buf_add_byte(&from, 0); /* the next possible key */
    etcd_encode_range(&w->request.call.body, buf_slice(&from), buf_slice(&e->prefix_end), PAGE_ROWS,
                      w->row_count == 0 ? 0 : w->load_revision);
    buf_fini(&from);
    w->state = WATCH_LOADING;
    w->request.call.on_data = NULL;
    single_start(e, &w->request, "/v3/kv/range", PAGE_CALL_MS, page_done);
}

/* ---- the stream */

/* Events of one revision. */
static void tell_revision(struct etcd *e, const struct etcd_kv *kvs, size_t count)
{
    struct coordination_row *rows = NEW_ARRAY(struct coordination_row, count);
    size_t row_count = 0;
    for (size_t i = 0; i < count; i++) {
        row_count += as_row(e, &kvs[i], &rows[row_count]);
        if (is_key(&kvs[i], &e->leader_key))
            lead_on_key(e, &kvs[i]);
    }
    e->watcher.on_change(rows, row_count, kvs[0].mod, e->watcher.arg);
    free(rows);
    etcd_watched(e, kvs[0].mod);
}

static void take_events(struct etcd *e, const struct etcd_kv *kvs, size_t count)
{
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && kvs[to].mod == kvs[from].mod; to++) {}
        if (kvs[from].mod > e->watched) /* else told before */
            tell_revision(e, kvs + from, to - from);
    }
}

static void take_line(struct etcd *e, struct slice line)
{
    struct watch *w = &e->watch;
    struct etcd_answer answer;
    struct etcd_kv *kvs;
    size_t count;
    uint64_t compacted;
    if (etcd_decode(line, &answer) != OK) {
        w->verdict = STREAM_BAD;
        snprintf(w->why, sizeof w->why, "a line that makes no sense");
        return;
    }
    if (answer.message != NULL) {
        w->verdict = STREAM_BAD;
        snprintf(w->why, sizeof w->why, "%s", answer.message);
    } else if (etcd_decode_bool(answer.body, "canceled")) {
        bool gap = etcd_decode_number(answer.body, "compact_revision", &compacted) == OK && compacted > 0;
        w->verdict = gap ? STREAM_COMPACTED : STREAM_BAD;
        snprintf(w->why, sizeof w->why, "cancelled by etcd");
    } else if (answer.cluster_id != e->cluster_id || etcd_decode_events(answer.body, &kvs, &count) != OK) {
        w->verdict = STREAM_BAD; /* the probe will tell of another cluster */
        snprintf(w->why, sizeof w->why, "an answer that does not belong here");
    } else {
        w->told_broken = false;
        take_events(e, kvs, count);
        etcd_kvs_free(kvs, count);
    }
    etcd_answer_fini(&answer);
}

static bool on_stream(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct watch *w = &e->watch;
    ptrdiff_t end;
    size_t used = 0;
    struct slice all = buf_slice(&call->answer);
    while (w->verdict == STREAM_GOOD && (end = slice_find(slice_sub(all, used, all.len), '\n')) >= 0) {
        take_line(e, slice_sub(all, used, used + (size_t)end));
        used += (size_t)end + 1;
    }
    buf_consume(&call->answer, used);
    return w->verdict == STREAM_GOOD;
}

static void stream_ended(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct watch *w = &e->watch;
    const char *why = w->verdict == STREAM_GOOD ? call->failure : w->why;
    w->request.busy = false;
    w->state = WATCH_IDLE;
    w->next_ms = e->now_ms + RETRY_MS;
    if (w->verdict == STREAM_COMPACTED) {
        log_warn("etcd", "changes after revision %" PRIu64 " are compacted away; reading all rows",
                 e->watched);
        w->must_load = true;
        w->next_ms = 0;
        return;
    }
    if (!w->told_broken && !e->down)
        log_warn("etcd", "the watch at %s has ended: %s", e->endpoints[call->endpoint],
                 why != NULL ? why : "no reason was given");
    w->told_broken = true;
    etcd_leave(e, call->endpoint, NULL);
}

static void open_stream(struct etcd *e)
{
    struct watch *w = &e->watch;
    etcd_encode_watch(&w->request.call.body, buf_slice(&e->prefix), buf_slice(&e->prefix_end),
                      e->watched + 1);
    w->state = WATCH_OPEN;
    w->verdict = STREAM_GOOD;
    w->request.call.on_data = on_stream;
    single_start(e, &w->request, "/v3/watch", 0, stream_ended);
}

/* ---- a watch that is behind: it has more to say, is dead, or there is nothing of ours to say */

static void sync_done(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct etcd_answer answer;
    if (single_end(e, &e->sync, &answer) && answer.message == NULL &&
        etcd_saw(e, &answer, e->sync.generation, e->sync.newest_at_send)) {
        e->sync_revision = answer.revision;
        etcd_want(e, answer.revision);
    }
    etcd_answer_fini(&answer);
}

void watch_chase(struct etcd *e)
{
    if (e->wanted <= e->watched || e->watch.state != WATCH_OPEN)
        return;
    if (e->now_ms - e->wanted_ms > STALL_MS) {
        log_warn("etcd", "the watch at %s brings nothing; beginning it anew",
                 e->endpoints[e->watch.request.call.endpoint]);
        e->wanted_ms = e->now_ms;
        watch_restart(e, false);
    } else if (e->now_ms - e->wanted_ms > SYNC_AFTER_MS && !e->sync.busy && e->sync_revision <= e->watched) {
        etcd_encode_put(&e->sync.call.body, buf_slice(&e->sync_key), slice_str(e->name));
        single_start(e, &e->sync, "/v3/kv/put", SHORT_CALL_MS, sync_done);
    }
}

/* ---- life */

void watch_tick(struct etcd *e)
{
    struct watch *w = &e->watch;
    if (w->state != WATCH_IDLE || e->now_ms < w->next_ms)
        return;
    if (w->must_load)
        ask_page(e);
    else
        open_stream(e);
}

void watch_restart(struct etcd *e, bool load)
{
    watch_end(e);
    e->watch.must_load = e->watch.must_load || load;
    e->watch.next_ms = 0;
}

void watch_end(struct etcd *e)
{
    if (e->watch.request.busy)
        etcd_http_cancel(e->http, &e->watch.request.call);
    e->watch.request.busy = false;
    e->watch.state = WATCH_IDLE;
    free_rows(&e->watch);
}
