/* SPDX-License-Identifier: Apache-2.0 */
/* DATA read whole and read in two pieces must give the same text, faults and end; and POP3 must give the text
 * back. */
#include "frontend/codec/pop3_text.h"
#include "frontend/codec/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t feed(struct smtp_data *d, struct slice in, struct buf *out)
{
    size_t used = 0;
    while (used < in.len && d->state != SMTP_DATA_END) {
        struct slice text;
        size_t n = smtp_data_next(d, slice_sub(in, used, in.len), &text);
        if (n == 0 && text.len == 0)
            __builtin_trap();
        buf_add_slice(out, text);
        used += n;
    }
    return used;
}

static void check_round_trip(struct slice text)
{
    struct pop3_text t = pop3_text_start(POP3_ALL_LINES);
    struct smtp_data d = { 0 };
    struct buf wire = { 0 }, back = { 0 };
    pop3_text_push(&t, text, &wire);
    pop3_text_finish(&t, &wire);
    feed(&d, buf_slice(&wire), &back);
    if (d.state != SMTP_DATA_END || !slice_starts(buf_slice(&back), text))
        __builtin_trap();
    buf_fini(&wire);
    buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtp_data whole = { 0 }, pieces = { 0 };
    struct buf a = { 0 }, b = { 0 };
    size_t cut = size > 0 ? data[0] % size : 0;
    size_t used = feed(&whole, slice_of(data, size), &a);
    size_t used_pieces = feed(&pieces, slice_of(data, cut), &b);
    used_pieces += feed(&pieces, slice_of(data + cut, size - cut), &b);
    if (used != used_pieces || whole.state != pieces.state || whole.faults != pieces.faults ||
        !slice_eq(buf_slice(&a), buf_slice(&b)))
        __builtin_trap();
    if (whole.state == SMTP_DATA_END && whole.faults == 0)
        check_round_trip(buf_slice(&a));
    buf_fini(&a);
    buf_fini(&b);
    return 0;
}
