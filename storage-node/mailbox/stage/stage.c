/* SPDX-License-Identifier: Apache-2.0 */
/* COPY_STAGE, COPY_COMMIT, COPY_ABANDON: see stage.h. */
#include "storage-node/mailbox/stage/stage.h"

static void stage_put(struct apply *a, uint64_t account, const struct stage_row *stage)
{
    struct key key;
    key_stage(&key, a->state.partition, account);
    stage_encode(stage, a->value);
    apply_put(a, &key);
}

void stage_put_due(struct apply *a, uint64_t account, struct stage_row *stage, uint64_t time_ms)
{
    struct key key;
    key_stage_due(&key, a->state.partition, stage->due_ms, account);
    apply_delete(a, &key);
    stage->due_ms = time_ms;
    key_stage_due(&key, a->state.partition, time_ms, account);
    apply_put_empty(a, &key);
    stage_put(a, account, stage);
    if (time_ms == 0)
        a->out->sweep_wanted = true;
}

static enum err load_open(struct apply *a, uint64_t account, ProtobufCBinaryData id, struct stage_row *out)
{
    enum err err = state_stage(&a->state, account, out);
    if (err == ERR_NOT_FOUND)
        return ERR_CONFLICT;
    TRY(err);
    bool same = slice_eq(slice_of_binary(id), slice_of(out->id, sizeof out->id));
    return same && out->state == STAGE_OPEN ? OK : ERR_CONFLICT;
}

/* ---- the two mailboxes of a stage */

struct stage_edit {
    struct apply *a;
    struct account_edit account;
    struct stage_row row;
    struct mailbox_edit source, other;
    struct mailbox_edit *from, *to; /* the same if it copies onto itself */
    struct keyword_bits bits;
    struct uidset uids;
};

static enum err open_mailboxes(struct stage_edit *s, uint64_t from, uint32_t from_uidvalidity, uint64_t to)
{
    s->from = &s->source;
    s->to = from == to ? &s->source : &s->other;
    TRY(mailbox_edit_open(s->a, &s->account, from, from_uidvalidity, s->from));
    return s->to == s->from ? OK : mailbox_edit_open(s->a, &s->account, to, 0, s->to);
}

static enum err close_mailboxes(struct stage_edit *s)
{
    if (s->to != s->from)
        TRY(mailbox_edit_close(s->a, s->to));
    return mailbox_edit_close(s->a, s->from);
}

/* Deliveries may have used up the gap; another session may have changed what is to move. */
static bool still_fits(const struct stage_edit *s)
{
    return s->to->row.staged_first == s->row.first_uid && s->to->row.uidnext <= s->row.first_uid &&
           s->account.row.modseq < s->row.first_modseq &&
           (!s->row.move || (s->from->row.leaving == LEAVING_MARKED && !s->from->row.leaving_changed));
}

/* ---- steps */

enum err check_copy_stage(const Tern__CopyStageRequest *request, size_t body_len)
{
    return body_len > 0 || request->stage.len != REQUEST_ID_SIZE ? ERR_INVALID : OK;
}

/* Longer than a fail-over: who lives, but could not go on, is not to begin again. It would do no harm. */
static bool is_idle(const struct stage_row *row, uint64_t time_ms)
{
    return row->state == STAGE_OPEN && time_ms >= row->due_ms + STAGE_FENCE_MS;
}

static enum err begin_stage(struct stage_edit *s, const Tern__CopyStageRequest *request)
{
    struct stage_row *row = &s->row;
    enum err err = state_stage(&s->a->state, request->account, row);
    if (err == OK) {
        s->a->out->sweep_wanted = true; /* it may have ended, and be what the sweep is at */
        s->a->idle_stage = is_idle(row, s->a->header->time_ms) ? request->account : 0;
    }
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_IN_USE : err;
    TRY(open_mailboxes(s, request->from, request->from_uidvalidity, request->to));
    uint64_t gap = STAGE_UID_GAP + request->total / STAGE_UID_GAP_SHARE;
    uint64_t first = ((s->to->row.uidnext + gap) / SEGMENT_UIDS + 1) * SEGMENT_UIDS;
    uint64_t last = first + request->total - 1;
    if (last > UID_LAST)
        return ERR_LIMIT;
    *row = (struct stage_row){
        .state = STAGE_OPEN,
        .move = request->move,
        .from = request->from,
        .to = request->to,
        .first_uid = (uint32_t)first,
        .next_uid = (uint32_t)first,
        .last_uid = (uint32_t)last,
        .first_modseq = s->account.row.modseq + STAGE_MODSEQ_GAP,
    };
    row->modseq = row->first_modseq;
    memcpy(row->id, request->stage.data, sizeof row->id);
    s->to->row.staged_first = row->first_uid;
    s->to->row.staged_last = row->last_uid;
    if (row->move) {
        s->from->row.leaving = LEAVING_MARKED;
        s->from->row.leaving_changed = false;
    }
    return OK;
}

static enum err go_on(struct stage_edit *s, const Tern__CopyStageRequest *request)
{
    TRY(load_open(s->a, request->account, request->stage, &s->row));
    if (s->row.from != request->from || s->row.to != request->to || s->row.move != request->move)
        return ERR_INVALID;
    TRY(open_mailboxes(s, request->from, request->from_uidvalidity, request->to));
    s->row.modseq++;
    return still_fits(s) ? OK : ERR_CONFLICT;
}

static enum err find_uids(struct stage_edit *s, ProtobufCBinaryData wanted_bytes)
{
    struct uidset wanted = { 0 };
    enum err err = uids_of_request(wanted_bytes, &wanted);
    if (err == OK)
        err = state_uids_among(&s->a->state, s->account.id, &s->from->row, &wanted, &s->uids);
    uidset_fini(&wanted);
    TRY(err);
    uint64_t count = uidset_count(&s->uids);
    if (count > COPY_UIDS_MAX)
        return ERR_LIMIT;
    bool in_order = count == 0 || uidset_min(&s->uids) > s->row.source_uid;
    return in_order && count <= (uint64_t)s->row.last_uid - s->row.next_uid + 1 ? OK : ERR_INVALID;
}

static enum err stage_one(struct stage_edit *s, uint32_t uid)
{
    struct apply *a = s->a;
    struct stage_row *stage = &s->row;
    struct message_row row;
    enum err err = state_message(&a->state, s->account.id, stage->from, uid, &row);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    if (!stage->move)
        TRY(account_check_quota(&s->account, stage->size + row.size));
    struct key key;
    key_of_uid(&key, a->state.partition, s->account.id, KEY_SUMMARY, stage->from, uid);
    struct kv_value summary;
    err = state_get(&a->state, &key, &summary);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    row.keywords = keyword_bits_translate(&s->bits, s->from, s->to, row.keywords);
    row.modseq = stage->modseq;
    err = message_stage(a, s->to, &row, summary.bytes, stage->next_uid);
    kv_value_release(&summary);
    TRY(err);
    stage->next_uid++;
    stage->source_uid = uid;
    stage->messages++;
    stage->unseen += (row.flags & MAIL_SEEN) == 0;
    stage->deleted += (row.flags & MAIL_DELETED) != 0;
    stage->size += row.size;
    return body_ref(a, row.body);
}

static enum err stage_all(struct stage_edit *s)
{
    TRY(mailbox_load_keywords(s->a, s->from));
    TRY(mailbox_load_keywords(s->a, s->to));
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(&s->uids); uidset_next(&it, &uid);)
        TRY(stage_one(s, uid));
    /* Apart from the copies: in one mailbox the two would take turns at the segment that is held. */
    for (struct uidset_iter it = uidset_iter(&s->uids); s->row.move && uidset_next(&it, &uid);)
        TRY(message_mark_leaving(s->a, s->from, uid));
    return OK;
}

/* When the account's modseq is used by new keywords of the target, so is its row. */
static enum err finish_step(struct stage_edit *s)
{
    struct apply *a = s->a;
    TRY(close_mailboxes(s));
    account_close(a, &s->account);
    uint64_t now_ms = a->header->time_ms;
    if (now_ms >= s->row.due_ms + STAGE_TOUCH_MS)
        stage_put_due(a, s->account.id, &s->row, now_ms);
    else
        stage_put(a, s->account.id, &s->row);
    Tern__CopyStageResponse response = TERN__COPY_STAGE_RESPONSE__INIT;
    response.from_uids = uids_for_response(&s->uids, a->state.arena);
    apply_respond(a, &response.base);
    return OK;
}

static struct stage_edit *edit_new(struct apply *a)
{
    struct stage_edit *s = ARENA_NEW(a->state.arena, struct stage_edit);
    s->a = a;
    return s;
}

static void edit_drop(struct stage_edit *s)
{
    mailbox_edit_drop(&s->source);
    mailbox_edit_drop(&s->other);
    uidset_fini(&s->uids);
}

enum err apply_copy_stage(struct apply *a, const Tern__CopyStageRequest *request)
{
    struct stage_edit *s = edit_new(a);
    TRY(account_open(a, request->account, &s->account));
    enum err err = request->total > 0 ? begin_stage(s, request) : go_on(s, request);
    if (err == OK)
        err = find_uids(s, request->uids);
    if (err == OK)
        err = stage_all(s);
    if (err == OK)
        err = finish_step(s);
    edit_drop(s);
    return err;
}

/* ---- commit */

enum err check_copy_commit(const Tern__CopyCommitRequest *request, size_t body_len)
{
    return body_len > 0 || request->stage.len != REQUEST_ID_SIZE ? ERR_INVALID : OK;
}

/* In the source those messages are gone from here on. Which they were is not written down: whoever knew the
 * mailbox before compares with what exists (the floor passes him). */
static enum err leave(struct stage_edit *s)
{
    struct mailbox_edit *from = s->from;
    TRY(mailbox_count_stage(from, &s->row, false));
    from->row.leaving = LEAVING_GONE;
    from->row.vanished_floor = mailbox_touch(from);
    from->row.vanished_count = 0; /* the rows below the floor are swept */
    return OK;
}

static enum err arrive(struct stage_edit *s)
{
    struct mailbox_edit *to = s->to;
    if (!s->row.move) {
        TRY(account_check_quota(&s->account, s->row.size));
        s->account.row.message_count += s->row.messages;
        s->account.row.used_bytes += s->row.size;
    }
    s->account.row.modseq = s->row.modseq;
    TRY(mailbox_count_stage(to, &s->row, true));
    to->row.uidnext = s->row.next_uid;
    to->row.staged_first = to->row.staged_last = 0;
    mailbox_touch(to);
    return OK;
}

static void end_stage(struct stage_edit *s)
{
    struct apply *a = s->a;
    if (s->row.move) {
        s->row.state = STAGE_MOVED;
        stage_put_due(a, s->account.id, &s->row, 0);
        return;
    }
    struct key key;
    key_stage_due(&key, a->state.partition, s->row.due_ms, s->account.id);
    apply_delete(a, &key);
    key_stage(&key, a->state.partition, s->account.id);
    apply_delete(a, &key);
}

static enum err commit(struct stage_edit *s)
{
    TRY(open_mailboxes(s, s->row.from, 0, s->row.to));
    if (!still_fits(s))
        return ERR_CONFLICT;
    TRY(arrive(s));
    if (s->row.move)
        TRY(leave(s));
    Tern__CopyCommitResponse response = TERN__COPY_COMMIT_RESPONSE__INIT;
    response.uidvalidity = s->to->row.uidvalidity;
    response.first_uid = s->row.first_uid;
    response.count = s->row.messages;
    response.modseq = s->to->modseq;
    TRY(close_mailboxes(s));
    account_close(s->a, &s->account);
    end_stage(s);
    apply_respond(s->a, &response.base);
    return OK;
}

static void give_up(struct apply *a, uint64_t account, struct stage_row *stage)
{
    stage->state = STAGE_ABANDONED;
    stage_put_due(a, account, stage, 0);
}

enum err apply_copy_commit(struct apply *a, const Tern__CopyCommitRequest *request)
{
    struct stage_edit *s = edit_new(a);
    TRY(account_open(a, request->account, &s->account));
    TRY(load_open(a, request->account, request->stage, &s->row));
    if (s->row.messages == 0) {
        Tern__CopyCommitResponse response = TERN__COPY_COMMIT_RESPONSE__INIT;
        give_up(a, request->account, &s->row);
        apply_respond(a, &response.base);
        return OK;
    }
    enum err err = commit(s);
    edit_drop(s);
    return err;
}

/* ---- giving up */

enum err check_copy_abandon(const Tern__CopyAbandonRequest *request, size_t body_len)
{
    return body_len > 0 || request->stage.len != REQUEST_ID_SIZE ? ERR_INVALID : OK;
}

enum err stage_fence(struct apply *a, uint64_t account)
{
    struct stage_row stage;
    TRY(state_stage(&a->state, account, &stage));
    give_up(a, account, &stage);
    return OK;
}

enum err apply_copy_abandon(struct apply *a, const Tern__CopyAbandonRequest *request)
{
    struct account_edit account;
    struct stage_row stage;
    TRY(account_open(a, request->account, &account));
    enum err err = load_open(a, request->account, request->stage, &stage);
    if (err == OK)
        give_up(a, request->account, &stage);
    else if (err != ERR_CONFLICT) /* no stage of that name: nothing to give up */
        return err;
    Tern__CopyAbandonResponse response = TERN__COPY_ABANDON_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}
