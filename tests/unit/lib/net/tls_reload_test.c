/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that are renewed while tickets survive, and files that cannot be used. */
#include <openssl/ssl.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/fiber/work.h"
#include "tests/unit/lib/net/tls_fixture.h"

/* A plain blocking OpenSSL client on another thread. */
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

    tls_renew_cert(false);
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

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR + 1); /* the bad files' causes */
    const struct CMUnitTest tests[] = {
        TLS_TEST(reload),
        cmocka_unit_test(bad_files),
    };
    return cmocka_run_group_tests(tests, tls_setup_group, tls_teardown_group);
}
