/* SPDX-License-Identifier: Apache-2.0 */
/* TLS handshakes: good ones, an echo over them, peers that go one byte at a time, and each way to fail. */
#include <string.h>

#include "lib/fiber/fiber.h"
#include "tests/unit/lib/net/tls_fixture.h"

static void echo(void **state)
{
    (void)state;
    run(echo_server, echo_client);
}

/* --- a peer that sends and takes one byte at a time --- */

static struct stream *middle_client, *middle_server;
static unsigned pumps_ended;

static void pump(struct stream *from, struct stream *to)
{
    bool open = true;
    while (open && stream_fill(from, soon()) == OK) {
        while (open && stream_has_input(from)) {
            open = stream_write(to, slice_sub(stream_input(from), 0, 1)) == OK && stream_flush(to) == OK;
            stream_consume(from, 1);
            fiber_yield();
        }
    }
    stream_abort(to); /* the pump of the other direction reads it */
    if (++pumps_ended == 2) {
        stream_close(&middle_client);
        stream_close(&middle_server);
    }
}

static void pump_to_server(void *arg)
{
    (void)arg;
    pump(middle_client, middle_server);
}

static void pump_to_client(void *arg)
{
    (void)arg;
    pump(middle_server, middle_client);
}

static void short_echo_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "mail.example.test", soon()), OK);
    expect_echo(300);
    stream_shutdown(client, soon());
}

static void byte_at_a_time(void **state)
{
    (void)state;
    stream_close(&client);
    stream_close(&server);
    fixture_pair(loop, &client, &middle_client);
    fixture_pair(loop, &middle_server, &server);
    fixture_spawn(loop, pump_to_server, NULL);
    fixture_spawn(loop, pump_to_client, NULL);
    run(echo_server, short_echo_client);
}

/* --- handshakes that fail --- */

static const char *rubbish;

static void rubbish_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_write_str(client, rubbish), OK);
    stream_shutdown(client, soon());
}

static void expect_invalid(void *arg)
{
    (void)arg;
    enum err err = stream_start_tls_server(server, tls, soon());
    assert_true(err == ERR_INVALID || err == ERR_CLOSED);
    assert_int_equal(stream_fill(server, soon()), err);
    assert_int_equal(stream_write_str(server, "x"), err);
    stream_close(&server);
}

static void rubbish_is_no_handshake(void **state)
{
    static const char *const all[] = {
        "",
        "\x16",
        "\x16\x03\x01\x02",
        "EHLO x\r\nQUIT\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "\x15\x03\x01\x01\x01\x02\x50",
        "\x16\x03\x01\xff\xff\x01",
        "\x80\x2e\x01\x03\x01",
        "\x16\x03\x01\x01\x06\x01\x01\x01\x03\x03",
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tls_setup(state);
        rubbish = all[i];
        run(rubbish_client, expect_invalid);
        tls_teardown(state);
    }
}

static void silent_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_server(server, tls, loop_deadline_ms(30)), ERR_TIMEOUT);
    assert_int_equal(stream_start_tls_client(client, tls_verifying, NULL, soon()),
                     ERR_INVALID); /* what name? */
}

static void a_silent_peer_times_out(void **state)
{
    (void)state;
    run(silent_client, nothing);
}

static void expect_alert(void *arg)
{
    (void)arg;
    enum err err = stream_start_tls_server(server, tls, soon());
    if (err == OK) /* TLS 1.3: the server is done before the client looks at the certificate */
        err = stream_fill(server, soon());
    assert_true(err == ERR_INVALID || err == ERR_CLOSED);
    stream_close(&server);
}

static void client_of_another_name(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "other.example.test", soon()), ERR_AUTH);
    assert_non_null(strstr(stream_fail_text(client), "hostname"));
    stream_close(&client);
}

static void the_name_is_verified(void **state)
{
    (void)state;
    run(expect_alert, client_of_another_name);
}

/* --- STARTTLS injection --- */

static void injecting_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_write_str(client, "STARTTLS\r\nLOGIN evil\r\n"), OK);
    assert_int_equal(stream_flush(client), OK);
    struct slice line;
    assert_int_equal(stream_read_line(client, 100, soon(), &line), OK);
    stream_consume(client, line.len);
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "127.0.0.1", soon()), OK);
    assert_null(stream_tls_sni(server)); /* an address is no server name */
    assert_int_equal(stream_write_str(client, "NOOP\r\n"), OK);
    stream_shutdown(client, soon());
}

static void starttls_server(void *arg)
{
    (void)arg;
    struct slice line;
    assert_int_equal(stream_read_line(server, 100, soon(), &line), OK);
    stream_consume(server, line.len);
    assert_true(stream_has_input(server));
    assert_int_equal(stream_write_str(server, "go on\r\n"), OK); /* sent by start_tls */
    assert_int_equal(stream_start_tls_server(server, tls, soon()), OK);
    assert_int_equal(stream_read_line(server, 100, soon(), &line), OK);
    assert_true(slice_eq_str(line, "NOOP\r\n"));
    stream_shutdown(server, soon());
}

static void plaintext_before_the_handshake_is_dropped(void **state)
{
    (void)state;
    run(starttls_server, injecting_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS_TEST(echo),
        TLS_TEST(byte_at_a_time),
        cmocka_unit_test(rubbish_is_no_handshake),
        TLS_TEST(a_silent_peer_times_out),
        TLS_TEST(the_name_is_verified),
        TLS_TEST(plaintext_before_the_handshake_is_dropped),
    };
    return cmocka_run_group_tests(tests, tls_setup_group, tls_teardown_group);
}
