/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/net/tls_fixture.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

struct stream *server, *client;
struct fixture_cert cert;
struct tls_server *tls;
struct tls_client *tls_verifying;

int tls_setup_group(void **state)
{
    (void)state;
    fixture_cert_make(&cert, "mail.example.test");
    return tls_server_new(cert.cert_file, cert.key_file, &tls) != OK ||
           tls_client_new(cert.cert_file, true, &tls_verifying) != OK;
}

int tls_teardown_group(void **state)
{
    (void)state;
    tls_server_free(&tls);
    tls_client_free(&tls_verifying);
    fixture_cert_remove(&cert);
    return 0;
}

int tls_setup(void **state)
{
    (void)state;
    return pair_open(&client, &server);
}

int tls_teardown(void **state)
{
    (void)state;
    return pair_close(&client, &server);
}

void tls_renew_cert(bool rsa)
{
    if (rsa)
        fixture_cert_write_rsa(&cert, "mail.example.test");
    else
        fixture_cert_write(&cert, "mail.example.test");
    tls_client_free(&tls_verifying);
    assert_int_equal(tls_client_new(cert.cert_file, true, &tls_verifying), OK);
    assert_int_equal(tls_server_reload(tls), OK);
}

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

void echo_server(void *arg)
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

void expect_echo(size_t size)
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

void echo_client(void *arg)
{
    (void)arg;
    assert_int_equal(stream_start_tls_client(client, tls_verifying, "mail.example.test", soon()), OK);
    static const size_t sizes[] = { 1, 100, 16384, 16385, 100000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_echo(sizes[i]);
    stream_shutdown(client, soon());
}

void nothing(void *arg)
{
    (void)arg;
}
