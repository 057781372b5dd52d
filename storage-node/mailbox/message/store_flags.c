/* SPDX-License-Identifier: Apache-2.0 */
/* STORE (RFC 9051 6.4.6) with UNCHANGEDSINCE (RFC 7162 3.1.3), and RECENT_ADVANCE. */
#include "storage-node/mailbox/edit/edit.h"

enum err check_store_flags(const Tern__StoreFlagsRequest *request, size_t body_len)
{
    if (body_len > 0 || request->flags > MAIL_FLAGS_ALL || request->mode > TERN__STORE_MODE__STORE_REMOVE ||
        request->n_keywords > KEYWORDS_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < request->n_keywords; i++) {
        if (!keyword_is_valid(slice_str(request->keywords[i])))
            return ERR_INVALID;
    }
    return OK;
}

struct store {
    struct apply *a;
    const Tern__StoreFlagsRequest *request;
    struct mailbox_edit m;
    uint64_t keywords; /* mask of the request's */
    uint64_t before;   /* the mailbox's modseq */
    struct uidset changed, modified;
    /* What the changed ones carry now: the last one; whether others carry something else. */
    uint32_t flags_now;
    uint64_t keywords_now;
    bool differ;
};

static enum err store_one(struct store *s, uint32_t uid)
{
    struct message_row row;
    enum err err = state_message(&s->a->state, s->m.account->id, s->m.row.id, uid, &row);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err); /* the segment says it exists */
    if (s->request->set_unchanged_since && row.modseq > s->request->unchanged_since) {
        uidset_add(&s->modified, uid);
        return OK;
    }
    uint32_t flags = s->request->flags;
    uint64_t keywords = s->keywords;
    if (s->request->mode == TERN__STORE_MODE__STORE_ADD) {
        flags |= row.flags;
        keywords |= row.keywords;
    } else if (s->request->mode == TERN__STORE_MODE__STORE_REMOVE) {
        flags = row.flags & ~flags;
        keywords = row.keywords & ~keywords;
    }
    if (flags == row.flags && keywords == row.keywords)
        return OK;
    s->differ |= !uidset_is_empty(&s->changed) && (flags != s->flags_now || keywords != s->keywords_now);
    s->flags_now = flags;
    s->keywords_now = keywords;
    uidset_add(&s->changed, uid);
    return message_change_flags(s->a, &s->m, uid, &row, flags, keywords);
}

static enum err store_all(struct store *s)
{
    const Tern__StoreFlagsRequest *request = s->request;
    struct uidset wanted = { 0 }, uids = { 0 };
    enum err err;
    TRY_GOTO(uids_of_request(request->uids, &wanted), out);
    TRY_GOTO(state_uids_among(&s->a->state, request->account, &s->m.row, &wanted, &uids), out);
    if (uidset_count(&uids) > STORE_UIDS_MAX) {
        err = ERR_LIMIT;
        goto out;
    }
    bool add = request->mode != TERN__STORE_MODE__STORE_REMOVE && !uidset_is_empty(&uids);
    TRY_GOTO(mailbox_keyword_mask(s->a, &s->m, request->keywords, request->n_keywords, add, &s->keywords),
             out);
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(&uids); uidset_next(&it, &uid);)
        TRY_GOTO(store_one(s, uid), out);
out:
    uidset_fini(&wanted);
    uidset_fini(&uids);
    return err;
}

static enum err answer(struct store *s)
{
    struct arena *arena = s->a->state.arena;
    TRY(mailbox_load_keywords(s->a, &s->m));
    Tern__StoreFlagsResponse response = TERN__STORE_FLAGS_RESPONSE__INIT;
    response.modseq = s->m.modseq;
    response.before_modseq = s->before;
    response.changed_uids = uids_for_response(&s->changed, arena);
    response.modified_uids = uids_for_response(&s->modified, arena);
    response.one_flags = !uidset_is_empty(&s->changed) && !s->differ;
    if (response.one_flags) {
        response.flags = s->flags_now;
        response.keyword_mask = s->keywords_now;
    }
    response.n_keywords = s->m.keywords.count;
    response.keywords = ARENA_ARRAY(arena, char *, response.n_keywords);
    for (size_t i = 0; i < response.n_keywords; i++)
        response.keywords[i] = arena_strdup(arena, s->m.keywords.names[i]);
    apply_respond(s->a, &response.base);
    return OK;
}

enum err apply_store_flags(struct apply *a, const Tern__StoreFlagsRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct store s = { .a = a, .request = request };
    TRY(mailbox_edit_open(a, &account, request->mailbox, request->uidvalidity, &s.m));
    s.before = s.m.row.modseq;
    enum err err = store_all(&s);
    if (err == OK)
        err = answer(&s);
    uidset_fini(&s.changed);
    uidset_fini(&s.modified);
    if (err != OK) {
        mailbox_edit_drop(&s.m);
        return err;
    }
    if (s.m.modseq == 0 && !s.m.keywords_dirty) {
        mailbox_edit_drop(&s.m);
        return OK;
    }
    TRY(mailbox_edit_close(a, &s.m));
    account_close(a, &account);
    return OK;
}

enum err check_recent_advance(const Tern__RecentAdvanceRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : OK;
}

enum err apply_recent_advance(struct apply *a, const Tern__RecentAdvanceRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct mailbox_edit m;
    TRY(mailbox_edit_open(a, &account, request->mailbox, request->uidvalidity, &m));
    uint32_t recent = request->recent_uid < m.row.uidnext ? request->recent_uid : m.row.uidnext - 1;
    if (recent > m.row.recent_uid) {
        m.row.recent_uid = recent;
        TRY(mailbox_edit_close(a, &m));
    } else {
        mailbox_edit_drop(&m);
    }
    Tern__RecentAdvanceResponse response = TERN__RECENT_ADVANCE_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}
