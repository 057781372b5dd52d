/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries: to many accounts, into a named mailbox, the same one again, and where no UID is left. */
#include "storage-node/mailbox/rows/rows.h"
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

static void test_deliver(void **state)
{
    struct fixture *f = *state;
    uint64_t to[] = { create_account(f, "a@example.test", 0), create_account(f, "b@example.test", 1), 12345 };
    ProtobufCBinaryData delivery = fixture_id(f);
    assert_int_equal(deliver_text(f, to, 3, mail, delivery), OK);
    Tern__DeliverResponse *r = fixture_unpack(f, &tern__deliver_response__descriptor, &f->result.response);
    assert_int_equal(r->n_results, 3);
    assert_int_equal(r->results[0]->status, OK);
    assert_int_equal(r->results[0]->uid, 1);
    assert_int_equal(r->results[1]->status, OK); /* quota was asked at RCPT */
    assert_int_equal(r->results[2]->status, ERR_NOT_FOUND);
    assert_int_equal(f->result.change_count, 2);
    assert_int_equal(count_rows(f, KV_BODY), 1);
    /* The same delivery under another request id: a queue's retry. */
    assert_int_equal(deliver_text(f, to, 2, mail, delivery), OK);
    r = fixture_unpack(f, &tern__deliver_response__descriptor, &f->result.response);
    assert_int_equal(r->results[0]->uid, 1);
    assert_true(r->results[0]->uidvalidity > 0);
    assert_int_equal(f->result.change_count, 0);
    assert_int_equal(count_rows(f, KV_BODY), 1);
    for (int i = 0; i < 2; i++) {
        Tern__Mailbox *inbox = open_mailbox(f, to[i], "INBOX");
        assert_int_equal(inbox->messages, 1);
        assert_string_equal(fetch_body(f, to[i], inbox->id, 1), mail);
    }
    /* Too old to be told from a repeat. */
    f->time_ms += (uint64_t)DELIVERY_RETENTION_MS + 1000;
    assert_int_equal(deliver_text(f, to, 2, mail, delivery), ERR_INVALID);
    assert_int_equal(deliver_text(f, to, 1, mail, fixture_id(f)), OK);
}

static void test_deliver_into_named_mailbox(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.size = 1;
    Tern__DeliverTarget target = TERN__DELIVER_TARGET__INIT;
    target.account = id;
    Tern__DeliverTarget *targets[] = { &target };
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    request.message = &message;
    request.targets = targets;
    request.n_targets = 1;
    static const char *const names[] = { "Junk", "Nowhere/Else" };
    for (int i = 0; i < 2; i++) {
        target.mailbox = (char *)names[i];
        request.delivery_id = fixture_id(f);
        f->body = SLICE_LIT("x");
        assert_int_equal(fixture_write(f, METHOD_DELIVER, &request.base), OK);
    }
    assert_int_equal(open_mailbox(f, id, "Junk")->messages, 1);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 1);
}

/* As if so many messages had come: the next UID is one that a large copy has reserved, and the last of all is
 * too. */
static void use_up_uids(struct fixture *f, uint64_t account, uint64_t mailbox)
{
    struct key key;
    struct mailbox_row row = { .id = mailbox };
    struct kv_value value;
    struct buf encoded = { 0 };
    key_mailbox(&key, PARTITION, account, mailbox);
    assert_int_equal(kv_get(f->kv, NULL, KV_STATE, key_slice(&key), &value), OK);
    assert_true(mailbox_decode(value.bytes, &row));
    kv_value_release(&value);
    row.uidnext = row.staged_first = UINT32_MAX - 5000;
    row.staged_last = UINT32_MAX - 1;
    mailbox_encode(&row, &encoded);
    struct kv_batch *batch = kv_batch_new(f->kv);
    kv_batch_put(batch, KV_STATE, key_slice(&key), buf_slice(&encoded));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&encoded);
}

static void test_full_mailbox_refuses_no_other_recipient(void **state)
{
    struct fixture *f = *state;
    uint64_t to[] = { create_account(f, "a@example.test", 0), create_account(f, "b@example.test", 0) };
    uint64_t full = open_mailbox(f, to[0], "INBOX")->id;
    use_up_uids(f, to[0], full);
    assert_int_equal(try_append(f, to[0], full, mail, 0), ERR_LIMIT);
    assert_int_equal(deliver_text(f, to, 2, mail, fixture_id(f)), OK);
    Tern__DeliverResponse *r = fixture_unpack(f, &tern__deliver_response__descriptor, &f->result.response);
    assert_int_equal(r->results[0]->status, ERR_LIMIT);
    assert_int_equal(r->results[1]->status, OK);
    assert_string_equal(fetch_body(f, to[1], open_mailbox(f, to[1], "INBOX")->id, 1), mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deliver),
        TEST(test_deliver_into_named_mailbox),
        TEST(test_full_mailbox_refuses_no_other_recipient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
