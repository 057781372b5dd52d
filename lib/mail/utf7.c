/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/utf7.h"

#include <unistr.h>

#include "lib/base/ascii.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static bool is_direct(ucs4_t c) /* stands for itself, '&' apart */
{
    return c >= 0x20 && c <= 0x7e;
}

static void add_utf8(struct buf *out, ucs4_t c)
{
    int len = u8_uctomb(buf_reserve(out, 4), c, 4);
    out->len += len > 0 ? (size_t)len : 0;
}

/* The UTF-16 units between '&' and '-', as they come out of the base64. */
struct shift {
    uint32_t bits;
    unsigned bit_count;
    uint32_t high; /* a high surrogate that waits for its low one, or 0 */
    bool any;
};

static enum err take_unit(struct shift *s, uint32_t unit, struct buf *out)
{
    bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
    if (is_low != (s->high != 0))
        return ERR_SYNTAX; /* half a surrogate pair */
    if (unit >= 0xd800 && unit <= 0xdbff) {
        s->high = unit;
        return OK;
    }
    ucs4_t c = is_low ? 0x10000 + ((s->high - 0xd800) << 10) + (unit - 0xdc00) : unit;
    if (is_direct(c))
        return ERR_SYNTAX; /* must not be encoded */
    s->high = 0;
    s->any = true;
    add_utf8(out, c);
    return OK;
}

/* Decode from behind '&' to behind '-'. */
static enum err decode_shift(struct slice text, size_t *at, struct buf *out)
{
    struct shift s = { 0 };
    for (; *at < text.len && text.data[*at] != '-'; (*at)++) {
        int value = base64_value(text.data[*at]);
        if (value < 0)
            return ERR_SYNTAX;
        s.bits = (s.bits << 6 | (uint32_t)value) & 0x3fffff;
        s.bit_count += 6;
        if (s.bit_count >= 16) {
            s.bit_count -= 16;
            TRY(take_unit(&s, s.bits >> s.bit_count & 0xffff, out));
        }
    }
    /* The padding is less than one base64 digit, and zero. */
    bool stray = s.bit_count >= 6 || (s.bits & ((1u << s.bit_count) - 1)) != 0;
    if (*at == text.len || stray || s.high != 0 || !s.any)
        return ERR_SYNTAX;
    (*at)++;
    return OK;
}

static enum err decode(struct slice text, struct buf *out)
{
    bool shifted = false; /* an encoded run has just ended */
    for (size_t at = 0; at < text.len;) {
        uint8_t c = text.data[at++];
        if (!is_direct(c))
            return ERR_SYNTAX;
        if (c != '&') {
            buf_add_byte(out, c);
            shifted = false;
        } else if (at < text.len && text.data[at] == '-') {
            buf_add_byte(out, '&');
            at++;
            shifted = false;
        } else {
            if (shifted)
                return ERR_SYNTAX; /* "&..-&..-" should have been one run */
            TRY(decode_shift(text, &at, out));
            shifted = true;
        }
    }
    return OK;
}

enum err utf7_decode(struct slice text, struct buf *out)
{
    size_t before = out->len;
    enum err err = decode(text, out);
    if (err != OK)
        out->len = before;
    return err;
}

static void encode_unit(struct shift *s, uint32_t unit, struct buf *out)
{
    s->bits = s->bits << 16 | unit;
    s->bit_count += 16;
    while (s->bit_count >= 6) {
        s->bit_count -= 6;
        buf_add_byte(out, (uint8_t)base64[s->bits >> s->bit_count & 63]);
    }
    s->bits &= (1u << s->bit_count) - 1;
}

static void end_shift(struct shift *s, struct buf *out)
{
    if (!s->any)
        return;
    if (s->bit_count > 0)
        buf_add_byte(out, (uint8_t)base64[s->bits << (6 - s->bit_count) & 63]);
    buf_add_byte(out, '-');
    *s = (struct shift){ 0 };
}

static void encode_char(struct shift *s, ucs4_t c, struct buf *out)
{
    if (is_direct(c)) {
        end_shift(s, out);
        buf_add_byte(out, (uint8_t)c);
        if (c == '&')
            buf_add_byte(out, '-');
        return;
    }
    if (!s->any)
        buf_add_byte(out, '&');
    s->any = true;
    if (c >= 0x10000) {
        encode_unit(s, 0xd800 + ((c - 0x10000) >> 10), out);
        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    encode_unit(s, c, out);
}

enum err utf7_encode(struct slice utf8, struct buf *out)
{
    if (utf8.len > 0 && u8_check(utf8.data, utf8.len) != NULL)
        return ERR_SYNTAX;
    struct shift s = { 0 };
    for (size_t at = 0; at < utf8.len;) {
        ucs4_t c;
        at += (size_t)u8_mbtouc(&c, utf8.data + at, utf8.len - at);
        encode_char(&s, c, out);
    }
    end_shift(&s, out);
    return OK;
}
