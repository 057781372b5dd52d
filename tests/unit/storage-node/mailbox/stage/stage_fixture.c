/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/stage/stage_fixture.h"

int stage_setup(void **state)
{
    struct stage_case *c = calloc(1, sizeof *c);
    fixture_open(&c->f);
    c->account = create_account(&c->f, "a@example.test", 0);
    c->from = open_mailbox(&c->f, c->account, "INBOX")->id;
    c->to = create_mailbox(&c->f, c->account, "to")->id;
    for (uint32_t i = 1; i <= 6; i++)
        append_text(&c->f, c->account, c->from, "text", i % 2 == 0 ? MAIL_SEEN : MAIL_DELETED);
    c->id = fixture_id(&c->f);
    *state = c;
    return 0;
}

int stage_teardown(void **state)
{
    struct stage_case *c = *state;
    fixture_close(&c->f);
    free(c);
    return 0;
}

static enum err write_twice(struct fixture *f, uint32_t method, const ProtobufCMessage *request)
{
    enum err err = fixture_write(f, method, request);
    struct buf first = { 0 };
    buf_add_slice(&first, buf_slice(&f->result.response));
    assert_int_equal(fixture_repeat(f), err);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&f->result.response)));
    buf_fini(&first);
    return err;
}

enum err step(struct stage_case *c, uint32_t total, const char *uids, bool move)
{
    Tern__CopyStageRequest request = TERN__COPY_STAGE_REQUEST__INIT;
    request.account = c->account;
    request.stage = c->id;
    request.total = total;
    request.from = c->from;
    request.to = c->to;
    request.move = move;
    request.uids = fixture_uids(&c->f, uids);
    return write_twice(&c->f, METHOD_COPY_STAGE, &request.base);
}

const char *staged(struct stage_case *c)
{
    Tern__CopyStageResponse *r =
        fixture_unpack(&c->f, &tern__copy_stage_response__descriptor, &c->f.result.response);
    return fixture_uids_text(&c->f, r->from_uids);
}

enum err commit(struct stage_case *c, Tern__CopyCommitResponse **out)
{
    Tern__CopyCommitRequest request = TERN__COPY_COMMIT_REQUEST__INIT;
    request.account = c->account;
    request.stage = c->id;
    enum err err = write_twice(&c->f, METHOD_COPY_COMMIT, &request.base);
    if (err == OK)
        *out = fixture_unpack(&c->f, &tern__copy_commit_response__descriptor, &c->f.result.response);
    return err;
}

void abandon(struct stage_case *c)
{
    Tern__CopyAbandonRequest request = TERN__COPY_ABANDON_REQUEST__INIT;
    request.account = c->account;
    request.stage = c->id;
    assert_int_equal(write_twice(&c->f, METHOD_COPY_ABANDON, &request.base), OK);
}

void sweep_all(struct stage_case *c)
{
    bool due = true;
    for (int i = 0; i < 1000 && due; i++) {
        fixture_sweep(&c->f);
        assert_int_equal(machine_sweep_due(c->f.kv, PARTITION, c->f.time_ms, &due), OK);
    }
    assert_false(due);
}

const char *uids_of(struct stage_case *c, const char *name)
{
    open_mailbox(&c->f, c->account, name);
    Tern__MailboxOpenResponse *r =
        fixture_unpack(&c->f, &tern__mailbox_open_response__descriptor, &c->f.response);
    return fixture_uids_text(&c->f, r->uids);
}

uint64_t used_bytes(struct stage_case *c)
{
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    request.address = (char *)"a@example.test";
    assert_int_equal(fixture_read(&c->f, METHOD_ADDRESS_LOOKUP, &request.base), OK);
    Tern__AddressLookupResponse *r =
        fixture_unpack(&c->f, &tern__address_lookup_response__descriptor, &c->f.response);
    return r->account->used_bytes;
}

void expect_no_leaks(struct stage_case *c)
{
    sweep_all(c);
    expunge(&c->f, c->account, c->from, "1:4294967295", false);
    if (try_open_mailbox(&c->f, c->account, "to") == OK)
        expunge(&c->f, c->account, c->to, "1:4294967295", false);
    assert_int_equal(used_bytes(c), 0);
    for (int i = 0; i < 3; i++) {
        c->f.time_ms += 3700 * 1000;
        sweep_all(c);
    }
    assert_int_equal(count_rows(&c->f, KV_BODY), 0);
}

void expect_untouched(struct stage_case *c)
{
    assert_string_equal(uids_of(c, "INBOX"), "1:6");
    assert_string_equal(uids_of(c, "to"), "");
    assert_int_equal(open_mailbox(&c->f, c->account, "INBOX")->unseen, 3);
    assert_int_equal(used_bytes(c), 6 * 4);
}
