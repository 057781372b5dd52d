/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/net/net_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/timer.h"

/* --- certificates --- */

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(ext);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
}

static void write_cert(struct fixture_cert *cert, const char *name, EVP_PKEY *key)
{
    X509 *x = X509_new();
    assert_true(key != NULL && x != NULL);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)(intptr_t)x & 0xffffff);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1,
                               -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    char *san = xasprintf("DNS:%s,IP:127.0.0.1", name);
    add_extension(x, NID_subject_alt_name, san);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    free(san);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(cert->cert_file, "w");
    assert_true(f != NULL && PEM_write_X509(f, x) == 1);
    fclose(f);
    f = fopen(cert->key_file, "w");
    assert_true(f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    X509_free(x);
    EVP_PKEY_free(key);
}

void fixture_cert_write(struct fixture_cert *cert, const char *name)
{
    write_cert(cert, name, EVP_EC_gen("P-256"));
}

void fixture_cert_write_rsa(struct fixture_cert *cert, const char *name)
{
    write_cert(cert, name, EVP_RSA_gen(2048));
}

void fixture_cert_make(struct fixture_cert *cert, const char *name)
{
    snprintf(cert->dir, sizeof cert->dir, "/tmp/net_test.XXXXXX");
    assert_non_null(mkdtemp(cert->dir));
    snprintf(cert->cert_file, sizeof cert->cert_file, "%s/cert.pem", cert->dir);
    snprintf(cert->key_file, sizeof cert->key_file, "%s/key.pem", cert->dir);
    fixture_cert_write(cert, name);
}

void fixture_cert_remove(struct fixture_cert *cert)
{
    unlink(cert->cert_file);
    unlink(cert->key_file);
    rmdir(cert->dir);
}

/* --- running --- */

struct fixture_fiber {
    void (*fn)(void *arg);
    void *arg;
};

static size_t running;

static void fixture_main(void *arg)
{
    struct fixture_fiber *f = arg;
    f->fn(f->arg);
    free(f);
    if (--running == 0)
        loop_stop(loop_self());
}

void fixture_spawn(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct fixture_fiber *f = NEW(struct fixture_fiber);
    *f = (struct fixture_fiber){ fn, arg };
    running++;
    assert_int_equal(fiber_spawn(loop, "test", fixture_main, f), OK);
}

static void too_long(void *arg)
{
    (void)arg;
    fprintf(stderr, "the test's fibers do not end\n");
    abort();
}

void fixture_run(struct loop *loop)
{
    struct timer timer = { 0 };
    timer_start(loop, &timer, loop_deadline_ms(60000), too_long, NULL);
    loop_run(loop);
    timer_stop(&timer);
}

/* --- connections --- */

static void tcp_pair(int fds[2])
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof sa;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&sa, len), 0);
    fds[1] = accept(listening, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listening);
}

void fixture_pair(struct loop *loop, struct stream **a_out, struct stream **b_out)
{
    int fds[2];
    tcp_pair(fds);
    *a_out = stream_new(loop, fds[0]);
    *b_out = stream_new(loop, fds[1]);
}

int fixture_half(struct loop *loop, struct stream **out)
{
    int fds[2];
    tcp_pair(fds);
    *out = stream_new(loop, fds[0]);
    return fds[1];
}
