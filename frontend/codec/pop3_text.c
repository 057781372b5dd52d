/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/codec/pop3_text.h"

struct pop3_text pop3_text_start(uint64_t lines_max)
{
    return (struct pop3_text){ .lines_max = lines_max };
}

/* A line has ended: does the body begin, or is it enough? `empty`: nothing stood in it. */
static void end_line(struct pop3_text *t, bool empty)
{
    if (t->in_body)
        t->lines++;
    else if (empty)
        t->in_body = true;
    t->in_line = false;
    t->full = t->in_body && t->lines >= t->lines_max;
}

/* The octets up to a line feed or the end of input. */
static void push_run(struct pop3_text *t, struct slice run, struct buf *out)
{
    if (run.len == 0)
        return;
    if (t->after_cr) /* a CR that no LF followed: it stays, inside its line */
        buf_add_byte(out, '\r');
    if (!t->in_line && !t->after_cr && run.data[0] == '.')
        buf_add_byte(out, '.');
    t->after_cr = run.data[run.len - 1] == '\r';
    size_t text_len = run.len - t->after_cr;
    t->in_line = t->in_line || text_len > 0;
    buf_add(out, run.data, text_len);
}

void pop3_text_push(struct pop3_text *t, struct slice bytes, struct buf *out)
{
    while (bytes.len > 0 && !t->full) {
        ptrdiff_t lf = slice_find(bytes, '\n');
        push_run(t, slice_sub(bytes, 0, lf < 0 ? bytes.len : (size_t)lf), out);
        if (lf < 0)
            return;
        buf_add_str(out, "\r\n");
        t->after_cr = false;
        end_line(t, !t->in_line);
        bytes = slice_sub(bytes, (size_t)lf + 1, bytes.len);
    }
}

void pop3_text_finish(struct pop3_text *t, struct buf *out)
{
    if (t->after_cr)
        buf_add_byte(out, '\r');
    if (t->in_line || t->after_cr)
        buf_add_str(out, "\r\n");
    buf_add_str(out, ".\r\n");
}
