/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* TLS 1.2: forward secrecy and AEAD. TLS 1.3 has nothing else. */
static const char tls12_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char groups[] = "X25519:P-256:P-384";

enum { TICKET_KEYS_SIZE = 80 };

struct tls_server {
    char *cert_file, *key_file;
    pthread_mutex_t lock; /* guards context */
    SSL_CTX *context;
};

struct tls_client {
    SSL_CTX *context;
    bool verify;
};

/* Log what OpenSSL says about `what`, and empty its list. */
static enum err failed(const char *what, const char *file)
{
    char text[160] = "no reason given";
    unsigned long error = ERR_peek_error();
    if (error != 0)
        ERR_error_string_n(error, text, sizeof text);
    ERR_clear_error();
    log_error("tls", "%s%s%s: %s", what, file != NULL ? " " : "", file != NULL ? file : "", text);
    return ERR_INVALID;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (context == NULL)
        abort(); /* out of memory */
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Parked sessions are many: no buffers while nothing is in them, none of what only the handshake needed.
     */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(context, 1); /* a record's header and body in one system call */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

/* --- server --- */

static enum err load_server(const char *cert_file, const char *key_file, SSL_CTX **out)
{
    SSL_CTX *context = new_context(TLS_server_method());
    ERR_clear_error();
    enum err err = OK;
    if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
        err = failed("cannot use the certificate", cert_file);
    else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        err = failed("cannot use the private key", key_file);
    else if (SSL_CTX_check_private_key(context) != 1)
        err = failed("the private key does not belong to the certificate", cert_file);
    else if (SSL_CTX_set_cipher_list(context, tls12_ciphers) != 1 ||
             SSL_CTX_set1_groups_list(context, groups) != 1)
        err = failed("cannot choose ciphers", NULL);
    if (err != OK) {
        SSL_CTX_free(context);
        return err;
    }
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_num_tickets(context, 1); /* mail clients open few connections and keep them */
    *out = context;
    return OK;
}

enum err tls_server_new(const char *cert_file, const char *key_file, struct tls_server **out)
{
    SSL_CTX *context;
    TRY(load_server(cert_file, key_file, &context));
    struct tls_server *t = NEW(struct tls_server);
    t->cert_file = xstrdup(cert_file);
    t->key_file = xstrdup(key_file);
    t->context = context;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return OK;
}

void tls_server_free(struct tls_server **at)
{
    struct tls_server *t = *at;
    if (t == NULL)
        return;
    SSL_CTX_free(t->context);
    pthread_mutex_destroy(&t->lock);
    free(t->cert_file);
    free(t->key_file);
    free(t);
    *at = NULL;
}

/* Clients come back with tickets from before the reload: they stay good. */
static void keep_ticket_keys(SSL_CTX *from, SSL_CTX *to)
{
    unsigned char keys[TICKET_KEYS_SIZE];
    if (SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof keys) == 1)
        SSL_CTX_set_tlsext_ticket_keys(to, keys, sizeof keys);
    OPENSSL_cleanse(keys, sizeof keys);
}

enum err tls_server_reload(struct tls_server *t)
{
    SSL_CTX *context;
    TRY(load_server(t->cert_file, t->key_file, &context));
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->context;
    keep_ticket_keys(old, context);
    t->context = context;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old); /* connections made from it hold it too */
    log_info("tls", "loaded certificate %s again", t->cert_file);
    return OK;
}

struct ssl_st *tls_server_session(struct tls_server *t)
{
    pthread_mutex_lock(&t->lock);
    SSL *ssl = SSL_new(t->context);
    pthread_mutex_unlock(&t->lock);
    if (ssl == NULL)
        abort(); /* out of memory */
    return ssl;
}

/* --- client --- */

enum err tls_client_new(const char *ca_file, bool verify, struct tls_client **out)
{
    SSL_CTX *context = new_context(TLS_client_method());
    ERR_clear_error();
    int rc = ca_file == NULL ? SSL_CTX_set_default_verify_paths(context)
                             : SSL_CTX_load_verify_locations(context, ca_file, NULL);
    if (rc != 1) {
        SSL_CTX_free(context);
        return failed("cannot use the CA file", ca_file);
    }
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    struct tls_client *t = NEW(struct tls_client);
    t->context = context;
    t->verify = verify;
    *out = t;
    return OK;
}

void tls_client_free(struct tls_client **at)
{
    if (*at == NULL)
        return;
    SSL_CTX_free((*at)->context);
    free(*at);
    *at = NULL;
}

static bool is_ip(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool set_name(SSL *ssl, const char *name, bool verify)
{
    if (is_ip(name)) /* never in SNI: RFC 6066 section 3 */
        return !verify || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1 && (!verify || SSL_set1_host(ssl, name) == 1);
}

struct ssl_st *tls_client_session(struct tls_client *t, const char *name)
{
    if (name == NULL && t->verify)
        return NULL;
    SSL *ssl = SSL_new(t->context);
    if (ssl == NULL)
        abort(); /* out of memory */
    if (name != NULL && !set_name(ssl, name, t->verify)) {
        ERR_clear_error();
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}
