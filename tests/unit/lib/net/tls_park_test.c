/* SPDX-License-Identifier: Apache-2.0 */
/* Parked streams with TLS: records in pieces, one that OpenSSL holds, one without data. */
#include <openssl/ssl.h>

#include "lib/fiber/fiber.h"
#include "lib/net/stream_priv.h" /* the key update needs the SSL */
#include "tests/unit/lib/net/tls_fixture.h"

static struct fiber *parked_fiber;
static unsigned wakes;

static void on_wake(struct stream *s, enum stream_wake why, void *arg)
{
    assert_int_equal(why, STREAM_WAKE_INPUT);
    wakes++;
    fiber_wake(parked_fiber);
}

static void park(void)
{
    unsigned before = wakes;
    parked_fiber = fiber_self();
    stream_park(server, soon(), on_wake, NULL);
    while (wakes == before)
        fiber_suspend();
}

static void parking_server(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_server(server, tls, soon()), OK);
    for (int i = 0; i < 20; i++) {
        park();
        assert_int_equal(stream_fill(server, 0), OK); /* no wait: the wake was for real */
        while (stream_input(server).len < 2)
            assert_int_equal(stream_fill(server, soon()), OK);
        assert_memory_equal(stream_input(server).data, "ab", 2);
        stream_consume(server, 2);
    }
    park();
    assert_int_equal(stream_fill(server, 0), ERR_CLOSED);
    stream_close(&server);
}

static void slow_typist(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "mail.example.test", soon()), OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(stream_write_str(client, "a"), OK);
        if (i % 2 == 0)
            assert_int_equal(stream_flush(client), OK);
        if (i % 4 == 0)
            fiber_sleep_ms(1);
        assert_int_equal(stream_write_str(client, "b"), OK);
        assert_int_equal(stream_flush(client), OK);
        if (i % 3 == 0)
            fiber_sleep_ms(2);
    }
    stream_shutdown(client, soon());
}

static void parking_with_tls(void **state)
{
    (void)state;
    run(parking_server, slow_typist);
}

/* Two records in one packet: OpenSSL has the second when the first is read, and the socket is empty. */
static void pending_server(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_server(server, tls, soon()), OK);
    fiber_sleep_ms(20); /* both are there */
    assert_int_equal(stream_fill(server, soon()), OK);
    assert_true(slice_eq_str(stream_input(server), "one"));
    stream_consume(server, 3);
    uint64_t before_ms = loop_now_ms();
    park();
    assert_true(loop_now_ms() < before_ms + 5000);
    assert_int_equal(stream_fill(server, 0), OK);
    assert_true(slice_eq_str(stream_input(server), "two"));
    stream_close(&server);
}

static void two_records(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "mail.example.test", soon()), OK);
    assert_int_equal(stream_write_str(client, "one"), OK);
    assert_int_equal(stream_flush(client), OK);
    assert_int_equal(stream_write_str(client, "two"), OK);
    assert_int_equal(stream_flush(client), OK);
    assert_int_equal(stream_fill(client, soon()), ERR_CLOSED);
}

static void a_record_that_tls_holds_wakes(void **state)
{
    (void)state;
    run(pending_server, two_records);
}

/* A record without data for the session (a key update) must not wake it. */
static void key_update_server(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_server(server, tls, soon()), OK);
    unsigned before = wakes;
    park();
    assert_int_equal(wakes, before + 1);
    assert_int_equal(stream_fill(server, 0), OK);
    assert_true(slice_eq_str(stream_input(server), "data"));
    stream_close(&server);
}

static void key_update_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "mail.example.test", soon()), OK);
    while (!stream_is_parked(server))
        fiber_sleep_ms(1);
    assert_int_equal(SSL_key_update(client->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(client->ssl), 1);
    fiber_sleep_ms(20);
    assert_true(stream_is_parked(server));
    assert_int_equal(stream_write_str(client, "data"), OK);
    assert_int_equal(stream_flush(client), OK);
}

static void a_record_without_data_does_not_wake(void **state)
{
    (void)state;
    run(key_update_server, key_update_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS_TEST(parking_with_tls),
        TLS_TEST(a_record_that_tls_holds_wakes),
        TLS_TEST(a_record_without_data_does_not_wake),
    };
    return cmocka_run_group_tests(tests, tls_setup_group, tls_teardown_group);
}
