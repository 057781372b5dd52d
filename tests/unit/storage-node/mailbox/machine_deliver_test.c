/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries: to many accounts, into a named mailbox, and the same one again. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deliver),
        TEST(test_deliver_into_named_mailbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
