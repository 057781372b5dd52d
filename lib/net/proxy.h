/* SPDX-License-Identifier: Apache-2.0 */
/* The header that a load balancer puts before a connection's bytes to say who the client is: the PROXY
 * protocol, version 1 (a line) and version 2 (binary),
 * https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt */
#ifndef LIB_NET_PROXY_H
#define LIB_NET_PROXY_H

#include "lib/net/addr.h"

enum {
    PROXY_V1_MAX = 107,  /* the line with its CRLF */
    PROXY_V2_MAX = 2048, /* the whole header; more TLVs than this are refused */
};

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_BAD };

struct proxy_header {
    bool has_addrs;  /* false: LOCAL (a health check) or UNKNOWN, keep the socket's addresses */
    bool client_tls; /* v2 PP2_TYPE_SSL says that the client spoke TLS to the balancer */
    struct addr peer, local;
};

/* Parse the header at the start of `input`. PROXY_MORE: not whole yet, but so far right. PROXY_DONE:
 * *header_out is set and the first *consumed_out bytes were the header. PROXY_BAD: this is no header. Pure.
 */
enum proxy_result proxy_parse(struct slice input, struct proxy_header *header_out, size_t *consumed_out);

#endif
