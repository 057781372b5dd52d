/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of SMTP and POP3: strict CRLF, bounded, and a way back after one that was too long. */
#ifndef FRONTEND_COMMON_LINE_H
#define FRONTEND_COMMON_LINE_H

#include "lib/base/err.h"
#include "lib/net/stream.h"

enum {
    LINE_SKIP_MAX = 1 << 20 /* octets of an endless line thrown away before the connection is given up */
};

/* Read one line and consume it; *line_out is without its CRLF and valid until the stream is read again. What
 * waits to be sent goes out first if the client has nothing more in the pipe. ERR_TOO_BIG: longer than `max`
 * octets; ERR_SYNTAX: a bare CR or LF, or NUL; both are consumed whole, the next read starts behind them.
 * Other errors are the stream's, ERR_CLOSED also after LINE_SKIP_MAX. Yields. */
MUST_CHECK enum err line_read(struct stream *s, size_t max, uint64_t deadline_ms, struct slice *line_out);

#endif
