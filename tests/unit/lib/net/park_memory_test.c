/* SPDX-License-Identifier: Apache-2.0 */
/* What a parked connection costs this process: many clients in a child process, one loop here that serves
 * them until all are parked. The stream's own part of the goal (12 KiB plain, 40 KiB with TLS, session and
 * mailbox included). */
#include <malloc.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/net/listener.h"
#include "lib/net/tls.h"
#include "tests/unit/lib/net/net_fixture.h"

enum { CONNECTIONS = 2000, PLAIN_GOAL_BYTES = 2 * 1024, TLS_GOAL_BYTES = 24 * 1024 };

static struct loop *loop;
static size_t parked, awake;

static void finish(void *arg)
{
    struct stream *s = arg;
    stream_close(&s);
    if (--awake == 0)
        loop_stop(loop);
}

static void on_wake(struct stream *s, enum stream_wake why, void *arg)
{
    assert_int_equal(why, STREAM_WAKE_INPUT); /* the client's end */
    assert_int_equal(fiber_spawn(loop, "finish", finish, s), OK);
}

/* A greeting, one line back and forth, then idle. */
static void serve(struct stream *s, void *arg)
{
    struct slice line;
    if (stream_write_str(s, "* OK ready\r\n") != OK || stream_flush(s) != OK ||
        stream_read_line(s, 512, loop_deadline_ms(60000), &line) != OK)
        abort();
    stream_consume(s, line.len);
    if (stream_write_str(s, "+ idling\r\n") != OK || stream_flush(s) != OK)
        abort();
    stream_park(s, loop_deadline_ms(1800000), on_wake, NULL);
    awake++;
    if (++parked == CONNECTIONS)
        loop_stop(loop);
}

static void client_lines(int fd, SSL *ssl)
{
    char text[64];
    if (ssl != NULL) {
        SSL_set_fd(ssl, fd);
        if (SSL_connect(ssl) != 1 || SSL_read(ssl, text, sizeof text) <= 0 ||
            SSL_write(ssl, "a IDLE\r\n", 8) != 8)
            _exit(1);
    } else if (read(fd, text, sizeof text) <= 0 || write(fd, "a IDLE\r\n", 8) != 8) {
        _exit(1);
    }
}

/* Opens all connections, then keeps them until the pipe ends. */
static void run_clients(const struct addr *to, bool with_tls, int until_fd)
{
    SSL_CTX *context = with_tls ? SSL_CTX_new(TLS_client_method()) : NULL;
    for (int i = 0; i < CONNECTIONS; i++) {
        struct sockaddr_storage sa;
        socklen_t len = addr_to_sockaddr(to, &sa);
        int fd = socket(sa.ss_family, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) != 0)
            _exit(1);
        client_lines(fd, with_tls ? SSL_new(context) : NULL);
    }
    char byte;
    ssize_t n = read(until_fd, &byte, 1);
    _exit(n == 0 ? 0 : 1);
}

static size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t pages = 0;
    assert_true(f != NULL && fscanf(f, "%*u %zu", &pages) == 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t measure(struct tls_server *tls)
{
    struct listener_config config = { .name = "test", .serve = serve, .tls = tls };
    struct listener *listener;
    assert_int_equal(addr_parse(SLICE_LIT("127.0.0.1:0"), 0, &config.addr), OK);
    assert_int_equal(listener_bind(&config, &listener), OK);
    struct addr to = listener_addr(listener);
    int until[2];
    assert_int_equal(pipe(until), 0);
    pid_t child = fork();
    if (child == 0) {
        close(until[1]);
        run_clients(&to, tls != NULL, until[0]);
    }
    close(until[0]);
    parked = awake = 0;
    assert_int_equal(loop_new(&loop), OK);
    listener_start(listener, &loop, 1, 0);
    size_t resident_before = resident_bytes();
    size_t heap_before = mallinfo2().uordblks;
    loop_run(loop);
    assert_int_equal(loop_get_stats(loop).fibers, 0);
    size_t heap = mallinfo2().uordblks - heap_before;
    size_t resident = resident_bytes() - resident_before;
    print_message("%s: %zu bytes of heap, %zu of resident memory a parked connection (%d open)\n",
                  tls != NULL ? "TLS" : "plain", heap / CONNECTIONS, resident / CONNECTIONS, CONNECTIONS);
    close(until[1]);
    loop_run(loop); /* until all of them have ended */
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    listener_free(&listener);
    loop_free(&loop);
    return resident / CONNECTIONS;
}

static void plain(void **state)
{
    (void)state;
    size_t bytes = measure(NULL);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(bytes <= PLAIN_GOAL_BYTES);
#endif
    (void)bytes;
}

static void with_tls(void **state)
{
    (void)state;
    struct fixture_cert cert;
    struct tls_server *tls;
    fixture_cert_make(&cert, "localhost");
    assert_int_equal(tls_server_new(cert.cert_file, cert.key_file, &tls), OK);
    size_t bytes = measure(tls);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(bytes <= TLS_GOAL_BYTES);
#endif
    (void)bytes;
    tls_server_free(&tls);
    fixture_cert_remove(&cert);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL); /* streams do not rely on it being ignored */
    const struct CMUnitTest tests[] = { cmocka_unit_test(plain), cmocka_unit_test(with_tls) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
