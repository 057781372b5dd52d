/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/queue/queue_edit.h"

/* Copied to the arena: what is decoded borrows. */
static enum err load(const struct state *s, const struct key *key, struct slice *out)
{
    struct kv_value value;
    TRY(state_get(s, key, &value));
    *out = arena_slice(s->arena, value.bytes);
    kv_value_release(&value);
    return OK;
}

/* What an item that is there cannot be without. */
static enum err load_part(const struct state *s, const struct key *key, struct slice *out)
{
    enum err err = load(s, key, out);
    return err == ERR_NOT_FOUND ? state_corrupt(s, key) : err;
}

enum err queue_item(const struct state *s, struct slice id, struct queue_item_row *out)
{
    struct key key;
    struct slice bytes;
    key_of_queue_item(&key, s->partition, KEY_QUEUE_ITEM, id);
    TRY(load(s, &key, &bytes));
    return queue_item_decode(bytes, out) ? OK : state_corrupt(s, &key);
}

enum err queue_state(const struct state *s, struct slice id, struct queue_state_row *out)
{
    struct key key;
    struct slice bytes;
    key_of_queue_item(&key, s->partition, KEY_QUEUE_STATE, id);
    TRY(load_part(s, &key, &bytes));
    return queue_state_decode(bytes, out) ? OK : state_corrupt(s, &key);
}

enum err queue_recipient(const struct state *s, struct slice id, uint32_t number,
                         struct queue_recipient_row *out)
{
    struct key key;
    struct slice bytes;
    key_queue_recipient(&key, s->partition, id, number);
    TRY(load_part(s, &key, &bytes));
    return queue_recipient_decode(bytes, out) ? OK : state_corrupt(s, &key);
}

enum err queue_totals(const struct state *s, struct queue_totals_row *out)
{
    struct key key;
    struct slice bytes;
    key_queue_totals(&key, s->partition);
    *out = (struct queue_totals_row){ 0 };
    enum err err = load(s, &key, &bytes);
    if (err != OK)
        return err == ERR_NOT_FOUND ? OK : err;
    return queue_totals_decode(bytes, out) ? OK : state_corrupt(s, &key);
}

enum err queue_next(const struct state *s, uint64_t *next_ms_out)
{
    struct key prefix, first;
    struct cursor rest;
    key_begin(&prefix, s->partition, 0, KEY_QUEUE_DUE);
    enum err err = state_first_key(s, &prefix, &first, &rest);
    *next_ms_out = err == OK ? cursor_be64(&rest) : 0;
    return err == ERR_NOT_FOUND ? OK : err;
}

/* ---- showing */

static char *text(const struct state *s, struct slice bytes)
{
    return arena_strdup(s->arena, bytes);
}

static Tern__QueueRecipient *describe_recipient(const struct state *s, uint32_t number,
                                                const struct queue_recipient_row *row)
{
    Tern__QueueRecipient *r = ARENA_NEW(s->arena, Tern__QueueRecipient);
    tern__queue_recipient__init(r);
    r->number = number;
    r->path = text(s, row->path);
    r->account = row->account;
    r->home = row->home;
    r->state = row->state;
    r->changed_ms = row->changed_ms;
    r->error = text(s, row->error);
    return r;
}

enum err queue_describe(const struct state *s, struct slice id, const struct queue_item_row *item,
                        const struct queue_state_row *state, enum queue_view view, Tern__QueueItem **out)
{
    Tern__QueueItem *q = ARENA_NEW(s->arena, Tern__QueueItem);
    tern__queue_item__init(q);
    q->item_id = binary_of(id);
    q->delivery_id = binary_of(item->delivery_id);
    q->sender = text(s, item->sender);
    q->smtputf8 = item->smtputf8;
    q->size = item->size;
    q->created_ms = item->created_ms;
    q->next_ms = state->next_ms;
    q->attempts = state->attempts;
    q->held = state->held;
    q->fence = state->fence;
    q->lease_until_ms = state->lease_until_ms;
    q->holder = text(s, state->holder);
    q->pending = state->pending;
    q->failed = state->failed;
    q->recipients = ARENA_ARRAY(s->arena, Tern__QueueRecipient *, item->recipient_count);
    for (uint32_t i = 0; i < item->recipient_count; i++) {
        struct queue_recipient_row row;
        TRY(queue_recipient(s, id, i, &row));
        if (view == QUEUE_VIEW_ALL || row.state == TERN__QUEUE_STATE__QUEUE_PENDING)
            q->recipients[q->n_recipients++] = describe_recipient(s, i, &row);
    }
    *out = q;
    return OK;
}

/* ---- changing */

enum err queue_open(struct apply *a, struct slice id, struct queue_edit *out)
{
    out->id = id;
    TRY(queue_item(&a->state, id, &out->item));
    TRY(queue_state(&a->state, id, &out->state));
    out->before = out->state;
    return OK;
}

/* When a front-end must look at it: not at all, when its lease ends, when it is due. */
static uint64_t due_ms(const struct queue_state_row *state)
{
    if (state->pending == 0 || state->held)
        return 0;
    return state->lease_until_ms != 0 ? state->lease_until_ms : state->next_ms;
}

static bool is_failed(const struct queue_state_row *state)
{
    return state->pending == 0 && state->failed > 0;
}

static void move_due(struct apply *a, struct slice id, uint64_t from_ms, uint64_t to_ms)
{
    struct key key;
    if (from_ms == to_ms)
        return;
    if (from_ms != 0) {
        key_queue_due(&key, a->state.partition, from_ms, id);
        apply_delete(a, &key);
    }
    if (to_ms != 0) {
        key_queue_due(&key, a->state.partition, to_ms, id);
        apply_put_empty(a, &key);
    }
}

static void put_totals(struct apply *a, const struct queue_totals_row *totals)
{
    struct key key;
    key_queue_totals(&key, a->state.partition);
    queue_totals_encode(totals, a->value);
    apply_put(a, &key);
}

static void put_state(struct apply *a, const struct queue_edit *e)
{
    struct key key;
    key_of_queue_item(&key, a->state.partition, KEY_QUEUE_STATE, e->id);
    queue_state_encode(&e->state, a->value);
    apply_put(a, &key);
}

enum err queue_close(struct apply *a, const struct queue_edit *e)
{
    bool held_before = e->before.held, failed_before = is_failed(&e->before);
    move_due(a, e->id, due_ms(&e->before), due_ms(&e->state));
    put_state(a, e);
    if (held_before == e->state.held && failed_before == is_failed(&e->state))
        return OK;
    struct queue_totals_row totals;
    TRY(queue_totals(&a->state, &totals));
    totals.held += (uint64_t)e->state.held - (uint64_t)held_before;
    totals.failed += (uint64_t)is_failed(&e->state) - (uint64_t)failed_before;
    put_totals(a, &totals);
    return OK;
}

enum err queue_remove(struct apply *a, const struct queue_edit *e)
{
    struct key key;
    struct queue_totals_row totals;
    TRY(queue_totals(&a->state, &totals));
    if (totals.items == 0 || totals.bytes < e->item.size)
        return ERR_CORRUPT;
    totals.items--;
    totals.bytes -= e->item.size;
    totals.held -= e->before.held;
    totals.failed -= is_failed(&e->before);
    put_totals(a, &totals);
    move_due(a, e->id, due_ms(&e->before), 0);
    for (uint32_t i = 0; i < e->item.recipient_count; i++) {
        key_queue_recipient(&key, a->state.partition, e->id, i);
        apply_delete(a, &key);
    }
    key_of_queue_item(&key, a->state.partition, KEY_QUEUE_STATE, e->id);
    apply_delete(a, &key);
    key_of_queue_item(&key, a->state.partition, KEY_QUEUE_ITEM, e->id);
    apply_delete(a, &key);
    return body_unref(a, e->item.body);
}

void queue_put_item(struct apply *a, const struct queue_edit *e)
{
    struct key key;
    key_of_queue_item(&key, a->state.partition, KEY_QUEUE_ITEM, e->id);
    queue_item_encode(&e->item, a->value);
    apply_put(a, &key);
}

enum err queue_add(struct apply *a, const struct queue_edit *e)
{
    struct queue_totals_row totals;
    TRY(queue_totals(&a->state, &totals));
    if (totals.items >= QUEUE_ITEMS_MAX || totals.bytes + e->item.size > QUEUE_BYTES_MAX)
        return ERR_LIMIT;
    totals.items++;
    totals.bytes += e->item.size;
    put_totals(a, &totals);
    queue_put_item(a, e);
    move_due(a, e->id, 0, due_ms(&e->state));
    put_state(a, e);
    return OK;
}

void queue_put_recipient(struct apply *a, struct slice id, uint32_t number,
                         const struct queue_recipient_row *row)
{
    struct key key;
    key_queue_recipient(&key, a->state.partition, id, number);
    queue_recipient_encode(row, a->value);
    apply_put(a, &key);
}
