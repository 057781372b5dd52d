/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/call.h"
#include "tests/sim/cluster/queue.h"
#include "tests/sim/cluster/watch.h"

enum { RETRY_MS = 250, RETRY_MORE_MS = 900, BACKOFF_MS = 120, DEADLINE_MS = 300, DEADLINE_MORE_MS = 4000 };
enum { GIVE_UP_PER_MILLE = 60, RENAME_PER_MILLE = 200, QUEUED_PER_MILLE = 80, PATIENCE_MS = 1500 };

static bool is_read(const struct op *op)
{
    return op->kind == OP_FETCH || op->kind == OP_OPEN || op->kind == OP_LIST || op->kind >= OP_QUEUE_LIST;
}

static bool is_no_answer(enum err status)
{
    enum err_class class = err_class(status);
    return class == ERR_CLASS_TEMPORARY || class == ERR_CLASS_ROUTING || class == ERR_CLASS_IN_DOUBT ||
           status == ERR_NO_SPACE;
}

/* The answer to an earlier attempt must be the same (P2). Not that to a chunk of an upload, of which only the
 * newest is known: whoever goes on to the next takes no late answer. */
static bool is_contradicted(const struct op *op, const struct call *a)
{
    bool same_id = memcmp(a->base.request_id, op->request_id, REQUEST_ID_SIZE) == 0;
    if (op->kind == OP_QUEUE_LEASE && (op->queued_count == 0 || !mailq_leases(buf_slice(&a->response))))
        return false; /* nothing happened, and that is not remembered */
    if (!same_id || op->renamed || op->refused || is_read(op) || op->kind == OP_UPLOAD ||
        is_no_answer(a->status))
        return false;
    return a->status != op->status || !slice_eq(buf_slice(&a->response), buf_slice(&op->response));
}

/* ---- answers */

static struct session *session_of(struct clients *clients, const struct op *op)
{
    for (int i = 0; i < clients->session_count; i++) {
        if (clients->sessions[i].op == op)
            return &clients->sessions[i];
    }
    return NULL;
}

static void finish_op(struct op *op)
{
    struct cluster *c = op->c;
    struct session *s = session_of(c->clients, op);
    op->done = true;
    op->ended = c->now;
    c->totals.acked += !op->refused && !is_read(op);
    c->totals.refused += op->refused;
    c->totals.reads += is_read(op) && !op->refused;
    if (!op->refused && !is_read(op))
        watches_answered(op);
    if (op->kind == OP_QUEUE_PUT && op->refused)
        mailq_put_refused(op, s);
    if (op->kind == OP_DELIVER && op->item != NULL && !op->refused)
        mailq_delivered(op);
    if (s == NULL)
        return;
    s->next_at = c->now + cluster_below(c, 2 * c->clients->think_ns);
    if (op->kind == OP_CREATE || op->kind == OP_LIST)
        s->next_at = c->now;
    if (!op->refused && c->clients->finishing && op->kind == OP_FETCH)
        op->targets[0]->boxes[op->box].read_at_end |= op->begun >= c->clients->finish_at;
}

bool clients_hear_directors(const struct cluster *c, int frontend)
{
    bool hears = c->calm;
    for (int d = 0; d < directors.count; d++)
        hears |= c->cut_until[end_of_director(d)][end_of_frontend(frontend)] <= c->now;
    return hears;
}

/* Nothing is known yet, or nothing happened. A client may give up then: what was refused every time must
 * never appear. */
static void take_no_answer(struct op *op, const struct call *a)
{
    struct cluster *c = op->c;
    int *guess = &c->clients->guess[a->frontend][op->partition];
    op->doubt |= err_class(a->status) == ERR_CLASS_IN_DOUBT;
    if (op->left)
        return;
    if (a->status != ERR_BUSY && a->slot == *guess && clients_hear_directors(c, a->frontend))
        *guess = -1;
    uint64_t again = c->now + cluster_below(c, BACKOFF_MS * MS);
    if (again < op->retry_at)
        op->retry_at = again;
    session_of(c->clients, op)->next_at = op->retry_at;
    if (op->open == 0 && !op->doubt && !c->calm && cluster_chance(c, GIVE_UP_PER_MILLE) &&
        op->kind != OP_CREATE && op->kind != OP_LIST) {
        op->refused = true;
        op->status = a->status;
        finish_op(op);
    }
}

/* An item that somebody else has done. */
static bool may_be_gone(const struct op *op)
{
    return op->kind == OP_QUEUE_BODY || mailq_is_change(op);
}

static void on_answer(struct call *a)
{
    struct cluster *c = a->c;
    struct op *op = a->arg;
    bool same_id = memcmp(a->base.request_id, op->request_id, REQUEST_ID_SIZE) == 0;
    op->open--;
    if (op->kind == OP_QUEUE_PUT && a->status == OK)
        mailq_put_answered(op, (int)a->base.partition);
    if (!op->done && is_no_answer(a->status)) {
        take_no_answer(op, a);
    } else if (op->done && is_contradicted(op, a)) {
        cluster_fail(c, "%s: a repeated %s got another answer (P2): %s after %s", op->targets[0]->address,
                     method_name(op_method(op)), err_text(a->status), err_text(op->status));
    } else if (!op->done && (same_id || op->kind == OP_DELIVER || op->kind == OP_QUEUE_PUT)) {
        op->status = a->status;
        c->clients->guess[a->frontend][op->partition] = a->slot;
        if (a->status != OK && !(a->status == ERR_NOT_FOUND && may_be_gone(op)))
            cluster_fail(c, "%s: %s was refused: %s", op->targets[0]->address, method_name(op_method(op)),
                         err_text(a->status));
        else if (a->status == OK)
            op_take(op, buf_slice(&a->response), buf_slice(&a->bytes));
        buf_add_slice(&op->response, buf_slice(&a->response));
        finish_op(op);
    }
}

/* ---- requests */

static int pick_slot(struct cluster *c, struct op *op)
{
    int *guess = &c->clients->guess[op->frontend][op->partition];
    if (clients_hear_directors(c, op->frontend) && (*guess < 0 || cluster_chance(c, 30)))
        *guess = truth_guess(c, op->partition);
    if (*guess < 0 || cluster_chance(c, 100))
        return (int)cluster_below(c, (uint64_t)c->slots);
    return *guess;
}

static void send(struct op *op)
{
    struct cluster *c = op->c;
    op->retry_at = c->now + RETRY_MS * MS + cluster_below(c, RETRY_MORE_MS * MS);
    bool named = op->kind == OP_DELIVER || op->kind == OP_QUEUE_PUT;
    if (op->open > 0 && named && cluster_chance(c, RENAME_PER_MILLE)) {
        op_random_id(op, op->request_id); /* another front-end, which knows the delivery id only */
        op->renamed = true;
    }
    if (op->kind == OP_QUEUE_PUT)
        mailq_put_sent(op);
    if (op->open > 0 && cluster_chance(c, 300))
        op->frontend = (int)cluster_below(c, FRONTENDS);
    c->totals.repeated += op->open > 0;
    op->open++;
    int slot = pick_slot(c, op);
    struct call *a =
        call_new(c, op->frontend, slot, op->partition, DEADLINE_MS + cluster_below(c, DEADLINE_MORE_MS));
    a->arg = op;
    a->answered = on_answer;
    a->adds_mail = op_adds_mail(op);
    a->base.method = op_method(op);
    a->base.kind = is_read(op) ? METHOD_READ : METHOD_WRITE;
    memcpy(a->base.request_id, op->request_id, REQUEST_ID_SIZE);
    buf_add_slice(&a->request, buf_slice(&op->request));
    buf_add_slice(&a->body, buf_slice(&op->body));
    call_send(a);
}

/* ---- sessions */

static enum op_kind next_kind(struct cluster *c, const struct session *s)
{
    static const enum op_kind kinds[] = { OP_DELIVER, OP_DELIVER, OP_DELIVER, OP_APPEND, OP_UPLOAD,
                                          OP_STORE,   OP_STORE,   OP_EXPUNGE, OP_COPY,   OP_FETCH,
                                          OP_FETCH,   OP_FETCH,   OP_FETCH,   OP_OPEN };
    if (s->account->id == 0)
        return OP_CREATE;
    if (!s->account->ready)
        return OP_LIST;
    return kinds[cluster_below(c, sizeof kinds / sizeof kinds[0])];
}

struct op *op_new(struct cluster *c, struct session *s, enum op_kind kind)
{
    struct op *op = NEW(struct op);
    op->c = c;
    op->kind = kind;
    op->frontend = cluster_chance(c, 900) ? s->frontend : (int)cluster_below(c, FRONTENDS);
    op->targets[0] = s->account;
    op->target_count = 1;
    op->partition = s->account->partition;
    op->box = (int)cluster_below(c, BOXES);
    op->next = c->clients->ops;
    c->clients->ops = op;
    return op;
}

static void begin(struct cluster *c, struct session *s, struct op *op)
{
    if (!op_make(op)) {
        op->kind = OP_FETCH;
        op_make(op);
    }
    op->begun = c->now;
    s->op = op;
    send(op);
    s->next_at = op->retry_at;
}

/* The next chunk of an upload, and the append behind the last. */
static struct op *continue_upload(struct cluster *c, struct session *s)
{
    struct op *last = s->op;
    if (last == NULL || last->kind != OP_UPLOAD || last->refused)
        return NULL;
    struct op *op = op_new(c, s, last->chunk + 1 < last->chunks ? OP_UPLOAD : OP_APPEND);
    memcpy(op->named_id, last->named_id, REQUEST_ID_SIZE);
    op->token = last->token;
    op->chunk = last->chunk + 1;
    op->chunks = last->chunks;
    return op;
}

/* The last reads: whose turn is it? -1: nobody's. */
static int unread(const struct account *a)
{
    for (int b = 0; b < BOXES; b++) {
        if (!a->boxes[b].read_at_end)
            return b;
    }
    return -1;
}

static void run_worker(struct cluster *c, struct session *s)
{
    struct op *op = mailq_next(c, s);
    if (op == NULL)
        s->next_at = c->clients->finishing && mailq_is_empty(c) ? UINT64_MAX : c->now + 50 * MS;
    else
        begin(c, s, op);
}

/* Its home has not answered for long: the queue takes it, or the worker tries it later. */
static bool loses_patience(const struct cluster *c, const struct session *s)
{
    return c->clients->queueing && s->op->kind == OP_DELIVER && c->now > s->op->begun + PATIENCE_MS * MS;
}

static void run_session(struct cluster *c, struct session *s)
{
    if (s->op != NULL && !s->op->done && loses_patience(c, s)) {
        s->op->left = true;
        if (s->worker)
            run_worker(c, s);
        else
            begin(c, s, mailq_put(c, s, s->op));
        return;
    }
    if (s->op != NULL && !s->op->done) {
        send(s->op);
        s->next_at = s->op->retry_at;
        return;
    }
    if (s->worker) {
        run_worker(c, s);
        return;
    }
    if (!s->account->ready && !s->first) {
        s->next_at = c->now + 50 * MS;
        return;
    }
    struct op *op = continue_upload(c, s);
    if (op == NULL && c->clients->finishing && s->account->ready) {
        if (!mailq_is_empty(c)) { /* the last reads are to see what it delivers */
            s->next_at = c->now + 50 * MS;
            return;
        }
        int box = s->first ? unread(s->account) : -1;
        if (box < 0) {
            s->next_at = UINT64_MAX;
            return;
        }
        op = op_new(c, s, OP_FETCH);
        op->box = box;
    }
    if (op == NULL && s->account->ready && c->clients->queueing && cluster_chance(c, QUEUED_PER_MILLE))
        op = mailq_put(c, s, NULL);
    if (op == NULL)
        op = op_new(c, s, next_kind(c, s));
    begin(c, s, op);
}

void clients_run(struct cluster *c)
{
    for (int i = 0; i < c->clients->session_count && !c->failed; i++) {
        if (c->clients->sessions[i].next_at <= c->now)
            run_session(c, &c->clients->sessions[i]);
    }
}

uint64_t clients_next(const struct cluster *c)
{
    uint64_t at = UINT64_MAX;
    for (int i = 0; i < c->clients->session_count; i++) {
        if (c->clients->sessions[i].next_at < at)
            at = c->clients->sessions[i].next_at;
    }
    return at;
}

bool clients_idle(const struct cluster *c)
{
    for (int i = 0; i < c->clients->session_count; i++) {
        const struct op *op = c->clients->sessions[i].op;
        if (op != NULL && !op->done && !op->left)
            return false;
    }
    return true;
}

void clients_finish(struct cluster *c)
{
    c->clients->finishing = true;
    c->clients->finish_at = c->now;
    for (int i = 0; i < c->clients->session_count; i++) {
        struct session *s = &c->clients->sessions[i];
        if (s->op == NULL || s->op->done)
            s->next_at = c->now;
    }
}

bool clients_finished(const struct cluster *c)
{
    for (int i = 0; i < c->clients->account_count; i++) {
        if (!c->clients->accounts[i].ready || unread(&c->clients->accounts[i]) >= 0)
            return false;
    }
    return clients_idle(c) && watches_idle(c) && mailq_is_empty(c);
}
