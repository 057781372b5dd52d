/* SPDX-License-Identifier: Apache-2.0 */
/* DELIVER: one message into several accounts, one body. The delivery id makes it happen once an account,
 * whatever is repeated (P2).
 *
 * Nothing about a recipient refuses the others: each has its own status. A target over quota or suspended
 * still takes the message (that was asked at RCPT), a mailbox that is gone means INBOX. */
#include "storage-node/mailbox/edit/edit.h"

enum err check_deliver(const Tern__DeliverRequest *request, size_t body_len)
{
    if (request->delivery_id.len != REQUEST_ID_SIZE || request->message == NULL || request->n_targets == 0)
        return ERR_INVALID;
    if (request->n_targets > DELIVER_TARGETS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < request->n_targets; i++) {
        if (strlen(request->targets[i]->mailbox) > MAILBOX_NAME_SIZE_MAX)
            return ERR_INVALID;
    }
    TRY(incoming_check(request->message, body_len));
    return request->message->upload_id.len > 0 && body_len > 0 ? ERR_INVALID : OK;
}

/* Delivery ids begin with their time. One older than the memory of them cannot be told from a repeat; no
 * queue keeps mail that long, and to try again would not help. */
static enum err check_age(const struct apply *a, struct slice id)
{
    struct cursor c = cursor_of(id);
    uint64_t made_ms = cursor_be64(&c);
    uint64_t now_ms = a->header->time_ms;
    bool too_old = now_ms > DELIVERY_RETENTION_MS && made_ms < now_ms - DELIVERY_RETENTION_MS;
    bool too_new = made_ms > now_ms && made_ms - now_ms > CLOCK_SKEW_MAX_MS;
    return too_old || too_new ? ERR_INVALID : OK;
}

struct delivery {
    struct apply *a;
    const Tern__DeliverRequest *request;
    struct slice id;
    struct incoming in;
    struct buf summary; /* encoded once for all targets */
    bool found;         /* `in` and `summary` are set */
    uint32_t refs;      /* targets that took the body */
};

static enum err find_known(struct delivery *d, uint64_t account, Tern__DeliverResult *result)
{
    struct key key;
    key_delivery(&key, d->a->state.partition, d->id, account);
    struct kv_value value;
    TRY(state_get(&d->a->state, &key, &value));
    struct delivery_row row;
    bool good = delivery_decode(value.bytes, &row);
    kv_value_release(&value);
    if (!good)
        return state_corrupt(&d->a->state, &key);
    result->uid = row.uid;
    result->uidvalidity = row.uidvalidity;
    return OK;
}

static enum err find_message(struct delivery *d)
{
    if (d->found)
        return OK;
    TRY(incoming_find(d->a, d->request->message, &d->in));
    summary_row_encode(d->in.summary, &d->summary);
    d->found = true;
    return OK;
}

static enum err open_target(struct delivery *d, struct account_edit *account, const char *name,
                            struct mailbox_edit *m)
{
    struct apply *a = d->a;
    uint64_t id;
    if (name[0] != '\0') {
        enum err err = state_path(&a->state, account->id, slice_str(name), &id);
        if (err == OK)
            err = mailbox_edit_open(a, account, id, 0, m);
        if (err != ERR_NOT_FOUND)
            return err;
    }
    enum err err = mailbox_edit_open(a, account, account->row.inbox, 0, m);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

static void remember(struct delivery *d, uint64_t account, const Tern__DeliverResult *result)
{
    struct key key;
    key_delivery(&key, d->a->state.partition, d->id, account);
    delivery_encode(&(struct delivery_row){ result->uid, result->uidvalidity }, d->a->value);
    apply_put(d->a, &key);
}

/* A refusal of this target alone comes back in result->status; what is returned ends the entry. */
static enum err deliver_one(struct delivery *d, const Tern__DeliverTarget *target,
                            Tern__DeliverResult *result)
{
    struct apply *a = d->a;
    enum err err = find_known(d, target->account, result);
    if (err != ERR_NOT_FOUND)
        return err;
    struct account_edit account;
    err = account_open(a, target->account, &account);
    if (err == ERR_NOT_FOUND) {
        result->status = ERR_NOT_FOUND;
        return OK;
    }
    TRY(err);
    TRY(find_message(d));
    struct mailbox_edit m;
    TRY(open_target(d, &account, target->mailbox, &m));
    struct message_row message = d->in.message;
    const Tern__NewMessage *wanted = d->request->message;
    err = mailbox_keyword_mask(a, &m, wanted->keywords, wanted->n_keywords, true, &message.keywords);
    if (err == ERR_LIMIT)
        message.keywords = 0; /* a full keyword table is no reason to lose mail */
    else if (err != OK)
        goto drop;
    err = message_add(a, &m, &message, buf_slice(&d->summary), &result->uid);
    if (err == ERR_LIMIT) { /* no UID is left: nothing was added */
        result->status = ERR_LIMIT;
        mailbox_edit_drop(&m);
        return OK;
    }
    if (err != OK)
        goto drop;
    result->uidvalidity = m.row.uidvalidity;
    TRY(mailbox_edit_close(a, &m));
    account_close(a, &account);
    remember(d, target->account, result);
    d->refs++;
    return OK;
drop:
    mailbox_edit_drop(&m);
    return err;
}

static enum err deliver_all(struct delivery *d, Tern__DeliverResponse *response)
{
    struct arena *arena = d->a->state.arena;
    size_t count = d->request->n_targets;
    response->n_results = count;
    response->results = ARENA_ARRAY(arena, Tern__DeliverResult *, count);
    /* Refusals leave no delivery row: then the whole answer is remembered. */
    d->a->unremembered = true;
    for (size_t i = 0; i < count; i++) {
        response->results[i] = ARENA_NEW(arena, Tern__DeliverResult);
        tern__deliver_result__init(response->results[i]);
        TRY(deliver_one(d, d->request->targets[i], response->results[i]));
        if (response->results[i]->status != OK)
            d->a->unremembered = false;
    }
    /* A message that nobody took for good reasons (unknown, or known from before) is let go. */
    if (!d->found && d->request->message->upload_id.len > 0) {
        enum err err = incoming_find(d->a, d->request->message, &d->in);
        if (err == ERR_NOT_FOUND || err == ERR_INVALID)
            return OK;
        TRY(err);
        d->found = true;
    }
    return d->found ? incoming_take(d->a, &d->in, d->refs) : OK;
}

enum err apply_deliver(struct apply *a, const Tern__DeliverRequest *request)
{
    struct delivery d = { .a = a, .request = request, .id = slice_of_binary(request->delivery_id) };
    TRY(check_age(a, d.id));
    Tern__DeliverResponse response = TERN__DELIVER_RESPONSE__INIT;
    enum err err = deliver_all(&d, &response);
    buf_fini(&d.summary);
    TRY(err);
    apply_respond(a, &response.base);
    return OK;
}
