/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/net/proxy.h"

#define V2         "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(lit) (lit), sizeof(lit) - 1

static const struct {
    const char *data;
    size_t len;
    enum proxy_result result;
    size_t consumed;
    const char *peer, *local; /* NULL: no addresses */
    bool tls;
} cases[] = {
    { BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1024 25\r\nEHLO"), PROXY_DONE, 40, "192.0.2.1:1024",
      "192.0.2.2:25", 0 },
    { BYTES("PROXY TCP6 2001:db8::1 ::1 65535 143\r\n"), PROXY_DONE, 38, "[2001:db8::1]:65535", "[::1]:143",
      0 },
    { BYTES("PROXY UNKNOWN\r\n"), PROXY_DONE, 15, NULL, NULL, 0 },
    { BYTES("PROXY UNKNOWN ffff::1 rubbish\r\n"), PROXY_DONE, 31, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1024 25\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1024 25 \r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4  192.0.2.1 192.0.2.2 1024 25\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1/32 192.0.2.2 1024 25\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1024 65536\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 01 25\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 ::1 ::1 1 25\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1024\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY \r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("EHLO x\r\n"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("PROXY UNKNOWN 45678901234567890123456789012345678901234567890123456789012345678901234567890"
            "123456789012345678901234567890"),
      PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\4\0\0\x19more"), PROXY_DONE, 28, "192.0.2.1:1024",
      "192.0.2.2:25", 0 },
    { BYTES(V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xff\xff"
               "\0\x8f"),
      PROXY_DONE, 52, "[2001:db8::1]:65535", "[::1]:143", 0 },
    { BYTES(V2 "\x20\0\0\0"), PROXY_DONE, 16, NULL, NULL, 0 },
    { BYTES(V2 "\x20\x11\0\x02xx"), PROXY_DONE, 18, NULL, NULL, 0 },
    { BYTES(V2 "\x21\x31\0\x03xxx"), PROXY_DONE, 19, NULL, NULL, 0 },
    { BYTES(V2 "\x21\x11\0\x18\xc0\0\2\1\xc0\0\2\2\4\0\0\x19\4\0\1n\x20\0\5\1\0\0\0\0"), PROXY_DONE, 40,
      "192.0.2.1:1024", "192.0.2.2:25", 1 },
    { BYTES(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\4\0\0\x19"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES(V2 "\x21\x11\0\x0d\xc0\0\2\1\xc0\0\2\2\4\0\0\x19\4"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES(V2 "\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\4\0\0\x19"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES(V2 "\x11\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\4\0\0\x19"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES(V2 "\x21\x11\xff\xff"), PROXY_BAD, 0, NULL, NULL, 0 },
    { BYTES("\r\n\r\nx"), PROXY_BAD, 0, NULL, NULL, 0 },
};

/* What the first `len` bytes come to; the copy lets a sanitizer see a read past them. */
static enum proxy_result parse_prefix(size_t i, size_t len, struct proxy_header *header, size_t *consumed)
{
    uint8_t *copy = xmemdup(cases[i].data, len);
    enum proxy_result result = proxy_parse(slice_of(copy, len), header, consumed);
    free(copy);
    return result;
}

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct proxy_header header;
        size_t consumed;
        assert_int_equal(parse_prefix(i, cases[i].len, &header, &consumed), cases[i].result);
        if (cases[i].result != PROXY_DONE)
            continue;
        assert_int_equal(consumed, cases[i].consumed);
        assert_int_equal(header.has_addrs, cases[i].peer != NULL);
        assert_int_equal(header.client_tls, cases[i].tls);
        if (header.has_addrs) {
            assert_string_equal(addr_format(&header.peer).text, cases[i].peer);
            assert_string_equal(addr_format(&header.local).text, cases[i].local);
        }
    }
}

/* The answer to a prefix is the final one or "more", and never changes once it is final. */
static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum proxy_result last = PROXY_MORE;
        for (size_t len = 0; len <= cases[i].len; len++) {
            struct proxy_header header;
            size_t consumed;
            enum proxy_result result = parse_prefix(i, len, &header, &consumed);
            if (last != PROXY_MORE)
                assert_int_equal(result, last);
            if (result == PROXY_DONE)
                assert_true(len >= cases[i].consumed);
            last = result;
        }
        assert_int_equal(last, cases[i].result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(byte_by_byte) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
