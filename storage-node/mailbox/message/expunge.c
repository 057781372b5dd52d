/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/edit/edit.h"

enum err check_expunge(const Tern__ExpungeRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : OK;
}

static enum err expunge_all(struct apply *a, const Tern__ExpungeRequest *request, struct mailbox_edit *m,
                            const struct uidset *uids)
{
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(uids); uidset_next(&it, &uid);) {
        struct message_row row;
        enum err err = state_message(&a->state, m->account->id, m->row.id, uid, &row);
        TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
        if (request->only_deleted && (row.flags & MAIL_DELETED) == 0)
            continue;
        if (uidset_count(&m->vanished) == EXPUNGE_UIDS_MAX)
            return ERR_LIMIT;
        TRY(message_remove(a, m, uid, &row));
        TRY(body_unref(a, row.body));
    }
    return OK;
}

enum err apply_expunge(struct apply *a, const Tern__ExpungeRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct mailbox_edit m;
    TRY(mailbox_edit_open(a, &account, request->mailbox, request->uidvalidity, &m));

    struct uidset wanted = { 0 }, uids = { 0 };
    enum err err = uids_of_request(request->uids, &wanted);
    if (err == OK)
        err = state_uids_among(&a->state, request->account, &m.row, &wanted, &uids);
    if (err == OK)
        err = expunge_all(a, request, &m, &uids);
    uidset_fini(&wanted);
    uidset_fini(&uids);
    if (err != OK) {
        mailbox_edit_drop(&m);
        return err;
    }
    Tern__ExpungeResponse response = TERN__EXPUNGE_RESPONSE__INIT;
    response.modseq = m.modseq;
    response.vanished_uids = uids_for_response(&m.vanished, a->state.arena);
    if (m.modseq != 0) {
        TRY(mailbox_edit_close(a, &m));
        account_close(a, &account);
    }
    apply_respond(a, &response.base);
    return OK;
}
