/* SPDX-License-Identifier: Apache-2.0 */
/* CHANGES: all that happened to a mailbox since a modseq; what NOOP, IDLE, QRESYNC and the end of every IMAP
 * command ask. */
#include "lib/mail/row.h"
#include "storage-node/mailbox/message/change_scan.h"
#include "storage-node/mailbox/method.h"
#include "storage-node/mailbox/rows/row_walk.h"

enum { PAGE_ROWS = 20000 };

enum err check_changes(const Tern__ChangesRequest *request, size_t body_len)
{
    return OK;
}

static enum err add_rows(struct read_ctx *r, uint64_t account, uint64_t mailbox, const struct uidset *uids)
{
    if (uidset_is_empty(uids))
        return OK;
    struct recovered_row recovered;
    TRY(state_recovered(&r->state, &recovered));
    struct row_walk *walk = ARENA_NEW(r->state.arena, struct row_walk);
    row_walk_begin(walk, &r->state, account, KEY_MESSAGE, mailbox, uidset_min(uids), uidset_max(uids));
    enum err err = OK;
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(uids); err == OK && uidset_next(&it, &uid);) {
        struct message_row message;
        err = row_walk_message(walk, uid, &message);
        if (err != OK)
            break;
        struct row row = {
            .uid = uid,
            .modseq = message.modseq,
            .flags = message.flags,
            .keywords = message.keywords,
            .internaldate_ms = message.internaldate_ms,
            .internaldate_zone = message.internaldate_zone,
            .size = message.size,
            .body_id = recovered_body_number(&recovered, message.body),
        };
        row_encode(&row, r->body);
    }
    row_walk_end(walk);
    return err;
}

/* What is gone: from the VANISHED rows, or, where they do not reach back, what the caller knew less what
 * exists. */
static enum err find_vanished(struct read_ctx *r, const Tern__ChangesRequest *request,
                              const struct mailbox_row *mailbox, bool floor_passed, uint64_t until,
                              struct uidset *out)
{
    if (!floor_passed || request->known_uids.len == 0)
        return change_scan_vanished(&r->state, request->account, request->mailbox, request->since_modseq,
                                    until, out);
    struct uidset known = { 0 }, existing = { 0 };
    enum err err = uids_of_request(request->known_uids, &known);
    if (err == OK)
        err = state_uids_among(&r->state, request->account, mailbox, &known, &existing);
    if (err == OK)
        uidset_subtract(&known, &existing, out);
    uidset_fini(&known);
    uidset_fini(&existing);
    return err;
}

static enum err add_keywords(struct read_ctx *r, const Tern__ChangesRequest *request,
                             Tern__ChangesResponse *response)
{
    struct keywords_row *keywords = ARENA_NEW(r->state.arena, struct keywords_row);
    TRY(state_keywords(&r->state, request->account, request->mailbox, keywords));
    response->keyword_count = keywords->count;
    if (keywords->modseq <= request->since_modseq)
        return OK;
    response->n_keywords = keywords->count;
    response->keywords = ARENA_ARRAY(r->state.arena, char *, keywords->count);
    for (uint8_t i = 0; i < keywords->count; i++)
        response->keywords[i] = arena_strdup(r->state.arena, keywords->names[i]);
    return OK;
}

enum err read_changes(struct read_ctx *r, const Tern__ChangesRequest *request)
{
    struct counters_row counters;
    struct mailbox_row mailbox;
    TRY(state_counters(&r->state, request->account, &counters));
    TRY(state_mailbox_open(&r->state, request->account, request->mailbox, request->uidvalidity, &mailbox));
    Tern__ChangesResponse response = TERN__CHANGES_RESPONSE__INIT;
    response.modseq = response.mailbox_modseq = mailbox.modseq;
    response.uidnext = mailbox.uidnext;
    response.floor_passed = request->since_modseq < mailbox.vanished_floor;
    TRY(add_keywords(r, request, &response));
    if (request->since_modseq >= mailbox.modseq) {
        read_respond(r, &response.base);
        return OK;
    }

    struct uidset changed = { 0 }, vanished = { 0 };
    uint64_t until;
    enum err err = change_scan_page(&r->state, request->account, &mailbox, request->since_modseq, PAGE_ROWS,
                                    &changed, &until);
    if (err == OK)
        err = find_vanished(r, request, &mailbox, response.floor_passed, until, &vanished);
    if (err == OK)
        err = add_rows(r, request->account, mailbox.id, &changed);
    response.vanished_uids = uids_for_response(&vanished, r->state.arena);
    if (until != UINT64_MAX)
        response.modseq = until;
    uidset_fini(&changed);
    uidset_fini(&vanished);
    TRY(err);
    read_respond(r, &response.base);
    return OK;
}
