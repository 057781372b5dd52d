/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/model.h"

#include <string.h>

unsigned pick(struct model *m, unsigned bound)
{
    return (unsigned)rand_r(&m->seed) % bound;
}

const char *text_of(uint32_t number)
{
    static char text[32];
    snprintf(text, sizeof text, "text %u", number);
    return text;
}

static void begin_box(struct model *m, struct model_box *box)
{
    Tern__Mailbox *made = open_mailbox(m->f, m->account, box->name);
    box->live = true;
    box->id = made->id;
    box->uidnext = made->uidnext;
    assert_int_equal(made->uidnext, 1);
    box->uidvalidity = made->uidvalidity;
    box->modseq = made->modseq;
    box->count = 0;
    box->session_modseq = made->modseq;
    memset(box->session_flags, 0xff, sizeof box->session_flags);
    box->session_count = 0;
}

void model_begin(struct model *m, struct fixture *f, unsigned seed)
{
    m->f = f;
    m->seed = seed;
    m->account = create_account(f, "a@example.test", 0);
    m->other = create_account(f, "b@example.test", 0);
    for (int i = 0; i < BOXES; i++)
        snprintf(m->boxes[i].name, sizeof m->boxes[i].name, i == 0 ? "INBOX" : "box%d", i);
    begin_box(m, &m->boxes[0]);
    m->uidvalidity_newest = open_mailbox(f, m->account, "Archive")->uidvalidity;
}

struct model_box *pick_box(struct model *m)
{
    struct model_box *box = &m->boxes[pick(m, BOXES)];
    return box->live ? box : &m->boxes[0];
}

void model_add(struct model_box *box, uint32_t flags, uint32_t text)
{
    assert_true(box->count < MESSAGES_MAX);
    box->messages[box->count++] =
        (struct model_message){ .uid = box->uidnext++, .flags = flags, .text = text };
}

bool has_room(const struct model_box *box, size_t more)
{
    return box->count + more < MESSAGES_MAX && box->uidnext + UID_JUMP_MAX + more < UIDS_MAX;
}

struct span pick_span(struct model *m, const struct model_box *box)
{
    struct span s;
    s.first = 1 + pick(m, box->uidnext);
    s.last = s.first + pick(m, 8);
    if (box->count > 0) {
        size_t at = pick(m, (unsigned)box->count), behind = at + pick(m, 8);
        s.first = box->messages[at].uid;
        s.last = box->messages[behind < box->count ? behind : box->count - 1].uid + pick(m, 2);
    }
    snprintf(s.text, sizeof s.text, "%u:%u", s.first, s.last);
    return s;
}

/* ---- commands */

static void do_append(struct model *m)
{
    struct model_box *box = pick_box(m);
    if (!has_room(box, 1))
        return;
    uint32_t flags = pick(m, MAIL_FLAGS_ALL + 1), text = m->text_next++;
    assert_int_equal(append_text(m->f, m->account, box->id, text_of(text), flags), box->uidnext);
    model_add(box, flags, text);
    m->applied[0]++;
}

static void do_deliver(struct model *m)
{
    if (!has_room(&m->boxes[0], 1))
        return;
    uint64_t to[] = { m->account, m->other, 999 };
    uint32_t text = m->text_next++;
    ProtobufCBinaryData id = fixture_id(m->f);
    size_t count = 1 + pick(m, 3);
    for (unsigned times = 1 + pick(m, 2); times > 0; times--) /* now and then the same again */
        assert_int_equal(deliver_text(m->f, to, count, text_of(text), id), OK);
    model_add(&m->boxes[0], 0, text);
    m->applied[1]++;
}

static void do_store(struct model *m)
{
    struct model_box *box = pick_box(m);
    struct span span = pick_span(m, box);
    uint32_t flags = pick(m, MAIL_FLAGS_ALL + 1);
    Tern__StoreMode mode = pick(m, 3);
    store_flags(m->f, m->account, box->id, span.text, mode, flags);
    FOR_SPAN(box, span, msg)
    {
        if (mode == TERN__STORE_MODE__STORE_ADD)
            msg->flags |= flags;
        else if (mode == TERN__STORE_MODE__STORE_REMOVE)
            msg->flags &= ~flags;
        else
            msg->flags = flags;
        m->applied[2]++;
    }
}

static void do_expunge(struct model *m)
{
    struct model_box *box = pick_box(m);
    struct span span = pick_span(m, box);
    bool only_deleted = pick(m, 2) == 0;
    expunge(m->f, m->account, box->id, span.text, only_deleted);
    FOR_SPAN(box, span, msg)
    {
        if (!only_deleted || (msg->flags & MAIL_DELETED) != 0) {
            msg->gone = true;
            m->applied[3]++;
        }
    }
}

static void do_copy(struct model *m)
{
    struct model_box *from = pick_box(m), *to = pick_box(m);
    struct span span = pick_span(m, from);
    bool move = pick(m, 2) == 0;
    if (!has_room(to, 10))
        return;
    copy(m->f, m->account, from->id, to->id, span.text, move);
    struct model_message copies[16];
    size_t count = 0;
    FOR_SPAN(from, span, msg)
    {
        copies[count++] = *msg;
        msg->gone = move;
    }
    for (size_t i = 0; i < count; i++)
        model_add(to, copies[i].flags, copies[i].text);
    m->applied[4] += count > 0;
}

static void do_create_or_delete(struct model *m)
{
    struct model_box *box = &m->boxes[1 + pick(m, BOXES - 1)];
    if (box->live) {
        Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
        request.account = m->account;
        request.name = box->name;
        assert_int_equal(fixture_write(m->f, METHOD_MAILBOX_DELETE, &request.base), OK);
        box->live = false;
    } else {
        create_mailbox(m->f, m->account, box->name);
        begin_box(m, box);
        assert_true(box->uidvalidity > m->uidvalidity_newest);
        m->uidvalidity_newest = box->uidvalidity;
    }
    m->applied[5]++;
}

static void do_rename(struct model *m)
{
    struct model_box *box = &m->boxes[1 + pick(m, BOXES - 1)];
    if (!box->live)
        return;
    char name[32];
    snprintf(name, sizeof name, "box%u/renamed", m->text_next++);
    Tern__MailboxRenameRequest request = TERN__MAILBOX_RENAME_REQUEST__INIT;
    request.account = m->account;
    request.from = box->name;
    request.to = name;
    assert_int_equal(fixture_write(m->f, METHOD_MAILBOX_RENAME, &request.base), OK);
    memcpy(box->name, name, sizeof name);
    /* Its parents were made on the way and took UIDVALIDITYs. */
    char *slash = strchr(name, '/');
    *slash = '\0';
    m->uidvalidity_newest = open_mailbox(m->f, m->account, name)->uidvalidity;
    m->applied[6]++;
}

static void do_sweep(struct model *m)
{
    if (!m->staging)
        m->f->time_ms += pick(m, 2) * UINT64_C(4000000);
    fixture_sweep(m->f);
    m->applied[7]++;
}

void model_step(struct model *m)
{
    static void (*const commands[])(struct model *) = {
        do_append, do_append, do_append,         do_deliver, do_deliver,          do_store,
        do_store,  do_store,  do_expunge,        do_copy,    do_create_or_delete, do_rename,
        do_sweep,  do_sweep,  model_staged_copy,
    };
    commands[pick(m, sizeof commands / sizeof commands[0])](m);
}
