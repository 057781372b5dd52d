/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/ops/http.h"

static const char *reason;

static void not_ready(struct buf *reasons, void *arg)
{
    if (reason != NULL)
        buf_addf(reasons, "%s\n", reason);
}

/* Sends `request` as it is and reads until the server closes. */
static void exchange(const struct http *http, const char *request, struct buf *answer)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(http_port(http)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    ssize_t n;
    while ((n = read(fd, buf_reserve(answer, 4096), 4096)) > 0)
        answer->len += (size_t)n;
    close(fd);
}

static void expect(const struct http *http, const char *request, const char *first_line, const char *body)
{
    struct buf answer = { 0 };
    exchange(http, request, &answer);
    if (strncmp(buf_cstr(&answer), first_line, strlen(first_line)) != 0)
        fail_msg("%s got %s", request, buf_cstr(&answer));
    const char *got = strstr(buf_cstr(&answer), "\r\n\r\n");
    assert_non_null(got);
    if (strstr(got + 4, body) == NULL)
        fail_msg("%s got body %s", request, got + 4);
    buf_fini(&answer);
}

static void test_pages(void **state)
{
    struct http *http = NULL;
    struct http_options options = { .listen = "127.0.0.1:0", .not_ready = not_ready };
    assert_int_equal(http_start(&options, &http), OK);
    expect(http, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "ok\n");
    expect(http, "GET /readyz HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "ok\n");
    reason = "no map yet";
    expect(http, "GET /readyz HTTP/1.0\r\n\r\n", "HTTP/1.1 503", "no map yet\n");
    expect(http, "GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "");
    expect(http, "GET /nothing HTTP/1.0\r\n\r\n", "HTTP/1.1 404", "try");
    expect(http, "POST /healthz HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405", "only");
    http_stop(&http);
    assert_null(http);
}

static void test_rubbish(void **state)
{
    struct http *http = NULL;
    struct http_options options = { .listen = "127.0.0.1:0" };
    assert_int_equal(http_start(&options, &http), OK);
    struct buf answer = { 0 };
    exchange(http, "\x01\x02\x03 rubbish\r\n\r\n", &answer);
    buf_fini(&answer);
    expect(http, "GET /readyz HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "ok\n");
    http_stop(&http);
}

static void test_addresses(void **state)
{
    static const char *const wrong[] = { "",    "127.0.0.1",    "127.0.0.1:", "localhost:80",
                                         ":80", "1.2.3.4:http", "[::1:80" };
    struct http *http = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct http_options options = { .listen = wrong[i] };
        assert_int_equal(http_start(&options, &http), ERR_INVALID);
    }
    struct http_options any = { .listen = "*:0" };
    if (http_start(&any, &http) == OK) { /* without IPv6 in the kernel there is no "*" */
        expect(http, "GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "ok\n");
        http_stop(&http);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
