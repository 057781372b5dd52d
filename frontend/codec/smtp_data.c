/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/codec/smtp_data.h"

/* Octets up to the next CR, LF or NUL. */
static size_t plain_len(struct slice s)
{
    size_t len = s.len;
    const uint8_t *at = memchr(s.data, '\n', len);
    if (at != NULL)
        len = (size_t)(at - s.data);
    at = len == 0 ? NULL : memchr(s.data, '\r', len);
    if (at != NULL)
        len = (size_t)(at - s.data);
    at = len == 0 ? NULL : memchr(s.data, '\0', len);
    return at == NULL ? len : (size_t)(at - s.data);
}

/* How many octets at the front of `s`, which starts inside a line, are lines of text that need nothing taken
 * out: up to a line that starts with a dot, a fault, or an end of line whose rest is not here yet. */
static size_t text_run(struct smtp_data *d, struct slice s)
{
    size_t at = 0;
    for (;;) {
        at += plain_len(slice_sub(s, at, s.len));
        if (at + 1 >= s.len || s.data[at] != '\r' || s.data[at + 1] != '\n')
            break;
        at += 2;
        d->state = SMTP_DATA_LINE_START;
        if (at == s.len || s.data[at] == '.')
            return at;
        d->state = SMTP_DATA_TEXT;
    }
    return at;
}

/* One octet in the middle of a line that ends a run. */
static size_t step_text(struct smtp_data *d, uint8_t c, struct slice in, struct slice *text_out)
{
    if (c == '\r') {
        d->state = SMTP_DATA_CR;
        return 1;
    }
    if (c == '\n')
        d->faults |= SMTP_DATA_BARE_LF;
    if (c == '\0')
        d->faults |= SMTP_DATA_NUL;
    d->state = SMTP_DATA_TEXT;
    *text_out = slice_sub(in, 0, 1);
    return 1;
}

/* The octet behind a CR that was held back. */
static size_t step_cr(struct smtp_data *d, uint8_t c, struct slice *text_out)
{
    if (c == '\n') {
        *text_out = SLICE_LIT("\r\n");
        d->state = SMTP_DATA_LINE_START;
        return 1;
    }
    d->faults |= SMTP_DATA_BARE_CR;
    *text_out = SLICE_LIT("\r");
    d->state = SMTP_DATA_TEXT; /* the octet itself is looked at next */
    return 0;
}

size_t smtp_data_next(struct smtp_data *d, struct slice in, struct slice *text_out)
{
    *text_out = SLICE_NULL;
    if (in.len == 0)
        return 0;
    uint8_t c = in.data[0];
    switch (d->state) {
    case SMTP_DATA_END:
        return 0;
    case SMTP_DATA_LINE_START:
        if (c == '.') {
            d->state = SMTP_DATA_DOT;
            return 1;
        }
        d->state = SMTP_DATA_TEXT;
        break;
    case SMTP_DATA_DOT:
        if (c == '\r') {
            d->state = SMTP_DATA_DOT_CR;
            return 1;
        }
        d->state = SMTP_DATA_TEXT; /* the dot was stuffing */
        break;
    case SMTP_DATA_DOT_CR:
        if (c == '\n') {
            d->state = SMTP_DATA_END;
            return 1;
        }
        return step_cr(d, c, text_out);
    case SMTP_DATA_CR:
        return step_cr(d, c, text_out);
    case SMTP_DATA_TEXT:
        break;
    }
    size_t run = text_run(d, in);
    if (run > 0) {
        *text_out = slice_sub(in, 0, run);
        return run;
    }
    return step_text(d, c, in, text_out);
}

void smtp_text_check(struct smtp_data *d, struct slice text)
{
    size_t at = 0;
    while (at < text.len) {
        uint8_t c = text.data[at];
        if (d->state == SMTP_DATA_CR) {
            d->faults |= c == '\n' ? 0 : SMTP_DATA_BARE_CR;
            d->state = SMTP_DATA_TEXT;
            at += c == '\n';
            continue;
        }
        at += plain_len(slice_sub(text, at, text.len));
        if (at == text.len)
            break;
        c = text.data[at++];
        if (c == '\r')
            d->state = SMTP_DATA_CR;
        else
            d->faults |= c == '\n' ? SMTP_DATA_BARE_LF : SMTP_DATA_NUL;
    }
}

void smtp_text_finish(struct smtp_data *d)
{
    if (d->state == SMTP_DATA_CR)
        d->faults |= SMTP_DATA_BARE_CR;
}
