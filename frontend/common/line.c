/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/common/line.h"

static enum err skip_line(struct stream *s, uint64_t deadline_ms)
{
    size_t skipped = 0;
    for (;;) {
        struct slice input = stream_input(s);
        ptrdiff_t lf = slice_find(input, '\n');
        stream_consume(s, lf < 0 ? input.len : (size_t)lf + 1);
        if (lf >= 0)
            return OK;
        skipped += input.len;
        if (skipped > LINE_SKIP_MAX)
            return ERR_CLOSED;
        TRY(stream_fill(s, deadline_ms));
    }
}

enum err line_read(struct stream *s, size_t max, uint64_t deadline_ms, struct slice *line_out)
{
    struct slice line;
    if (!stream_has_input(s))
        TRY(stream_flush(s));
    enum err err = stream_read_line(s, max, deadline_ms, &line);
    if (err == ERR_TOO_BIG) {
        TRY(skip_line(s, deadline_ms));
        return ERR_TOO_BIG;
    }
    TRY(err);
    bool crlf = line.len >= 2 && line.data[line.len - 2] == '\r';
    *line_out = slice_of(line.data, crlf ? line.len - 2 : line.len - 1);
    /* Consuming does not move the bytes. */
    stream_consume(s, line.len);
    return crlf && slice_find(*line_out, '\r') < 0 && slice_find(*line_out, '\0') < 0 ? OK : ERR_SYNTAX;
}
