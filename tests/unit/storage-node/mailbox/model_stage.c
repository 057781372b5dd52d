/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/model.h"

struct model_stage {
    ProtobufCBinaryData id;
    struct model_box *from, *to;
    uint64_t from_id, to_id;
    bool move;
    struct model_message messages[STAGED_MAX]; /* as they were when they were staged */
    size_t count;
};

static enum err stage_step(struct model *m, struct model_stage *s, uint32_t total, const struct span *span)
{
    Tern__CopyStageRequest request = TERN__COPY_STAGE_REQUEST__INIT;
    request.account = m->account;
    request.stage = s->id;
    request.total = total;
    request.from = s->from_id;
    request.to = s->to_id;
    request.move = s->move;
    request.uids = fixture_uids(m->f, span->text);
    enum err err = fixture_write(m->f, METHOD_COPY_STAGE, &request.base);
    if (err != OK)
        return err;
    FOR_SPAN(s->from, *span, msg)
    s->messages[s->count++] = *msg;
    return OK;
}

static bool same_message(const struct model_stage *s, const struct model_message *staged)
{
    for (size_t i = 0; i < s->from->count; i++) {
        const struct model_message *msg = &s->from->messages[i];
        if (msg->uid == staged->uid)
            return !msg->gone && msg->flags == staged->flags;
    }
    return false;
}

/* The commit worked: the model does the whole in one. */
static void stage_done(struct model *m, struct model_stage *s)
{
    Tern__CopyCommitResponse *r =
        fixture_unpack(m->f, &tern__copy_commit_response__descriptor, &m->f->result.response);
    assert_int_equal(r->count, s->count);
    if (s->count == 0)
        return;
    assert_true(r->first_uid > s->to->uidnext && r->first_uid < s->to->uidnext + UID_JUMP_MAX);
    for (size_t i = 0; i < s->count; i++)
        assert_true(!s->move || same_message(s, &s->messages[i]));
    for (size_t i = 0; s->move && i < s->from->count; i++) {
        for (size_t k = 0; k < s->count; k++)
            s->from->messages[i].gone |= s->from->messages[i].uid == s->messages[k].uid;
    }
    s->to->uidnext = r->first_uid;
    for (size_t i = 0; i < s->count; i++)
        model_add(s->to, s->messages[i].flags, s->messages[i].text);
    m->applied[8]++;
}

void model_staged_copy(struct model *m)
{
    struct model_stage s = {
        .id = fixture_id(m->f), .from = pick_box(m), .to = pick_box(m), .move = pick(m, 2) == 0
    };
    if (m->staging || !has_room(s.to, 50))
        return;
    s.from_id = s.from->id;
    s.to_id = s.to->id;
    m->staging = true;
    /* The ids of the boxes that are there, should one be deleted meanwhile. */
    struct span all = pick_span(m, s.from), first = all, second = all;
    first.last = all.first + (all.last - all.first) / 2;
    second.first = first.last + 1;
    snprintf(first.text, sizeof first.text, "%u:%u", first.first, first.last);
    enum err err = stage_step(m, &s, 2 * STAGED_MAX, &first);
    for (unsigned others = pick(m, 3); others > 0; others--)
        model_step(m);
    if (err == OK && second.first <= second.last && s.from->live && s.from->id == s.from_id) {
        snprintf(second.text, sizeof second.text, "%u:%u", second.first, second.last);
        err = stage_step(m, &s, 0, &second);
    }
    for (unsigned others = pick(m, 3); others > 0; others--)
        model_step(m);
    if (err == OK && pick(m, 8) > 0) {
        Tern__CopyCommitRequest request = TERN__COPY_COMMIT_REQUEST__INIT;
        request.account = m->account;
        request.stage = s.id;
        if (fixture_write(m->f, METHOD_COPY_COMMIT, &request.base) == OK)
            stage_done(m, &s);
    }
    Tern__CopyAbandonRequest request = TERN__COPY_ABANDON_REQUEST__INIT;
    request.account = m->account;
    request.stage = s.id;
    assert_int_equal(fixture_write(m->f, METHOD_COPY_ABANDON, &request.base), OK);
    m->staging = false;
}
