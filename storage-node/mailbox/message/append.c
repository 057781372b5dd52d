/* SPDX-License-Identifier: Apache-2.0 */
/* APPEND and MULTIAPPEND (RFC 3502): all messages or none. */
#include "storage-node/mailbox/edit/edit.h"

enum err check_append(const Tern__AppendRequest *request, size_t body_len)
{
    if (request->n_messages == 0)
        return ERR_INVALID;
    if (request->n_messages > APPEND_MESSAGES_MAX)
        return ERR_LIMIT;
    unsigned beside = 0;
    for (size_t i = 0; i < request->n_messages; i++) {
        TRY(incoming_check(request->messages[i], body_len));
        beside += request->messages[i]->upload_id.len == 0;
    }
    return beside == (body_len > 0) ? OK : ERR_INVALID;
}

static enum err append_one(struct apply *a, struct mailbox_edit *m, const Tern__NewMessage *request,
                           struct uidset *uids)
{
    struct incoming in;
    TRY(incoming_find(a, request, &in));
    TRY(account_check_quota(m->account, in.message.size));
    TRY(mailbox_keyword_mask(a, m, request->keywords, request->n_keywords, true, &in.message.keywords));
    TRY(incoming_take(a, &in, 1));
    struct buf summary = { 0 };
    summary_row_encode(in.summary, &summary);
    uint32_t uid;
    enum err err = message_add(a, m, &in.message, buf_slice(&summary), &uid);
    buf_fini(&summary);
    TRY(err);
    uidset_add(uids, uid);
    return OK;
}

enum err apply_append(struct apply *a, const Tern__AppendRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct mailbox_edit m;
    TRY(mailbox_edit_open(a, &account, request->mailbox, 0, &m));

    struct uidset uids = { 0 };
    enum err err = OK;
    for (size_t i = 0; err == OK && i < request->n_messages; i++)
        err = append_one(a, &m, request->messages[i], &uids);
    Tern__AppendResponse response = TERN__APPEND_RESPONSE__INIT;
    response.uidvalidity = m.row.uidvalidity;
    response.modseq = m.modseq;
    response.uids = uids_for_response(&uids, a->state.arena);
    uidset_fini(&uids);
    if (err != OK) {
        mailbox_edit_drop(&m);
        return err;
    }
    TRY(mailbox_edit_close(a, &m));
    account_close(a, &account);
    apply_respond(a, &response.base);
    return OK;
}
