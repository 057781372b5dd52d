/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and MOVE (RFC 6851) inside one account: all or none. A copy is new rows and one more reference to the
 * same body. */
#include "storage-node/mailbox/edit/edit.h"

enum err check_copy(const Tern__CopyRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : OK;
}

struct copy {
    struct apply *a;
    bool move;
    struct mailbox_edit source, other;
    struct mailbox_edit *from, *to; /* the same if it copies onto itself */
    struct uidset uids, to_uids;
    struct keyword_bits bits;
};

static enum err copy_one(struct copy *c, uint32_t uid)
{
    struct apply *a = c->a;
    uint64_t account = c->from->account->id;
    struct message_row row;
    enum err err = state_message(&a->state, account, c->from->row.id, uid, &row);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    if (!c->move)
        TRY(account_check_quota(c->from->account, row.size));
    struct key key;
    key_of_uid(&key, a->state.partition, account, KEY_SUMMARY, c->from->row.id, uid);
    struct kv_value summary;
    err = state_get(&a->state, &key, &summary);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);

    struct message_row copy = row;
    copy.keywords = keyword_bits_translate(&c->bits, c->from, c->to, row.keywords);
    uint32_t to_uid;
    err = message_add(a, c->to, &copy, summary.bytes, &to_uid);
    kv_value_release(&summary);
    TRY(err);
    uidset_add(&c->to_uids, to_uid);
    return c->move ? message_remove(a, c->from, uid, &row) : body_ref(a, row.body);
}

static enum err copy_all(struct copy *c, ProtobufCBinaryData wanted_bytes)
{
    struct uidset wanted = { 0 };
    enum err err = uids_of_request(wanted_bytes, &wanted);
    if (err == OK)
        err = state_uids_among(&c->a->state, c->from->account->id, &c->from->row, &wanted, &c->uids);
    uidset_fini(&wanted);
    TRY(err);
    if (uidset_count(&c->uids) > COPY_UIDS_MAX)
        return ERR_LIMIT;
    TRY(mailbox_load_keywords(c->a, c->from));
    TRY(mailbox_load_keywords(c->a, c->to));
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(&c->uids); uidset_next(&it, &uid);)
        TRY(copy_one(c, uid));
    return OK;
}

static enum err finish(struct copy *c)
{
    Tern__CopyResponse response = TERN__COPY_RESPONSE__INIT;
    response.uidvalidity = c->to->row.uidvalidity;
    response.modseq = c->to->modseq;
    response.from_uids = uids_for_response(&c->uids, c->a->state.arena);
    response.to_uids = uids_for_response(&c->to_uids, c->a->state.arena);
    apply_respond(c->a, &response.base);
    if (uidset_is_empty(&c->uids))
        return OK;
    if (c->to != c->from)
        TRY(mailbox_edit_close(c->a, c->to));
    if (c->move || c->to == c->from)
        TRY(mailbox_edit_close(c->a, c->from));
    account_close(c->a, c->from->account);
    return OK;
}

enum err apply_copy(struct apply *a, const Tern__CopyRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct copy *c = ARENA_NEW(a->state.arena, struct copy);
    c->a = a;
    c->move = request->move;
    c->from = &c->source;
    c->to = request->from == request->to ? &c->source : &c->other;
    TRY(mailbox_edit_open(a, &account, request->from, request->from_uidvalidity, c->from));
    if (c->to != c->from)
        TRY(mailbox_edit_open(a, &account, request->to, 0, c->to));
    enum err err = copy_all(c, request->uids);
    if (err == OK)
        err = finish(c);
    mailbox_edit_drop(&c->source);
    mailbox_edit_drop(&c->other);
    uidset_fini(&c->uids);
    uidset_fini(&c->to_uids);
    return err;
}
