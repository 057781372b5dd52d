/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void set_ip(struct addr *a, enum addr_family family, const void *ip)
{
    a->family = family;
    memcpy(a->ip, ip, family == ADDR_IPV4 ? 4 : 16);
}

static enum err parse_scope(struct slice text, uint32_t *scope_out)
{
    uint64_t number;
    if (slice_parse_u64(text, UINT32_MAX, &number) && number != 0) {
        *scope_out = (uint32_t)number;
        return OK;
    }
    char name[IF_NAMESIZE];
    if (text.len == 0 || text.len >= sizeof name || memchr(text.data, 0, text.len) != NULL)
        return ERR_SYNTAX;
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    *scope_out = if_nametoindex(name);
    return *scope_out == 0 ? ERR_SYNTAX : OK;
}

/* The address without port and brackets. */
static enum err parse_ip(struct slice text, struct addr *out)
{
    char ip[INET6_ADDRSTRLEN];
    ptrdiff_t percent = slice_find(text, '%');
    if (percent >= 0) {
        TRY(parse_scope(slice_sub(text, (size_t)percent + 1, text.len), &out->scope));
        text.len = (size_t)percent;
    }
    if (text.len == 0 || text.len >= sizeof ip || memchr(text.data, 0, text.len) != NULL)
        return ERR_SYNTAX;
    memcpy(ip, text.data, text.len);
    ip[text.len] = '\0';
    uint8_t bytes[16];
    if (percent < 0 && inet_pton(AF_INET, ip, bytes) == 1)
        set_ip(out, ADDR_IPV4, bytes);
    else if (inet_pton(AF_INET6, ip, bytes) == 1)
        set_ip(out, ADDR_IPV6, bytes);
    else
        return ERR_SYNTAX;
    return OK;
}

/* Take the host off the front of *text; what stays is "" or ":port". */
static enum err parse_host(struct slice *text, struct addr *out)
{
    struct slice host = *text;
    if (host.len > 0 && host.data[0] == '[') {
        ptrdiff_t end = slice_find(host, ']');
        if (end < 0)
            return ERR_SYNTAX;
        *text = slice_sub(host, (size_t)end + 1, host.len);
        TRY(parse_ip(slice_sub(host, 1, (size_t)end), out));
        return out->family == ADDR_IPV6 ? OK : ERR_SYNTAX;
    }
    ptrdiff_t colon = slice_find(host, ':');
    if (colon >= 0 && slice_find(slice_sub(host, (size_t)colon + 1, host.len), ':') >= 0)
        colon = -1; /* several: an IPv6 address, no port */
    size_t len = colon < 0 ? host.len : (size_t)colon;
    *text = slice_sub(host, len, host.len);
    host.len = len;
    if (slice_eq_str(host, "*")) {
        out->family = ADDR_ANY;
        return OK;
    }
    return parse_ip(host, out);
}

enum err addr_parse(struct slice text, uint16_t default_port, struct addr *out)
{
    struct addr a = { .port = default_port };
    TRY(parse_host(&text, &a));
    if (text.len > 0) {
        uint64_t port;
        if (text.data[0] != ':' || !slice_parse_u64(slice_sub(text, 1, text.len), UINT16_MAX, &port))
            return ERR_SYNTAX;
        a.port = (uint16_t)port;
    } else if (default_port == 0) {
        return ERR_SYNTAX;
    }
    *out = a;
    return OK;
}

struct addr_text addr_format_ip(const struct addr *a)
{
    struct addr_text out = { "-" };
    switch ((enum addr_family)a->family) {
    case ADDR_NONE:
        break;
    case ADDR_ANY:
        strcpy(out.text, "*");
        break;
    case ADDR_IPV4:
        inet_ntop(AF_INET, a->ip, out.text, sizeof out.text);
        break;
    case ADDR_IPV6:
        inet_ntop(AF_INET6, a->ip, out.text, sizeof out.text);
        if (a->scope != 0)
            snprintf(out.text + strlen(out.text), sizeof out.text - strlen(out.text), "%%%u", a->scope);
        break;
    }
    return out;
}

struct addr_text addr_format(const struct addr *a)
{
    struct addr_text ip = addr_format_ip(a), out = ip;
    if (a->family == ADDR_IPV6)
        snprintf(out.text, sizeof out.text, "[%.63s]:%u", ip.text, a->port);
    else if (a->family != ADDR_NONE)
        snprintf(out.text, sizeof out.text, "%.63s:%u", ip.text, a->port);
    return out;
}

struct addr addr_of_sockaddr(const struct sockaddr_storage *sa)
{
    struct addr a = { 0 };
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;
        set_ip(&a, ADDR_IPV4, &in4->sin_addr);
        a.port = ntohs(in4->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        const uint8_t *ip = in6->sin6_addr.s6_addr;
        a.port = ntohs(in6->sin6_port);
        if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
            set_ip(&a, ADDR_IPV4, ip + sizeof mapped_prefix);
        } else {
            set_ip(&a, ADDR_IPV6, ip);
            a.scope = in6->sin6_scope_id;
        }
    }
    return a;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == ADDR_NONE)
        return 0;
    if (a->family == ADDR_IPV4) {
        struct sockaddr_in *in4 = (struct sockaddr_in *)out;
        in4->sin_family = AF_INET;
        in4->sin_port = htons(a->port);
        memcpy(&in4->sin_addr, a->ip, 4);
        return sizeof *in4;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    if (a->family == ADDR_IPV6) {
        memcpy(&in6->sin6_addr, a->ip, 16);
        in6->sin6_scope_id = a->scope;
    }
    return sizeof *in6;
}

static size_t ip_size(const struct addr *a)
{
    return a->family == ADDR_IPV4 ? 4 : a->family == ADDR_IPV6 ? 16 : 0;
}

bool addr_eq_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, ip_size(a)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = { [15] = 1 };
    return (a->family == ADDR_IPV4 && a->ip[0] == 127) ||
           (a->family == ADDR_IPV6 && memcmp(a->ip, one, 16) == 0);
}

/* Bits [bits, end) of the address are zero. */
static bool host_bits_zero(const struct addr *a, unsigned bits)
{
    for (unsigned i = bits; i < ip_size(a) * 8; i++)
        if ((a->ip[i / 8] & (0x80 >> i % 8)) != 0)
            return false;
    return true;
}

enum err addr_net_parse(struct slice text, struct addr_net *out)
{
    struct addr_net net = { 0 };
    ptrdiff_t slash = slice_find(text, '/');
    TRY(parse_ip(slash < 0 ? text : slice_sub(text, 0, (size_t)slash), &net.base));
    uint64_t bits = ip_size(&net.base) * 8;
    if (slash >= 0 && !slice_parse_u64(slice_sub(text, (size_t)slash + 1, text.len), bits, &bits))
        return ERR_SYNTAX;
    if (net.base.scope != 0 || !host_bits_zero(&net.base, (unsigned)bits))
        return ERR_SYNTAX;
    net.prefix_bits = (uint8_t)bits;
    *out = net;
    return OK;
}

bool addr_net_contains(const struct addr_net *net, const struct addr *a)
{
    if (a->family != net->base.family || ip_size(a) == 0)
        return false;
    struct addr masked = *a;
    for (unsigned i = net->prefix_bits; i < ip_size(a) * 8; i++)
        masked.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    return memcmp(masked.ip, net->base.ip, ip_size(a)) == 0;
}
