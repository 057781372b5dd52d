/* SPDX-License-Identifier: Apache-2.0 */
/* A message as a POP3 multi-line response (RFC 1939 3): dot-stuffed, line ends made CRLF, in pieces of any
 * size. Pure. */
#ifndef FRONTEND_CODEC_POP3_TEXT_H
#define FRONTEND_CODEC_POP3_TEXT_H

#include "lib/base/buf.h"

/* lines_max: how many lines of the body to let through (TOP); POP3_ALL_LINES for RETR. */
#define POP3_ALL_LINES UINT64_MAX

struct pop3_text {
    uint64_t lines_max;
    uint64_t lines; /* of the body, so far */
    bool in_body;
    bool in_line; /* not at a line's start */
    bool after_cr;
    bool full; /* TOP has all it wants: the rest need not be read */
};

/* The beginning of a message. */
struct pop3_text pop3_text_start(uint64_t lines_max);
/* Append the next bytes of the message as they are sent. */
void pop3_text_push(struct pop3_text *t, struct slice bytes, struct buf *out);
/* Append what ends the response: a line end if one is missing, and the line with the dot. */
void pop3_text_finish(struct pop3_text *t, struct buf *out);

#endif
