/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners on two loops (two threads), with blocking clients on this one. */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/net/listener.h"
#include "lib/net/tls.h"
#include "tests/unit/lib/net/net_fixture.h"

enum { LOOPS = 2 };
static struct loop *loops[LOOPS];
static pthread_t threads[LOOPS];
static struct listener *listener;
static atomic_uint served_on[LOOPS];

static void *run_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

/* Greets with the peer's address, then echoes lines until the end or a drain. */
static void serve_echo(struct stream *s, void *arg)
{
    assert_ptr_equal(arg, &served_on);
    for (int i = 0; i < LOOPS; i++)
        if (stream_loop(s) == loops[i])
            atomic_fetch_add(&served_on[i], 1);
    struct addr_text ip = addr_format_ip(stream_peer(s));
    struct slice line;
    enum err err = stream_printf(s, "hello %s\n", ip.text);
    while (err == OK && (err = stream_flush(s)) == OK &&
           (err = stream_read_line(s, 1000, loop_deadline_ms(10000), &line)) == OK) {
        err = stream_write(s, line);
        stream_consume(s, line.len);
    }
    if (err == ERR_CANCELLED && stream_write_str(s, "bye\n") == OK)
        stream_shutdown(s, loop_deadline_ms(30000));
    stream_close(&s);
}

static struct listener_config plain_config(void)
{
    struct listener_config config = { .name = "test", .serve = serve_echo, .arg = &served_on };
    config.refusal = SLICE_LIT("too many\n");
    assert_int_equal(addr_parse(SLICE_LIT("127.0.0.1:0"), 0, &config.addr), OK);
    return config;
}

static void start(const struct listener_config *config)
{
    assert_int_equal(listener_bind(config, &listener), OK);
    for (int i = 0; i < LOOPS; i++) {
        atomic_store(&served_on[i], 0);
        assert_int_equal(loop_new(&loops[i]), OK);
    }
    listener_start(listener, loops, LOOPS, 0);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, loops[i]), 0);
}

static void wait_for_connections(size_t count)
{
    for (int i = 0; listener_connections(listener) != count; i++) {
        assert_true(i < 5000);
        usleep(1000);
    }
}

static void stop(void)
{
    listener_stop(listener);
    wait_for_connections(0);
    for (int i = 0; i < LOOPS; i++) {
        loop_stop(loops[i]);
        pthread_join(threads[i], NULL);
    }
    listener_free(&listener);
    for (int i = 0; i < LOOPS; i++)
        loop_free(&loops[i]);
}

/* --- blocking clients --- */

static int dial(void)
{
    struct addr a = listener_addr(listener);
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&a, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    struct timeval patience = { .tv_sec = 10 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static void say(int fd, const void *text, size_t len)
{
    assert_int_equal(write(fd, text, len), len);
}

static void expect(int fd, const char *want)
{
    char got[256];
    size_t len = 0;
    while (len < strlen(want)) {
        ssize_t n = read(fd, got + len, strlen(want) - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, want, len);
}

static void expect_end(int fd)
{
    char byte;
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
}

/* --- tests --- */

static void connections_are_dealt_to_all_loops(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    start(&config);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = dial();
        expect(fds[i], "hello 127.0.0.1\n");
    }
    assert_int_equal(listener_connections(listener), 20);
    for (int i = 0; i < 20; i++) {
        say(fds[i], "abc\n", 4);
        expect(fds[i], "abc\n");
        close(fds[i]);
    }
    stop();
    assert_int_equal(atomic_load(&served_on[0]), 10);
    assert_int_equal(atomic_load(&served_on[1]), 10);
}

static void beyond_the_bound_is_refused_with_a_text(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    config.connections_max = 3;
    start(&config);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        expect(fds[i], "hello ");
    }
    int fd = dial();
    expect(fd, "too many\n");
    expect_end(fd);
    close(fds[1]);
    wait_for_connections(2);
    fds[1] = dial();
    expect(fds[1], "hello ");
    assert_int_equal(listener_get_stats(listener).refused, 1);
    assert_int_equal(listener_get_stats(listener).accepted, 5);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    stop();
}

static void one_peer_may_not_take_all(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    config.peer_connections_max = 2;
    start(&config);
    int a = dial(), b = dial();
    expect(a, "hello ");
    expect(b, "hello ");
    int c = dial();
    expect(c, "too many\n");
    expect_end(c);
    close(a);
    wait_for_connections(1);
    a = dial();
    expect(a, "hello ");
    close(a);
    close(b);
    stop();
}

static void a_port_in_use_is_an_error(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    start(&config);
    config.addr = listener_addr(listener);
    assert_true(config.addr.port != 0);
    struct listener *second = NULL;
    assert_int_equal(listener_bind(&config, &second), ERR_IN_USE);
    assert_int_equal(addr_parse(SLICE_LIT("192.0.2.1:0"), 0, &config.addr), OK);
    assert_int_equal(listener_bind(&config, &second), ERR_NOT_FOUND);
    stop();
}

static void any_serves_ipv4_and_ipv6(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    assert_int_equal(addr_parse(SLICE_LIT("*:0"), 0, &config.addr), OK);
    start(&config);
    struct addr a;
    assert_int_equal(addr_parse(SLICE_LIT("127.0.0.1"), listener_addr(listener).port, &a), OK);
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&a, &sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    expect(fd, "hello 127.0.0.1\n");
    close(fd);
    stop();
}

static void drain_says_bye_and_abort_cuts(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    start(&config);
    int fds[10];
    for (int i = 0; i < 10; i++) {
        fds[i] = dial();
        expect(fds[i], "hello 127.0.0.1\n");
    }
    listener_drain(listener);
    for (int i = 0; i < 10; i++)
        expect(fds[i], "bye\n");
    assert_true(listener_connections(listener) > 0); /* they wait for our end, but not for ever */
    listener_abort(listener);
    for (int i = 0; i < 10; i++)
        expect_end(fds[i]);
    struct addr a = listener_addr(listener);
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&a, &sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), -1); /* nobody listens */
    close(fd);
    stop();
}

static void out_of_files(void **state)
{
    (void)state;
    struct listener_config config = plain_config();
    start(&config);
    int probe = dup(0); /* the lowest free number */
    close(probe);
    struct rlimit before, tight;
    getrlimit(RLIMIT_NOFILE, &before);
    int waiting = dial(); /* opened now, accepted ... */
    expect(waiting, "hello ");
    int late[2] = { socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0) };
    tight = before;
    tight.rlim_cur = (rlim_t)late[1] + 1;
    setrlimit(RLIMIT_NOFILE, &tight);
    struct addr a = listener_addr(listener);
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&a, &sa);
    assert_int_equal(connect(late[0], (struct sockaddr *)&sa, len), 0);
    expect(late[0], "too many\n"); /* told at once instead of waiting in the queue */
    expect_end(late[0]);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(connect(late[1], (struct sockaddr *)&sa, len), 0);
    expect(late[1], "hello "); /* and it goes on after the pause */
    close(late[1]);
    close(waiting);
    stop();
}

/* --- proxy header and TLS --- */

static SSL *handshake(int fd, SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    return ssl;
}

static void expect_tls(SSL *ssl, const char *want)
{
    char got[64] = "";
    size_t len = 0;
    while (len < strlen(want)) {
        int n = SSL_read(ssl, got + len, (int)(strlen(want) - len));
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_string_equal(got, want);
}

static const char proxy_line[] = "PROXY TCP4 192.0.2.9 192.0.2.1 1000 993\r\n";
enum { PROXY_LINE_LEN = sizeof proxy_line - 1, CLIENT_HELLO_MAX = 2048 };

static void header_byte_at_a_time(SSL_CTX *context)
{
    int fd = dial();
    for (size_t i = 0; i < PROXY_LINE_LEN; i++)
        say(fd, proxy_line + i, 1);
    SSL *ssl = handshake(fd, context);
    expect_tls(ssl, "hello 192.0.2.9\n");
    SSL_free(ssl);
    close(fd);
}

/* A memory BIO makes the first flight, so that it can travel with the header. */
static void header_and_client_hello_in_one_packet(SSL_CTX *context)
{
    int fd = dial();
    BIO *out = BIO_new(BIO_s_mem());
    SSL *ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    char packet[PROXY_LINE_LEN + CLIENT_HELLO_MAX];
    memcpy(packet, proxy_line, PROXY_LINE_LEN);
    int hello = BIO_read(out, packet + PROXY_LINE_LEN, CLIENT_HELLO_MAX);
    assert_true(hello > 0);
    say(fd, packet, PROXY_LINE_LEN + (size_t)hello);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_do_handshake(ssl), 1);
    expect_tls(ssl, "hello 192.0.2.9\n");
    SSL_free(ssl);
    close(fd);
}

static void proxied_and_tls(void **state)
{
    (void)state;
    struct fixture_cert cert;
    fixture_cert_make(&cert, "localhost");
    struct listener_config config = plain_config();
    assert_int_equal(tls_server_new(cert.cert_file, cert.key_file, &config.tls), OK);
    struct addr_net nets[1];
    assert_int_equal(addr_net_parse(SLICE_LIT("127.0.0.0/8"), &nets[0]), OK);
    config.proxy_nets = nets;
    config.proxy_nets_count = 1;
    start(&config);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    header_byte_at_a_time(context);
    header_and_client_hello_in_one_packet(context);
    int fd = dial();
    say(fd, "EHLO\r\n", 6); /* a balancer must send the header */
    expect_end(fd);
    wait_for_connections(0);
    assert_int_equal(listener_get_stats(listener).failed_handshakes, 1);
    stop();
    SSL_CTX_free(context);
    tls_server_free(&config.tls);
    fixture_cert_remove(&cert);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_dealt_to_all_loops),
        cmocka_unit_test(beyond_the_bound_is_refused_with_a_text),
        cmocka_unit_test(one_peer_may_not_take_all),
        cmocka_unit_test(a_port_in_use_is_an_error),
        cmocka_unit_test(any_serves_ipv4_and_ipv6),
        cmocka_unit_test(drain_says_bye_and_abort_cuts),
        cmocka_unit_test(out_of_files),
        cmocka_unit_test(proxied_and_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
