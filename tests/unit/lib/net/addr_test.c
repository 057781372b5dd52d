/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/net/addr.h"
#include "lib/net/peer_count.h"

static void endpoints(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t default_port;
        const char *formatted; /* NULL: ERR_SYNTAX */
    } cases[] = {
        { "127.0.0.1:2525", 0, "127.0.0.1:2525" },
        { "127.0.0.1", 25, "127.0.0.1:25" },
        { "127.0.0.1", 0, NULL },
        { "[::1]:25", 0, "[::1]:25" },
        { "[::1]", 143, "[::1]:143" },
        { "::1", 143, "[::1]:143" },
        { "2001:DB8::0:1", 143, "[2001:db8::1]:143" },
        { "[fe80::1%7]:25", 0, "[fe80::1%7]:25" },
        { "[fe80::1%nosuchinterface]:25", 0, NULL },
        { "[fe80::1%]:25", 0, NULL },
        { "1.2.3.4%1:25", 0, NULL },
        { "*:143", 0, "*:143" },
        { "*", 143, "*:143" },
        { "*", 0, NULL },
        { "0.0.0.0:0", 1, "0.0.0.0:0" },
        { "1.2.3.4:65535", 0, "1.2.3.4:65535" },
        { "1.2.3.4:65536", 0, NULL },
        { "1.2.3.4:", 25, NULL },
        { "1.2.3.4:2x", 25, NULL },
        { "1.2.3.4: 25", 25, NULL },
        { "1.2.3:25", 0, NULL },
        { "1.2.3.256:25", 0, NULL },
        { "[1.2.3.4]:25", 0, NULL },
        { "[::1:25", 0, NULL },
        { "[::1]25", 0, NULL },
        { "[]:25", 0, NULL },
        { ":25", 0, NULL },
        { "", 25, NULL },
        { "localhost:25", 0, NULL },
        { "11111111111111111111111111111111111111111111111111111:25", 0, NULL },
        { "[1111:1111:1111:1111:1111:1111:111.111.111.111%4294967295]:65535", 0,
          "[1111:1111:1111:1111:1111:1111:6f6f:6f6f%4294967295]:65535" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a;
        enum err err = addr_parse(slice_str(cases[i].text), cases[i].default_port, &a);
        if (cases[i].formatted == NULL) {
            assert_int_equal(err, ERR_SYNTAX);
            continue;
        }
        assert_int_equal(err, OK);
        struct addr_text text = addr_format(&a);
        assert_string_equal(text.text, cases[i].formatted);
        if (a.family == ADDR_ANY)
            continue;
        struct sockaddr_storage sa;
        assert_true(addr_to_sockaddr(&a, &sa) > 0);
        struct addr back = addr_of_sockaddr(&sa);
        assert_true(addr_eq_ip(&a, &back));
        assert_int_equal(a.port, back.port);
    }
    assert_int_equal(addr_parse(slice_of("::1\0", 4), 25, &(struct addr){ 0 }), ERR_SYNTAX);
}

static struct addr parse(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(slice_str(text), 1, &a), OK);
    return a;
}

static void mapped_is_ipv4(void **state)
{
    (void)state;
    struct addr mapped = parse("::ffff:192.0.2.7");
    struct sockaddr_storage sa;
    addr_to_sockaddr(&mapped, &sa);
    struct addr a = addr_of_sockaddr(&sa), plain = parse("192.0.2.7");
    assert_true(addr_eq_ip(&a, &plain));
    assert_string_equal(addr_format_ip(&a).text, "192.0.2.7");
}

static void networks(void **state)
{
    (void)state;
    static const struct {
        const char *net, *addr;
        bool contains;
    } cases[] = {
        { "10.0.0.0/8", "10.255.1.2", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.0.0.0/8", "::a00:1", false },
        { "0.0.0.0/0", "203.0.113.9", true },
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "2001:db8::/32", "2001:db8:ff::1", true },
        { "2001:db8::/33", "2001:db8:8000::1", false },
        { "::/0", "2001::1", true },
        { "::1/128", "::1", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr_net net;
        assert_int_equal(addr_net_parse(slice_str(cases[i].net), &net), OK);
        struct addr a = parse(cases[i].addr);
        assert_int_equal(addr_net_contains(&net, &a), cases[i].contains);
    }
    static const char *const bad[] = {
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::1/129",      "/8",
        "",           "10/8",        "*",         "fe80::1%1",   "10.0.0.0:25/8"
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(addr_net_parse(slice_str(bad[i]), &(struct addr_net){ 0 }), ERR_SYNTAX);
}

static void loopback(void **state)
{
    (void)state;
    struct addr a = parse("127.1.2.3"), b = parse("::1"), c = parse("128.0.0.1"), d = parse("::2"),
                e = parse("*");
    assert_true(addr_is_loopback(&a) && addr_is_loopback(&b));
    assert_false(addr_is_loopback(&c) || addr_is_loopback(&d) || addr_is_loopback(&e));
}

static void peers_are_counted_by_customer(void **state)
{
    (void)state;
    struct peer_count *p = peer_count_new(2);
    struct addr a = parse("192.0.2.1"), b = parse("192.0.2.2"), c = parse("2001:db8::1"),
                d = parse("2001:db8::2"), e = parse("2001:db8:0:1::2");
    assert_true(peer_count_enter(p, &a) && peer_count_enter(p, &a));
    assert_false(peer_count_enter(p, &a));
    assert_true(peer_count_enter(p, &b));
    assert_true(peer_count_enter(p, &c) && peer_count_enter(p, &d));
    assert_false(peer_count_enter(p, &d)); /* the same /64 */
    assert_true(peer_count_enter(p, &e));
    peer_count_leave(p, &a);
    assert_true(peer_count_enter(p, &a));
    peer_count_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints),
        cmocka_unit_test(mapped_is_ipv4),
        cmocka_unit_test(networks),
        cmocka_unit_test(loopback),
        cmocka_unit_test(peers_are_counted_by_customer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
