/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/model.h"

#include <string.h>

static size_t live_count(const struct model_box *box)
{
    size_t count = 0;
    for (size_t i = 0; i < box->count; i++)
        count += !box->messages[i].gone;
    return count;
}

static const char *session_uids(struct model *m, const struct model_box *box)
{
    struct uidset set = { 0 };
    struct buf text = { 0 };
    for (size_t i = 0; i < box->count; i++) {
        if (box->session_flags[box->messages[i].uid] != 0xff)
            uidset_add(&set, box->messages[i].uid);
    }
    uidset_format(&set, &text);
    const char *out = arena_strdup(&m->f->arena, buf_slice(&text));
    buf_fini(&text);
    uidset_fini(&set);
    return out;
}

static void session_sync(struct model *m, struct model_box *box)
{
    for (;;) {
        Tern__ChangesResponse *c = changes(m->f, m->account, box->id, box->session_modseq, NULL);
        if (c->floor_passed) /* a large move: compare */
            c = changes(m->f, m->account, box->id, box->session_modseq, session_uids(m, box));
        struct uidset vanished = { 0 };
        struct cursor bytes = cursor_of(slice_of(c->vanished_uids.data, c->vanished_uids.len));
        if (c->vanished_uids.len > 0)
            assert_int_equal(uidset_decode(&bytes, &vanished), OK);
        uint32_t uid;
        for (struct uidset_iter it = uidset_iter(&vanished); uidset_next(&it, &uid);) {
            box->session_count -= box->session_flags[uid] != 0xff;
            box->session_flags[uid] = 0xff;
        }
        uidset_fini(&vanished);
        struct cursor rows = cursor_of(buf_slice(&m->f->rows));
        for (struct row row; row_next(&rows, &row) == OK;) {
            assert_true(row.modseq > box->session_modseq && row.modseq <= c->modseq);
            box->session_count += box->session_flags[row.uid] == 0xff;
            box->session_flags[row.uid] = (uint8_t)row.flags;
        }
        assert_true(c->modseq >= box->session_modseq);
        box->session_modseq = c->modseq;
        if (c->modseq == c->mailbox_modseq)
            return;
    }
}

static void check_session(const struct model_box *box)
{
    assert_int_equal(box->session_count, live_count(box));
    for (size_t i = 0; i < box->count; i++) {
        const struct model_message *msg = &box->messages[i];
        assert_int_equal(box->session_flags[msg->uid], msg->gone ? 0xff : msg->flags);
    }
}

static void check_mailbox(struct model *m, struct model_box *box)
{
    Tern__Mailbox *row = open_mailbox(m->f, m->account, box->name);
    Tern__MailboxOpenResponse *opened =
        fixture_unpack(m->f, &tern__mailbox_open_response__descriptor, &m->f->response);
    uint32_t unseen = 0, deleted = 0, first_unseen = 0;
    uint64_t size = 0;
    struct buf uids = { 0 };
    struct uidset set = { 0 };
    for (size_t i = 0; i < box->count; i++) {
        const struct model_message *msg = &box->messages[i];
        if (msg->gone)
            continue;
        uidset_add(&set, msg->uid);
        deleted += (msg->flags & MAIL_DELETED) != 0;
        size += strlen(text_of(msg->text));
        if ((msg->flags & MAIL_SEEN) == 0 && unseen++ == 0)
            first_unseen = msg->uid;
    }
    uidset_format(&set, &uids);
    assert_int_equal(row->id, box->id);
    assert_int_equal(row->messages, live_count(box));
    assert_int_equal(row->unseen, unseen);
    assert_int_equal(row->deleted, deleted);
    assert_int_equal(row->size, size);
    assert_int_equal(row->uidnext, box->uidnext);
    assert_int_equal(row->uidvalidity, box->uidvalidity);
    assert_true(row->modseq >= box->modseq);
    box->modseq = row->modseq;
    assert_string_equal(fixture_uids_text(m->f, opened->uids), buf_cstr(&uids));
    assert_int_equal(opened->first_unseen_uid, first_unseen);
    buf_fini(&uids);
    uidset_fini(&set);
}

static void check_bodies(struct model *m, struct model_box *box)
{
    for (size_t i = 0; i < box->count; i += 1 + pick(m, 20)) {
        const struct model_message *msg = &box->messages[i];
        const char *body = fetch_body(m->f, m->account, box->id, msg->uid);
        if (msg->gone)
            assert_null(body);
        else
            assert_string_equal(body, text_of(msg->text));
    }
}

static void check_account(struct model *m)
{
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    request.address = (char *)"a@example.test";
    assert_int_equal(fixture_read(m->f, METHOD_ADDRESS_LOOKUP, &request.base), OK);
    Tern__AddressLookupResponse *r =
        fixture_unpack(m->f, &tern__address_lookup_response__descriptor, &m->f->response);
    uint64_t used = 0, count = 0;
    for (size_t b = 0; b < BOXES; b++) {
        const struct model_box *box = &m->boxes[b];
        for (size_t i = 0; box->live && i < box->count; i++) {
            if (box->messages[i].gone)
                continue;
            count++;
            used += strlen(text_of(box->messages[i].text));
        }
    }
    assert_int_equal(r->account->message_count, count);
    assert_int_equal(r->account->used_bytes, used);
}

void model_check(struct model *m, bool bodies)
{
    for (size_t b = 0; b < BOXES; b++) {
        struct model_box *box = &m->boxes[b];
        if (!box->live)
            continue;
        check_mailbox(m, box);
        session_sync(m, box);
        check_session(box);
        if (bodies)
            check_bodies(m, box);
    }
    check_account(m);
}
