/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on a stream. OpenSSL reads and writes the socket itself through a BIO of ours (no SIGPIPE, bytes are
 * counted, a short read is noticed), so records are decrypted from its buffer straight into the stream's. Its
 * buffers exist only while they hold something (SSL_MODE_RELEASE_BUFFERS).
 *
 * OpenSSL keeps its errors a thread, not a connection: they are cleared before a call and read right after
 * it, with nothing in between that yields. */
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/net/stream_priv.h"
#include "lib/net/tls.h"

void stream_keep_input_for_tls(struct stream *s)
{
    if (!stream_has_input(s))
        return;
    s->preread = NEW(struct stream_preread);
    *s->preread = (struct stream_preread){ .data = s->in, .start = s->in_start, .end = s->in_end };
    s->in = NULL;
    stream_drop_input(s);
}

void stream_free_preread(struct stream *s)
{
    if (s->preread == NULL)
        return;
    free(s->preread->data);
    free(s->preread);
    s->preread = NULL;
}

/* --- the socket as a BIO --- */

static size_t take_preread(struct stream *s, char *dst, size_t size)
{
    struct stream_preread *pre = s->preread;
    size_t len = pre->end - pre->start < size ? pre->end - pre->start : size;
    memcpy(dst, pre->data + pre->start, len);
    pre->start += len;
    if (pre->start == pre->end)
        stream_free_preread(s);
    s->may_read = true;
    return len;
}

static int bio_read(BIO *bio, char *dst, int size)
{
    struct stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (s->preread != NULL)
        return (int)take_preread(s, dst, (size_t)size);
    ssize_t n = recv(s->fd, dst, (size_t)size, 0);
    if (n > 0) {
        s->may_read = n == size;
        s->bytes_in += (uint64_t)n;
        s->ack_owed = true;
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        s->may_read = false;
        BIO_set_retry_read(bio);
    }
    return (int)n;
}

static int bio_write(BIO *bio, const char *src, int size)
{
    struct stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = send(s->fd, src, (size_t)size, MSG_NOSIGNAL);
    if (n > 0) {
        s->bytes_out += (uint64_t)n;
        s->ack_owed = false;
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH; /* nothing is held back here; nothing else is supported */
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (bio_method != NULL) {
        BIO_meth_set_read(bio_method, bio_read);
        BIO_meth_set_write(bio_method, bio_write);
        BIO_meth_set_ctrl(bio_method, bio_ctrl);
    }
}

static bool attach(struct stream *s, SSL *ssl)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    BIO *bio = bio_method == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL)
        return false;
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    s->ssl = ssl;
    return true;
}

/* --- one attempt --- */

static void note_tls_error(struct stream *s, int saved_errno)
{
    unsigned long error = ERR_peek_last_error();
    const char *text = error == 0 ? NULL : ERR_reason_error_string(error);
    if (text != NULL)
        s->fail_text = text;
    else if (saved_errno != 0)
        stream_note_errno(s, saved_errno);
    else
        s->fail_text = "TLS failed";
}

static enum io_result result_of(struct stream *s, int rc, int saved_errno)
{
    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_NONE:
        return IO_OK;
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_END;
    default:
        note_tls_error(s, saved_errno);
        ERR_clear_error();
        return IO_FAILED;
    }
}

enum io_result stream_tls_read(struct stream *s, void *dst, size_t size, size_t *len_out)
{
    ERR_clear_error();
    errno = 0;
    return result_of(s, SSL_read_ex(s->ssl, dst, size, len_out), errno);
}

enum io_result stream_tls_write(struct stream *s, const void *src, size_t size, size_t *len_out)
{
    ERR_clear_error();
    errno = 0;
    return result_of(s, SSL_write_ex(s->ssl, src, size, len_out), errno);
}

bool stream_tls_input_ready(struct stream *s)
{
    char byte;
    size_t len;
    ERR_clear_error();
    errno = 0;
    return result_of(s, SSL_peek_ex(s->ssl, &byte, 1, &len), errno) != IO_WANT_READ;
}

void stream_tls_say_goodbye(struct stream *s)
{
    if (s->ssl == NULL)
        return;
    ERR_clear_error();
    SSL_shutdown(s->ssl); /* one alert; if the socket is full it is not worth waiting for */
    ERR_clear_error();
}

/* --- handshake --- */

static enum err handshake_failed(struct stream *s)
{
    long verified = SSL_get_verify_result(s->ssl);
    if (verified != X509_V_OK && !SSL_is_server(s->ssl)) {
        s->fail_text = X509_verify_cert_error_string(verified);
        return ERR_AUTH;
    }
    return ERR_INVALID;
}

static enum err shake_hands(struct stream *s, uint64_t deadline_ms)
{
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_do_handshake(s->ssl);
        switch (result_of(s, rc, errno)) {
        case IO_OK:
            return OK;
        case IO_WANT_READ:
            TRY(stream_wait_io(s, STREAM_READER, IO_WANT_READ, deadline_ms));
            break;
        case IO_WANT_WRITE:
            TRY(stream_wait_io(s, STREAM_READER, IO_WANT_WRITE, deadline_ms));
            break;
        case IO_END:
            return ERR_CLOSED;
        case IO_FAILED:
            return handshake_failed(s);
        }
    }
}

static enum err start_tls(struct stream *s, SSL *ssl, uint64_t deadline_ms)
{
    assert(s->ssl == NULL);
    stream_drop_input(s); /* RFC 3207 section 4.2, RFC 9051 section 6.2.1 */
    if (!attach(s, ssl)) {
        SSL_free(ssl);
        return ERR_INTERNAL;
    }
    enum err err = shake_hands(s, deadline_ms);
    if (err != OK)
        s->read_fail = s->write_fail = err;
    return err;
}

enum err stream_start_tls_server(struct stream *s, struct tls_server *tls, uint64_t deadline_ms)
{
    TRY(stream_flush(s));
    SSL *ssl = tls_server_session(tls);
    SSL_set_accept_state(ssl);
    return start_tls(s, ssl, deadline_ms);
}

enum err stream_start_tls_client(struct stream *s, struct tls_client *tls, const char *server_name,
                                 uint64_t deadline_ms)
{
    TRY(stream_flush(s));
    SSL *ssl = tls_client_session(tls, server_name);
    if (ssl == NULL)
        return ERR_INVALID;
    SSL_set_connect_state(ssl);
    return start_tls(s, ssl, deadline_ms);
}

/* --- about it --- */

bool stream_is_tls(const struct stream *s)
{
    return s->ssl != NULL;
}

const char *stream_tls_version(const struct stream *s)
{
    return s->ssl == NULL ? NULL : SSL_get_version(s->ssl);
}

const char *stream_tls_cipher(const struct stream *s)
{
    return s->ssl == NULL ? NULL : SSL_get_cipher_name(s->ssl);
}

const char *stream_tls_sni(const struct stream *s)
{
    return s->ssl == NULL ? NULL : SSL_get_servername(s->ssl, TLSEXT_NAMETYPE_host_name);
}

int stream_tls_bits(const struct stream *s)
{
    return s->ssl == NULL ? 0 : SSL_get_cipher_bits(s->ssl, NULL);
}

bool stream_tls_resumed(const struct stream *s)
{
    return s->ssl != NULL && SSL_session_reused(s->ssl);
}
