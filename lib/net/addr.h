/* SPDX-License-Identifier: Apache-2.0 */
/* IP endpoints and networks: text, kernel form, comparisons. No host names: those are the resolver's. */
#ifndef LIB_NET_ADDR_H
#define LIB_NET_ADDR_H

#include <sys/socket.h>

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum addr_family {
    ADDR_NONE, /* zero-initialised: no address (a socketpair) */
    ADDR_ANY,  /* "*": every address of this host, both families; only for listening */
    ADDR_IPV4,
    ADDR_IPV6,
};

struct addr {
    uint8_t ip[16]; /* network order; IPv4 uses the first four */
    uint32_t scope; /* IPv6 zone index, 0 for none */
    uint16_t port;
    uint8_t family; /* enum addr_family */
};

/* "127.0.0.1:2525", "[::1]:25", "[fe80::1%2]:25", "*:143". Without ":port" (then IPv6 may stand without
 * brackets) default_port is taken; 0 as default means that a port must be there. Port 0 is allowed (the
 * kernel chooses). ERR_SYNTAX otherwise. */
MUST_CHECK enum err addr_parse(struct slice text, uint16_t default_port, struct addr *out);

enum { ADDR_TEXT_MAX = 72 };
struct addr_text {
    char text[ADDR_TEXT_MAX];
};
struct addr_text addr_format(const struct addr *a);    /* with port: "[::1]:25"; "-" for ADDR_NONE */
struct addr_text addr_format_ip(const struct addr *a); /* without port and brackets: "::1" */

/* Kernel form. An IPv4-mapped IPv6 address becomes the IPv4 one. addr_of_sockaddr gives ADDR_NONE for other
 * families; addr_to_sockaddr turns ADDR_ANY into [::] and returns the length (0 for ADDR_NONE). */
struct addr addr_of_sockaddr(const struct sockaddr_storage *sa);
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);

bool addr_eq_ip(const struct addr *a, const struct addr *b); /* ports apart */
bool addr_is_loopback(const struct addr *a);                 /* 127.0.0.0/8, ::1 */

struct addr_net {
    struct addr base; /* host bits are zero */
    uint8_t prefix_bits;
};
/* "10.0.0.0/8", "2001:db8::/32"; without "/n" that one address. Host bits that are set: ERR_SYNTAX. */
MUST_CHECK enum err addr_net_parse(struct slice text, struct addr_net *out);
bool addr_net_contains(const struct addr_net *net, const struct addr *a);

#endif
