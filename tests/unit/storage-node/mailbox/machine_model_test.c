/* SPDX-License-Identifier: Apache-2.0 */
/* Random commands against a simple model in memory, with a session that follows each mailbox through CHANGES
 * alone. After every command: counters agree with rows, UIDs and modseqs only grow, the session sees what the
 * model has. At the end the log is applied again to an empty database, and every row must be the same. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "lib/base/alloc.h"

enum {
    BOXES = 5,
    MESSAGES_MAX = 4000,
    UIDS_MAX = 400000, /* staged copies jump thousands of UIDs */
    UID_JUMP_MAX = 8192,
    STEPS = 1500,
    STAGED_MAX = 32,
};

struct model_message {
    uint32_t uid;
    uint32_t flags;
    uint32_t text; /* its body is "text <number>" */
    bool gone;
};

struct model_box {
    bool live;
    char name[32];
    uint64_t id;
    uint32_t uidnext, uidvalidity;
    uint64_t modseq; /* newest seen */
    struct model_message messages[MESSAGES_MAX];
    size_t count;
    /* What a session knows. */
    uint64_t session_modseq;
    uint8_t session_flags[UIDS_MAX]; /* by UID; 0xff: not there */
    size_t session_count;
};

struct model {
    struct fixture *f;
    uint64_t account, other;
    struct model_box boxes[BOXES];
    unsigned seed;
    uint32_t text_next;
    uint32_t uidvalidity_newest;
    unsigned applied[9]; /* how often each command had an effect */
    bool staging;        /* no stage within a stage */
};

static unsigned pick(struct model *m, unsigned bound)
{
    return (unsigned)rand_r(&m->seed) % bound;
}

static const char *text_of(uint32_t number)
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

static struct model_box *pick_box(struct model *m)
{
    struct model_box *box = &m->boxes[pick(m, BOXES)];
    return box->live ? box : &m->boxes[0];
}

static void model_add(struct model_box *box, uint32_t flags, uint32_t text)
{
    assert_true(box->count < MESSAGES_MAX);
    box->messages[box->count++] =
        (struct model_message){ .uid = box->uidnext++, .flags = flags, .text = text };
}

static bool has_room(const struct model_box *box, size_t more)
{
    return box->count + more < MESSAGES_MAX && box->uidnext + UID_JUMP_MAX + more < UIDS_MAX;
}

static size_t live_count(const struct model_box *box)
{
    size_t count = 0;
    for (size_t i = 0; i < box->count; i++)
        count += !box->messages[i].gone;
    return count;
}

struct span {
    uint32_t first, last;
    char text[32];
};

static struct span pick_span(struct model *m, const struct model_box *box)
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

#define FOR_SPAN(box, span, msg)                                                                   \
    for (struct model_message *msg = (box)->messages; msg < (box)->messages + (box)->count; msg++) \
        if (!msg->gone && msg->uid >= (span).first && msg->uid <= (span).last)

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

/* ---- copies in stages, with other commands between the steps */

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

static void do_something(struct model *m);

static void do_staged_copy(struct model *m)
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
        do_something(m);
    if (err == OK && second.first <= second.last && s.from->live && s.from->id == s.from_id) {
        snprintf(second.text, sizeof second.text, "%u:%u", second.first, second.last);
        err = stage_step(m, &s, 0, &second);
    }
    for (unsigned others = pick(m, 3); others > 0; others--)
        do_something(m);
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

/* ---- what must hold */

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

static void check_all(struct model *m, bool bodies)
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

static void begin(struct model *m, struct fixture *f, unsigned seed)
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

/* ---- the same log gives the same rows */

static void expect_same_rows(struct kv *a, struct kv *b, enum kv_family family)
{
    struct kv_iter *x = kv_iter_new(a, NULL, family, SLICE_NULL, SLICE_NULL);
    struct kv_iter *y = kv_iter_new(b, NULL, family, SLICE_NULL, SLICE_NULL);
    bool on_x = kv_iter_seek(x, SLICE_NULL), on_y = kv_iter_seek(y, SLICE_NULL);
    for (; on_x && on_y; on_x = kv_iter_next(x), on_y = kv_iter_next(y)) {
        assert_true(slice_eq(kv_iter_key(x), kv_iter_key(y)));
        assert_true(slice_eq(kv_iter_value(x), kv_iter_value(y)));
    }
    assert_false(on_x || on_y);
    kv_iter_free(&x);
    kv_iter_free(&y);
}

static void replay(struct fixture *f)
{
    struct fixture again;
    fixture_open(&again);
    struct cursor c = cursor_of(buf_slice(&f->log));
    while (c.rest.len > 0) {
        struct slice entry = cursor_varbytes(&c);
        assert_int_equal(fixture_apply(&again, entry, cursor_varbytes(&c)), OK);
    }
    expect_same_rows(f->kv, again.kv, KV_STATE);
    expect_same_rows(f->kv, again.kv, KV_BODY);
    fixture_close(&again);
}

/* With every message gone and swept nothing of a body is left: references are counted right. */
static void empty_all(struct model *m)
{
    for (size_t b = 0; b < BOXES; b++) {
        struct model_box *box = &m->boxes[b];
        while (box->live && open_mailbox(m->f, m->account, box->name)->messages > 0) {
            char span[32];
            uint32_t first =
                (uint32_t)strtoul(fetch_flags(m->f, m->account, box->id, "1:4294967295", 0), NULL, 10);
            snprintf(span, sizeof span, "%u:%u", first, first + 500);
            expunge(m->f, m->account, box->id, span, false);
        }
    }
    uint64_t other_inbox = open_mailbox(m->f, m->other, "INBOX")->id;
    while (open_mailbox(m->f, m->other, "INBOX")->messages > 0) {
        uint32_t first =
            (uint32_t)strtoul(fetch_flags(m->f, m->other, other_inbox, "1:4294967295", 0), NULL, 10);
        char span[32];
        snprintf(span, sizeof span, "%u:%u", first, first + 500);
        expunge(m->f, m->other, other_inbox, span, false);
    }
    for (int i = 0; i < 20; i++) {
        m->f->time_ms += 3700 * 1000;
        fixture_sweep(m->f);
    }
    assert_int_equal(count_rows(m->f, KV_BODY), 0);
}

static void do_something(struct model *m)
{
    static void (*const commands[])(struct model *) = {
        do_append, do_append, do_append,      do_deliver, do_deliver,          do_store,
        do_store,  do_store,  do_expunge,     do_copy,    do_create_or_delete, do_rename,
        do_sweep,  do_sweep,  do_staged_copy,
    };
    commands[pick(m, sizeof commands / sizeof commands[0])](m);
}

static void test_model(void **state)
{
    for (unsigned seed = 1; seed <= 3; seed++) {
        struct fixture f;
        fixture_open(&f);
        struct model *m = NEW(struct model);
        begin(m, &f, seed);
        for (int step = 0; step < STEPS; step++) {
            do_something(m);
            if (step % 5 == 0)
                check_all(m, step % 100 == 0);
            arena_clear(&f.arena);
        }
        for (size_t i = 0; i < sizeof m->applied / sizeof m->applied[0]; i++)
            assert_true(m->applied[i] > 0);
        check_all(m, true);
        replay(&f);
        empty_all(m);
        free(m);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_model) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
