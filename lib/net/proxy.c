/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/proxy.h"

/* Section 2.2 of the specification. */
static const uint8_t v2_signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                          0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
static const char v1_signature[] = "PROXY ";

enum { V2_FIXED_SIZE = 16, V2_CMD_LOCAL = 0x20, V2_CMD_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };
enum { TLV_SSL = 0x20, TLV_SSL_CLIENT = 0x01 };

/* --- version 1 --- */

/* The next word of the line; words are separated by exactly one space. */
static struct slice take_word(struct slice *line)
{
    ptrdiff_t space = slice_find(*line, ' ');
    size_t len = space < 0 ? line->len : (size_t)space;
    struct slice word = slice_sub(*line, 0, len);
    *line = slice_sub(*line, space < 0 ? len : len + 1, line->len);
    return word;
}

static bool v1_addr(struct slice ip, struct slice port, enum addr_family family, struct addr *out)
{
    struct addr_net net; /* an address without a port, brackets or zone */
    uint64_t number;
    if (slice_find(ip, '/') >= 0 || addr_net_parse(ip, &net) != OK || net.base.family != family)
        return false;
    if (!slice_parse_u64(port, UINT16_MAX, &number) || (port.len > 1 && port.data[0] == '0'))
        return false;
    *out = net.base;
    out->port = (uint16_t)number;
    return true;
}

/* `line` is what stands between "PROXY " and CRLF. */
static bool v1_line(struct slice line, struct proxy_header *header)
{
    struct slice protocol = take_word(&line);
    if (slice_eq_str(protocol, "UNKNOWN"))
        return true; /* "the receiver must ignore anything presented before the CRLF" */
    enum addr_family family = slice_eq_str(protocol, "TCP4")   ? ADDR_IPV4
                              : slice_eq_str(protocol, "TCP6") ? ADDR_IPV6
                                                               : ADDR_NONE;
    if (family == ADDR_NONE)
        return false;
    struct slice peer_ip = take_word(&line), local_ip = take_word(&line), peer_port = take_word(&line);
    if (!v1_addr(peer_ip, peer_port, family, &header->peer) ||
        !v1_addr(local_ip, line, family, &header->local))
        return false;
    header->has_addrs = true;
    return true;
}

static enum proxy_result v1_parse(struct slice input, struct proxy_header *header, size_t *consumed_out)
{
    struct slice seen = slice_sub(input, 0, PROXY_V1_MAX);
    ptrdiff_t lf = slice_find(seen, '\n');
    if (lf < 0)
        return seen.len == PROXY_V1_MAX ? PROXY_BAD : PROXY_MORE;
    if (seen.data[lf - 1] != '\r') /* lf is behind the signature */
        return PROXY_BAD;
    if (!v1_line(slice_sub(seen, sizeof v1_signature - 1, (size_t)lf - 1), header))
        return PROXY_BAD;
    *consumed_out = (size_t)lf + 1;
    return PROXY_DONE;
}

/* --- version 2 --- */

static struct addr v2_addr(struct cursor *c, enum addr_family family)
{
    struct addr a = { .family = family };
    struct slice ip = cursor_bytes(c, family == ADDR_IPV4 ? 4 : 16);
    if (ip.len > 0)
        memcpy(a.ip, ip.data, ip.len);
    return a;
}

static void v2_tlvs(struct cursor *c, struct proxy_header *header)
{
    while (c->rest.len > 0 && !c->bad) {
        uint8_t type = cursor_u8(c);
        struct slice value = cursor_bytes(c, cursor_be16(c));
        if (type == TLV_SSL && value.len > 0)
            header->client_tls = (value.data[0] & TLV_SSL_CLIENT) != 0;
    }
}

static enum proxy_result v2_parse(struct slice input, struct proxy_header *header, size_t *consumed_out)
{
    struct cursor c = cursor_of(input);
    cursor_bytes(&c, sizeof v2_signature);
    uint8_t command = cursor_u8(&c), family_byte = cursor_u8(&c);
    uint16_t len = cursor_be16(&c);
    if (input.len > sizeof v2_signature && command != V2_CMD_LOCAL && command != V2_CMD_PROXY)
        return PROXY_BAD;
    if (c.bad)
        return PROXY_MORE;
    if (len > PROXY_V2_MAX - V2_FIXED_SIZE)
        return PROXY_BAD;
    struct cursor body = cursor_of(cursor_bytes(&c, len));
    if (c.bad)
        return PROXY_MORE;
    *consumed_out = V2_FIXED_SIZE + (size_t)len;
    if (command == V2_CMD_LOCAL || (family_byte != V2_TCP4 && family_byte != V2_TCP6))
        return PROXY_DONE; /* unknown families: use the real connection's addresses */
    enum addr_family family = family_byte == V2_TCP4 ? ADDR_IPV4 : ADDR_IPV6;
    header->peer = v2_addr(&body, family);
    header->local = v2_addr(&body, family);
    header->peer.port = cursor_be16(&body);
    header->local.port = cursor_be16(&body);
    v2_tlvs(&body, header);
    header->has_addrs = true;
    return body.bad ? PROXY_BAD : PROXY_DONE;
}

static bool may_start(struct slice input, const void *signature, size_t size)
{
    return memcmp(input.data, signature, input.len < size ? input.len : size) == 0;
}

static enum proxy_result parse(struct slice input, struct proxy_header *header_out, size_t *consumed_out)
{
    if (input.len == 0)
        return PROXY_MORE;
    if (may_start(input, v1_signature, sizeof v1_signature - 1))
        return input.len < sizeof v1_signature - 1 ? PROXY_MORE : v1_parse(input, header_out, consumed_out);
    if (may_start(input, v2_signature, sizeof v2_signature))
        return input.len < sizeof v2_signature ? PROXY_MORE : v2_parse(input, header_out, consumed_out);
    return PROXY_BAD;
}

enum proxy_result proxy_parse(struct slice input, struct proxy_header *header_out, size_t *consumed_out)
{
    *header_out = (struct proxy_header){ 0 };
    *consumed_out = 0;
    enum proxy_result result = parse(input, header_out, consumed_out);
    if (result != PROXY_DONE)
        *consumed_out = 0;
    return result;
}
