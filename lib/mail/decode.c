/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/decode.h"

#include "lib/base/ascii.h"

enum decode_kind decode_kind_of(struct slice encoding)
{
    static const struct {
        const char *name;
        enum decode_kind kind;
    } table[] = {
        { "7bit", DECODE_NONE },
        { "8bit", DECODE_NONE },
        { "binary", DECODE_NONE },
        { "base64", DECODE_BASE64 },
        { "8-bit", DECODE_NONE },
        { "7-bit", DECODE_NONE },
        { "quoted-printable", DECODE_QUOTED_PRINTABLE },
    };
    if (encoding.len == 0)
        return DECODE_NONE;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (slice_eq_nocase_str(encoding, table[i].name))
            return table[i].kind;
    }
    return DECODE_UNKNOWN;
}

void decoder_init(struct decoder *d, enum decode_kind kind, bool strict)
{
    *d = (struct decoder){ .kind = kind, .strict = strict };
}

/* --- base64 (RFC 2045 6.8) ---------------------------------------------------------------------- */

enum { B64_BAD = 0x40, B64_BLANK = 0x41, B64_PAD = 0x42 };

static const uint8_t base64_values[256] = {
#define BAD4  B64_BAD, B64_BAD, B64_BAD, B64_BAD
#define BAD8  BAD4, BAD4
#define BAD16 BAD8, BAD8
    BAD8,    B64_BAD, B64_BLANK, B64_BLANK, B64_BAD, B64_BAD, B64_BLANK, B64_BAD, B64_BAD, BAD16,   B64_BLANK,
    B64_BAD, B64_BAD, B64_BAD,   BAD4,      B64_BAD, B64_BAD, B64_BAD,   62,      B64_BAD, B64_BAD, B64_BAD,
    63,      52,      53,        54,        55,      56,      57,        58,      59,      60,      61,
    B64_BAD, B64_BAD, B64_BAD,   B64_PAD,   B64_BAD, B64_BAD, B64_BAD,   0,       1,       2,       3,
    4,       5,       6,         7,         8,       9,       10,        11,      12,      13,      14,
    15,      16,      17,        18,        19,      20,      21,        22,      23,      24,      25,
    B64_BAD, B64_BAD, B64_BAD,   B64_BAD,   B64_BAD, B64_BAD, 26,        27,      28,      29,      30,
    31,      32,      33,        34,        35,      36,      37,        38,      39,      40,      41,
    42,      43,      44,        45,        46,      47,      48,        49,      50,      51,      B64_BAD,
    B64_BAD, B64_BAD, B64_BAD,   B64_BAD,   BAD16,   BAD16,   BAD16,     BAD16,   BAD16,   BAD16,   BAD16,
    BAD16,
};

/* The padding or the end: bits of an incomplete group. */
static void base64_end_group(struct decoder *d, struct buf *out)
{
    if (d->bit_count == 18) {
        buf_add_byte(out, (uint8_t)(d->bits >> 10));
        buf_add_byte(out, (uint8_t)(d->bits >> 2));
    } else if (d->bit_count == 12) {
        buf_add_byte(out, (uint8_t)(d->bits >> 4));
    } else if (d->bit_count == 6) {
        d->damaged = true;
    }
    d->bits = 0;
    d->bit_count = 0;
}

static void base64_byte(struct decoder *d, uint8_t c, struct buf *out)
{
    uint8_t value = base64_values[c];
    if (value == B64_BLANK)
        return;
    if (value == B64_PAD) {
        if (d->bit_count > 0 && d->bit_count != 18 && d->bit_count != 12)
            d->damaged = true;
        if (!d->ended && d->bit_count == 0)
            d->damaged = true;
        base64_end_group(d, out);
        d->ended = true;
        return;
    }
    if (value == B64_BAD || d->ended)
        d->damaged = true; /* rubbish, or another run behind the padding: mail has both */
    if (value == B64_BAD)
        return;
    d->bits = d->bits << 6 | value;
    d->bit_count += 6;
    if (d->bit_count == 24) {
        uint8_t bytes[3] = { (uint8_t)(d->bits >> 16), (uint8_t)(d->bits >> 8), (uint8_t)d->bits };
        buf_add(out, bytes, sizeof bytes);
        d->bits = 0;
        d->bit_count = 0;
    }
}

static void base64_push(struct decoder *d, struct slice in, struct buf *out)
{
    const uint8_t *at = in.data, *end = in.data + in.len;
    while (at < end) {
        uint8_t *to = buf_reserve(out, (size_t)(end - at) / 4 * 3 + 3);
        uint8_t *from = to;
        while (d->bit_count == 0 && !d->ended && end - at >= 4) {
            uint32_t a = base64_values[at[0]], b = base64_values[at[1]];
            uint32_t c = base64_values[at[2]], e = base64_values[at[3]];
            if ((a | b | c | e) & 0x40)
                break;
            uint32_t group = a << 18 | b << 12 | c << 6 | e;
            to[0] = (uint8_t)(group >> 16);
            to[1] = (uint8_t)(group >> 8);
            to[2] = (uint8_t)group;
            to += 3;
            at += 4;
        }
        out->len += (size_t)(to - from);
        if (at < end)
            base64_byte(d, *at++, out);
    }
}

/* --- quoted-printable (RFC 2045 6.7) ----------------------------------------------------------------------
 */

/* What the carry holds. Blanks at the end of a line are no content, so they wait for what follows. */
enum qp_state { QP_TEXT, QP_BLANKS, QP_EQUALS };

static void qp_flush(struct decoder *d, struct buf *out)
{
    buf_add(out, d->carry, d->carry_len);
    d->carry_len = 0;
    d->state = QP_TEXT;
}

static void qp_hold(struct decoder *d, uint8_t c, enum qp_state state, struct buf *out)
{
    if (d->carry_len == DECODE_CARRY_MAX)
        qp_flush(d, out);
    d->carry[d->carry_len++] = c;
    d->state = (uint8_t)state;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void qp_text_byte(struct decoder *d, uint8_t c, struct buf *out)
{
    if (is_blank(c)) {
        qp_hold(d, c, QP_BLANKS, out);
    } else if (c == '\n') {
        /* The line end is kept as it is, blanks before it are not. */
        if (d->carry_len > 0 && d->carry[d->carry_len - 1] == '\r')
            buf_add_byte(out, '\r');
        d->carry_len = 0;
        d->state = QP_TEXT;
        buf_add_byte(out, '\n');
    } else {
        qp_flush(d, out);
        if (c == '=')
            qp_hold(d, c, QP_EQUALS, out);
        else
            buf_add_byte(out, c);
    }
}

/* Behind "=": two digits, or blanks and a line end (a soft break). Anything else was no escape at all. */
static void qp_equals_byte(struct decoder *d, uint8_t c, struct buf *out)
{
    if (d->carry_len == 2 && ascii_hex(d->carry[1]) >= 0 && ascii_hex(c) >= 0) {
        buf_add_byte(out, (uint8_t)(ascii_hex(d->carry[1]) << 4 | ascii_hex(c)));
        d->carry_len = 0;
        d->state = QP_TEXT;
    } else if (d->carry_len == 1 && ascii_hex(c) >= 0) {
        qp_hold(d, c, QP_EQUALS, out);
    } else if ((d->carry_len == 1 || is_blank(d->carry[1])) && c == '\n') {
        d->carry_len = 0;
        d->state = QP_TEXT;
    } else if ((d->carry_len == 1 || is_blank(d->carry[1])) && is_blank(c) &&
               d->carry_len < DECODE_CARRY_MAX) {
        qp_hold(d, c, QP_EQUALS, out);
    } else {
        d->damaged = true;
        qp_flush(d, out);
        qp_text_byte(d, c, out);
    }
}

static void qp_byte(struct decoder *d, uint8_t c, struct buf *out)
{
    if (d->state == QP_EQUALS)
        qp_equals_byte(d, c, out);
    else
        qp_text_byte(d, c, out);
}

/* A line up to and without its LF, of which the beginning is not in the carry: most lines have no blank at
 * the end and few escapes. False if it is better read byte by byte. */
static bool qp_plain_line(struct slice line, struct buf *out)
{
    size_t len = line.len;
    if (len > 0 && line.data[len - 1] == '\r')
        len--;
    if (len > 0 && (is_blank(line.data[len - 1]) || line.data[len - 1] == '='))
        return false;
    if (len > 0 && memchr(line.data, '=', len) != NULL)
        return false;
    buf_add(out, line.data, line.len);
    buf_add_byte(out, '\n');
    return true;
}

static void qp_push(struct decoder *d, struct slice in, struct buf *out)
{
    const uint8_t *at = in.data, *end = in.data + in.len;
    while (at < end) {
        const uint8_t *lf = memchr(at, '\n', (size_t)(end - at));
        if (lf != NULL && d->carry_len == 0 && qp_plain_line(slice_of(at, (size_t)(lf - at)), out)) {
            at = lf + 1;
            continue;
        }
        const uint8_t *stop = lf == NULL ? end : lf + 1;
        while (at < stop) {
            if (d->carry_len == 0 && *at > ' ' && *at != '=') {
                const uint8_t *from = at;
                while (at<stop && * at> ' ' && *at != '=')
                    at++;
                buf_add(out, from, (size_t)(at - from));
            } else {
                qp_byte(d, *at++, out);
            }
        }
    }
}

/* --- both ---------------------------------------------------------------------- */

void decoder_push(struct decoder *d, struct slice bytes, struct buf *out)
{
    if (bytes.len == 0)
        return;
    switch (d->kind) {
    case DECODE_BASE64:
        base64_push(d, bytes, out);
        break;
    case DECODE_QUOTED_PRINTABLE:
        qp_push(d, bytes, out);
        break;
    case DECODE_NONE:
    case DECODE_UNKNOWN:
        buf_add_slice(out, bytes);
        break;
    }
}

enum err decoder_finish(struct decoder *d, struct buf *out)
{
    if (d->kind == DECODE_BASE64) {
        if (d->bit_count > 0)
            d->damaged = true;
        base64_end_group(d, out);
    } else if (d->kind == DECODE_QUOTED_PRINTABLE) {
        /* A soft break at the very end stands before the line end that went with the delimiter. */
        if (d->state == QP_EQUALS && (d->carry_len == 1 || is_blank(d->carry[1])))
            d->carry_len = 0;
        else if (d->state == QP_EQUALS)
            d->damaged = true;
        if (d->state == QP_BLANKS)
            d->carry_len = 0;
        qp_flush(d, out);
    }
    return d->strict && d->damaged ? ERR_SYNTAX : OK;
}
