/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on streams: handshakes good and bad, byte-at-a-time peers, reload, parking, stack use. */
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/work.h"
#include "lib/net/stream_priv.h" /* the key update needs the SSL */
#include "lib/net/tls.h"
#include "tests/unit/lib/net/net_fixture.h"

static struct loop *loop;
static struct stream *server, *client;
static struct fixture_cert cert;
static struct tls_server *tls;
static struct tls_client *tls_verifying;

static int setup_group(void **state)
{
    (void)state;
    fixture_cert_make(&cert, "mail.example.test");
    return tls_server_new(cert.cert_file, cert.key_file, &tls) != OK ||
           tls_client_new(cert.cert_file, true, &tls_verifying) != OK;
}

static int teardown_group(void **state)
{
    (void)state;
    tls_server_free(&tls);
    tls_client_free(&tls_verifying);
    fixture_cert_remove(&cert);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    if (loop_new(&loop) != OK)
        return -1;
    fixture_pair(loop, &client, &server);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stream_close(&client);
    stream_close(&server);
    loop_free(&loop);
    return 0;
}

static uint64_t soon(void)
{
    return loop_deadline_ms(10000);
}

static void run(void (*fa)(void *), void (*fb)(void *))
{
    fixture_spawn(loop, fa, NULL);
    fixture_spawn(loop, fb, NULL);
    fixture_run(loop);
}

/* --- echo --- */

static void echo_until_closed(void)
{
    enum err err;
    while ((err = stream_fill(server, soon())) == OK) {
        struct slice input = stream_input(server);
        assert_int_equal(stream_write(server, input), OK);
        stream_consume(server, input.len);
        assert_int_equal(stream_flush(server), OK);
    }
    assert_int_equal(err, ERR_CLOSED);
    stream_shutdown(server, soon());
}

static void echo_server(void *arg)
{
    (void)arg;
    assert_false(stream_is_tls(server));
    assert_int_equal(stream_start_tls_server(server, tls, soon()), OK);
    assert_true(stream_is_tls(server));
    assert_string_equal(stream_tls_version(server), "TLSv1.3");
    assert_string_equal(stream_tls_sni(server), "mail.example.test");
    assert_non_null(stream_tls_cipher(server));
    assert_true(stream_tls_bits(server) >= 128);
    assert_false(stream_tls_resumed(server));
    echo_until_closed();
}

static void expect_echo(size_t size)
{
    uint8_t *data = xcalloc(1, size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(stream_write(client, slice_of(data, size)), OK);
    assert_int_equal(stream_flush(client), OK);
    for (size_t at = 0; at < size;) {
        assert_int_equal(stream_fill(client, soon()), OK);
        struct slice input = stream_input(client);
        assert_true(at + input.len <= size);
        assert_memory_equal(input.data, data + at, input.len);
        at += input.len;
        stream_consume(client, input.len);
    }
    free(data);
}

static void echo_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "mail.example.test", soon()), OK);
    static const size_t sizes[] = { 1, 100, 16384, 16385, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_echo(sizes[i]);
    stream_shutdown(client, soon());
}

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
        setup(state);
        rubbish = all[i];
        run(rubbish_client, expect_invalid);
        teardown(state);
    }
}

static void silent_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_server(server, tls, loop_deadline_ms(30)), ERR_TIMEOUT);
    assert_int_equal(stream_start_tls_client(client, tls_verifying, NULL, soon()),
                     ERR_INVALID); /* what name? */
}

static void nothing(void *arg)
{
    (void)arg;
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

/* --- parking --- */

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
    fiber_sleep_ms(5);
    assert_true(stream_is_parked(server));
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

/* --- reload and resumption, with a plain blocking OpenSSL client on another thread --- */

struct visitor {
    int fd;
    SSL_CTX *context;
    SSL_SESSION *session; /* to offer; replaced by the one we got */
    long serial;
    bool resumed, ok;
};

static void visit(void *arg)
{
    struct visitor *v = arg;
    SSL *ssl = SSL_new(v->context);
    SSL_set_fd(ssl, v->fd);
    if (v->session != NULL)
        SSL_set_session(ssl, v->session);
    char byte;
    v->ok = SSL_connect(ssl) == 1 && SSL_write(ssl, "x", 1) == 1 && SSL_read(ssl, &byte, 1) == 1;
    if (v->ok) {
        v->resumed = SSL_session_reused(ssl);
        v->serial = ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(ssl)));
        SSL_SESSION_free(v->session);
        v->session = SSL_get1_session(ssl);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(v->fd);
}

static void echo_one(void *arg)
{
    struct stream *s = arg;
    assert_int_equal(stream_start_tls_server(s, tls, soon()), OK);
    assert_int_equal(stream_fill(s, soon()), OK);
    assert_int_equal(stream_write(s, stream_input(s)), OK);
    stream_shutdown(s, soon());
    stream_close(&s);
}

static void call(struct visitor *v)
{
    struct stream *s;
    v->fd = fixture_half(loop, &s);
    fixture_spawn(loop, echo_one, s);
    assert_int_equal(work_run(visit, v), OK);
    assert_true(v->ok);
}

static void reloader(void *arg)
{
    struct visitor v = { .context = SSL_CTX_new(TLS_client_method()) };
    call(&v);
    long first = v.serial;
    assert_false(v.resumed);
    call(&v);
    assert_true(v.resumed);

    fixture_cert_write(&cert, "mail.example.test");
    assert_int_equal(tls_server_reload(tls), OK);
    call(&v);
    assert_true(v.resumed); /* tickets survive */
    SSL_SESSION_free(v.session);
    v.session = NULL;
    call(&v);
    assert_false(v.resumed);
    assert_true(v.serial != first);
    long second = v.serial;

    assert_int_equal(truncate(cert.key_file, 10), 0);
    assert_int_equal(tls_server_reload(tls), ERR_INVALID);
    SSL_SESSION_free(v.session);
    v.session = NULL;
    call(&v);
    assert_true(v.serial == second); /* the old one stays in use */
    SSL_SESSION_free(v.session);
    SSL_CTX_free(v.context);

    fixture_cert_write(&cert, "mail.example.test");
    tls_client_free(&tls_verifying);
    assert_int_equal(tls_client_new(cert.cert_file, true, &tls_verifying), OK);
    assert_int_equal(tls_server_reload(tls), OK);
}

static void reload(void **state)
{
    (void)state;
    run(reloader, nothing);
}

static void bad_files(void **state)
{
    (void)state;
    struct tls_server *t = NULL;
    struct tls_client *c = NULL;
    assert_int_equal(tls_server_new("/nonexistent", cert.key_file, &t), ERR_INVALID);
    assert_int_equal(tls_server_new(cert.cert_file, "/nonexistent", &t), ERR_INVALID);
    assert_int_equal(tls_server_new(cert.cert_file, cert.cert_file, &t), ERR_INVALID);
    struct fixture_cert other;
    fixture_cert_make(&other, "other");
    assert_int_equal(tls_server_new(cert.cert_file, other.key_file, &t), ERR_INVALID);
    fixture_cert_remove(&other);
    assert_int_equal(tls_client_new("/nonexistent", true, &c), ERR_INVALID);
    assert_true(t == NULL && c == NULL);
}

/* --- stack --- */

static void measure_handshake(const char *key_type)
{
    loop_measure_stacks(loop, true);
    run(echo_server, echo_client);
    size_t used = loop_get_stats(loop).stack_used_max_bytes;
    print_message("deepest stack of a TLS handshake (%s) and echo, client or server: %zu bytes\n", key_type,
                  used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(used <= FIBER_STACK_SIZE / 2);
#endif
}

static void handshake_stack_ec(void **state)
{
    (void)state;
    measure_handshake("P-256");
}

static void handshake_stack_rsa(void **state)
{
    (void)state;
    fixture_cert_write_rsa(&cert, "mail.example.test");
    tls_client_free(&tls_verifying);
    assert_int_equal(tls_client_new(cert.cert_file, true, &tls_verifying), OK);
    assert_int_equal(tls_server_reload(tls), OK);
    measure_handshake("RSA-2048");
}

int main(void)
{
#define TLS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    log_set_level(LOG_LEVEL_ERROR + 1); /* the bad files' causes */
    const struct CMUnitTest tests[] = {
        TLS_TEST(echo),
        TLS_TEST(byte_at_a_time),
        cmocka_unit_test(rubbish_is_no_handshake),
        TLS_TEST(a_silent_peer_times_out),
        TLS_TEST(the_name_is_verified),
        TLS_TEST(plaintext_before_the_handshake_is_dropped),
        TLS_TEST(parking_with_tls),
        TLS_TEST(a_record_that_tls_holds_wakes),
        TLS_TEST(a_record_without_data_does_not_wake),
        TLS_TEST(reload),
        cmocka_unit_test(bad_files),
        TLS_TEST(handshake_stack_ec),
        TLS_TEST(handshake_stack_rsa),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
