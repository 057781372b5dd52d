/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/base64.h"

#include "lib/base/ascii.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (have > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (have > 2)
            group |= bytes.data[i + 2];
        buf_add_byte(out, (uint8_t)digits[group >> 18]);
        buf_add_byte(out, (uint8_t)digits[group >> 12 & 63]);
        buf_add_byte(out, have > 1 ? (uint8_t)digits[group >> 6 & 63] : '=');
        buf_add_byte(out, have > 2 ? (uint8_t)digits[group & 63] : '=');
    }
}

static int digit_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four with `pad` padding characters at its end. */
static bool decode_group(const uint8_t *text, unsigned pad, struct buf *out)
{
    uint32_t group = 0;
    for (unsigned i = 0; i < 4; i++) {
        int value = i >= 4 - pad ? 0 : digit_value(text[i]);
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
    }
    /* Bits that padding leaves over must be zero, or two texts would mean the same bytes. */
    if ((pad == 1 && (group & 0xff) != 0) || (pad == 2 && (group & 0xffff) != 0))
        return false;
    buf_add_byte(out, (uint8_t)(group >> 16));
    if (pad < 2)
        buf_add_byte(out, (uint8_t)(group >> 8));
    if (pad < 1)
        buf_add_byte(out, (uint8_t)group);
    return true;
}

enum err base64_decode(struct slice text, struct buf *out)
{
    size_t before = out->len;
    if (text.len % 4 != 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < text.len; i += 4) {
        unsigned pad = 0;
        if (i + 4 == text.len)
            pad = text.data[i + 3] != '=' ? 0 : text.data[i + 2] == '=' ? 2 : 1;
        if (!decode_group(text.data + i, pad, out)) {
            out->len = before;
            return ERR_SYNTAX;
        }
    }
    return OK;
}
