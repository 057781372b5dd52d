/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts (OpenSSL): TLS 1.2 and 1.3, forward-secret AEAD suites only, no compression, no renegotiation.
 * A context is shared by all threads; each connection keeps the one it started with. Handshakes are
 * stream.h's. */
#ifndef LIB_NET_TLS_H
#define LIB_NET_TLS_H

#include <stdbool.h>

#include "lib/base/err.h"

struct tls_server;
struct tls_client;
struct ssl_st;

/* Certificate chain and private key, both PEM; paths are copied. ERR_INVALID (file missing, unreadable, not
 * PEM, key does not match): the cause is logged with the file's name. */
MUST_CHECK enum err tls_server_new(const char *cert_file, const char *key_file, struct tls_server **out);
void tls_server_free(struct tls_server **t); /* connections made from it live on */
/* Read the files again. New handshakes use what they say now, and old session tickets stay good. On
 * ERR_INVALID (logged) the old certificate stays in use. Thread-safe; blocks on file I/O. */
MUST_CHECK enum err tls_server_reload(struct tls_server *t);

/* For connections that we make. ca_file NULL: the system's store. With verify the chain and the name given at
 * the handshake must be right; without it anything goes (opportunistic). ERR_INVALID: logged. */
MUST_CHECK enum err tls_client_new(const char *ca_file, bool verify, struct tls_client **out);
void tls_client_free(struct tls_client **t);

/* One connection's state, for stream.c. Never NULL. */
struct ssl_st *tls_server_session(struct tls_server *t);
/* `name` is for SNI and verification (a DNS name or an IP address); may be NULL without verification. NULL if
 * the name cannot be used. */
struct ssl_st *tls_client_session(struct tls_client *t, const char *name);

#endif
