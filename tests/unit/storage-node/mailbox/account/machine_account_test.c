/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, accounts, aliases. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

static enum err try_create(struct fixture *f, const char *address)
{
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    request.address = (char *)address;
    return fixture_write(f, METHOD_ACCOUNT_CREATE, &request.base);
}

static enum err lookup(struct fixture *f, const char *address, Tern__AddressLookupResponse **out)
{
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    request.address = (char *)address;
    enum err err = fixture_read(f, METHOD_ADDRESS_LOOKUP, &request.base);
    *out = NULL;
    if (err == OK)
        *out = fixture_unpack(f, &tern__address_lookup_response__descriptor, &f->response);
    return err;
}

static enum err put_alias(struct fixture *f, const char *address, const char *target)
{
    char *targets[] = { (char *)target, (char *)"other@example.test" };
    Tern__AliasPutRequest request = TERN__ALIAS_PUT_REQUEST__INIT;
    request.address = (char *)address;
    request.targets = targets;
    request.n_targets = 2;
    return fixture_write(f, METHOD_ALIAS_PUT, &request.base);
}

static void test_create_and_lookup(void **state)
{
    struct fixture *f = *state;
    Tern__AddressLookupResponse *r;
    assert_int_equal(lookup(f, "bob@example.test", &r), ERR_NOT_FOUND);
    uint64_t id = create_account(f, "bob@example.test", 77);
    assert_int_equal(fixture_repeat(f), OK);
    assert_int_equal(lookup(f, "bob@example.test", &r), OK);
    assert_int_equal(r->account->id, id);
    assert_int_equal(r->account->home, PARTITION);
    assert_string_equal(r->account->address, "bob@example.test");
    assert_int_equal(r->account->credential->iterations, 4096);
    assert_int_equal(r->account->credential->version, 1);
    assert_int_equal(r->account->quota_bytes, 77);
    assert_int_equal(try_create(f, "bob@example.test"), ERR_EXISTS);
    static const char *const bad[] = { "", "bob", "@x", "bob@", "b ob@x", "b\x01@x" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(try_create(f, bad[i]), ERR_INVALID);
    assert_true(create_account(f, "eve@example.test", 0) > id);
}

static void test_update(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "bob@example.test", 5);
    uint64_t inbox = open_mailbox(f, id, "INBOX")->id;
    Tern__AccountUpdateRequest request = TERN__ACCOUNT_UPDATE_REQUEST__INIT;
    request.address = (char *)"bob@example.test";
    request.set_quota = true;
    request.quota_bytes = 10;
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_UPDATE, &request.base), OK);
    append_text(f, id, inbox, "0123456789", 0);
    request.set_quota = false;
    request.quota_bytes = 0;
    request.set_suspended = true;
    request.suspended = true;
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    credential.scheme = 2;
    credential.hash = (char *)"$6$x";
    request.credential = &credential;
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_UPDATE, &request.base), OK);
    Tern__AddressLookupResponse *r;
    assert_int_equal(lookup(f, "bob@example.test", &r), OK);
    assert_true(r->account->suspended);
    assert_int_equal(r->account->quota_bytes, 10);
    assert_int_equal(r->account->used_bytes, 10);
    assert_int_equal(r->account->message_count, 1);
    assert_string_equal(r->account->credential->hash, "$6$x");
    assert_int_equal(r->account->credential->version, 2);
    /* Suspended accounts take mail. */
    assert_int_equal(deliver_text(f, &id, 1, "more", fixture_id(f)), OK);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 2);
    assert_int_equal(try_append(f, id, inbox, "x", 0), ERR_OVER_QUOTA);
    request.address = (char *)"eve@example.test";
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_UPDATE, &request.base), ERR_NOT_FOUND);
    credential.scheme = 9;
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_UPDATE, &request.base), ERR_INVALID);
}

static void test_delete(void **state)
{
    struct fixture *f = *state;
    create_account(f, "first@example.test", 0);
    size_t rows = count_rows(f, KV_STATE);
    uint64_t id = create_account(f, "bob@example.test", 0);
    uint64_t inbox = open_mailbox(f, id, "INBOX")->id;
    for (int i = 0; i < 700; i++)
        append_text(f, id, inbox, "0123456789", 0);
    Tern__MailboxDeleteRequest junk = TERN__MAILBOX_DELETE_REQUEST__INIT;
    junk.account = id;
    junk.name = (char *)"Junk";
    append_text(f, id, open_mailbox(f, id, "Junk")->id, "junk", 0);
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_DELETE, &junk.base), OK);
    Tern__AccountDeleteRequest request = TERN__ACCOUNT_DELETE_REQUEST__INIT;
    request.address = (char *)"bob@example.test";
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_DELETE, &request.base), OK);
    assert_int_equal(fixture_repeat(f), OK);
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_DELETE, &request.base), ERR_NOT_FOUND);
    Tern__AddressLookupResponse *r;
    assert_int_equal(lookup(f, "bob@example.test", &r), ERR_NOT_FOUND);
    assert_int_equal(try_open_mailbox(f, id, "INBOX"), ERR_NOT_FOUND);
    assert_int_equal(try_append(f, id, inbox, "x", 0), ERR_NOT_FOUND);
    assert_null(fetch_body(f, id, inbox, 1));
    assert_int_equal(deliver_text(f, &id, 1, "x", fixture_id(f)), OK);
    Tern__DeliverResponse *d = fixture_unpack(f, &tern__deliver_response__descriptor, &f->result.response);
    assert_int_equal(d->results[0]->status, ERR_NOT_FOUND);
    /* A later account of that address is another one. */
    uint64_t next = create_account(f, "bob@example.test", 0);
    assert_true(next != id);
    assert_int_equal(open_mailbox(f, next, "INBOX")->messages, 0);

    f->time_ms += (uint64_t)8 * 24 * 3600 * 1000;
    for (int i = 0; i < 20; i++) {
        f->time_ms += 3600 * 1000;
        fixture_sweep(f);
    }
    bool due = true;
    assert_int_equal(machine_sweep_due(f->kv, PARTITION, f->time_ms, &due), OK);
    assert_false(due);
    assert_int_equal(count_rows(f, KV_BODY), 0);
    /* Two accounts are left, less the request ids. */
    assert_true(count_rows(f, KV_STATE) < 2 * rows);
}

static void test_alias(void **state)
{
    struct fixture *f = *state;
    create_account(f, "bob@example.test", 0);
    assert_int_equal(put_alias(f, "team@example.test", "bob@example.test"), OK);
    Tern__AddressLookupResponse *r;
    assert_int_equal(lookup(f, "team@example.test", &r), OK);
    assert_null(r->account);
    assert_int_equal(r->n_alias_targets, 2);
    assert_string_equal(r->alias_targets[0], "bob@example.test");
    assert_int_equal(put_alias(f, "team@example.test", "eve@example.test"), OK); /* replaces */
    assert_int_equal(lookup(f, "team@example.test", &r), OK);
    assert_string_equal(r->alias_targets[0], "eve@example.test");
    assert_int_equal(put_alias(f, "bob@example.test", "eve@example.test"), ERR_EXISTS);
    assert_int_equal(try_create(f, "team@example.test"), ERR_EXISTS);
    assert_int_equal(put_alias(f, "x@example.test", "no address"), ERR_INVALID);
    Tern__AliasDeleteRequest request = TERN__ALIAS_DELETE_REQUEST__INIT;
    request.address = (char *)"bob@example.test";
    assert_int_equal(fixture_write(f, METHOD_ALIAS_DELETE, &request.base), ERR_NOT_FOUND);
    request.address = (char *)"team@example.test";
    assert_int_equal(fixture_write(f, METHOD_ALIAS_DELETE, &request.base), OK);
    assert_int_equal(lookup(f, "team@example.test", &r), ERR_NOT_FOUND);
}

static void test_address_list(void **state)
{
    struct fixture *f = *state;
    char address[32];
    for (int i = 0; i < 10; i++) {
        snprintf(address, sizeof address, "u%d@%s.test", i, i % 2 == 0 ? "even" : "odd");
        if (i == 4)
            assert_int_equal(put_alias(f, address, "u0@even.test"), OK);
        else
            create_account(f, address, 0);
    }
    Tern__AddressListRequest request = TERN__ADDRESS_LIST_REQUEST__INIT;
    request.limit = 2;
    request.domain = (char *)"even.test";
    struct buf got = { 0 };
    bool more = true;
    for (int pages = 0; more && pages < 10; pages++) {
        assert_int_equal(fixture_read(f, METHOD_ADDRESS_LIST, &request.base), OK);
        Tern__AddressListResponse *r =
            fixture_unpack(f, &tern__address_list_response__descriptor, &f->response);
        for (size_t i = 0; i < r->n_rows; i++) {
            buf_addf(&got, "%s%s ", r->rows[i]->address, r->rows[i]->account == NULL ? "(alias)" : "");
            request.after = r->rows[i]->address;
        }
        more = r->more;
    }
    assert_string_equal(buf_cstr(&got),
                        "u0@even.test u2@even.test u4@even.test(alias) u6@even.test u8@even.test ");
    buf_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_lookup), TEST(test_update), TEST(test_delete), TEST(test_alias),
        TEST(test_address_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
