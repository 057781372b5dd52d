/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of TLS: the two ends of a connection, a certificate for mail.example.test, and an echo over both.
 */
#ifndef TESTS_UNIT_LIB_NET_TLS_FIXTURE_H
#define TESTS_UNIT_LIB_NET_TLS_FIXTURE_H

#include "lib/net/tls.h"
#include "tests/unit/lib/net/pair_fixture.h"

extern struct stream *server, *client;
extern struct fixture_cert cert;
extern struct tls_server *tls;
extern struct tls_client *tls_verifying; /* trusts that certificate alone */

/* Of a group: the certificate and whoever uses it. */
int tls_setup_group(void **state);
int tls_teardown_group(void **state);
/* A test with a connection of its own. */
#define TLS_TEST(name) cmocka_unit_test_setup_teardown(name, tls_setup, tls_teardown)
int tls_setup(void **state);
int tls_teardown(void **state);
/* Another certificate, with an RSA key or one of P-256, for server and client. */
void tls_renew_cert(bool rsa);

/* Fibers: a server that checks the handshake and sends back what comes; a client that sends some sizes. */
void echo_server(void *arg);
void echo_client(void *arg);
void nothing(void *arg);
/* Of such a client: send so many bytes, which come back. */
void expect_echo(size_t size);

#endif
