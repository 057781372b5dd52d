/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a message on their way in: the end of DATA and its dot-stuffing (RFC 5321 4.5.2), and what no
 * message may contain.
 *
 * Only CRLF.CRLF ends DATA. A CR or LF that stands alone is never taken for a line end ("SMTP smuggling"): it
 * is noted, reading goes on to the real end, and the message is refused. The same for NUL. */
#ifndef FRONTEND_CODEC_SMTP_DATA_H
#define FRONTEND_CODEC_SMTP_DATA_H

#include "lib/base/slice.h"

enum smtp_data_fault {
    SMTP_DATA_BARE_CR = 1 << 0,
    SMTP_DATA_BARE_LF = 1 << 1,
    SMTP_DATA_NUL = 1 << 2,
};

enum smtp_data_state {
    SMTP_DATA_LINE_START, /* the last two octets were CRLF, or nothing came yet */
    SMTP_DATA_DOT,        /* a line that so far is "." */
    SMTP_DATA_DOT_CR,     /* ".<CR>" */
    SMTP_DATA_TEXT,
    SMTP_DATA_CR,
    SMTP_DATA_END,
};

/* Zero-initialised is the beginning of a message. */
struct smtp_data {
    enum smtp_data_state state;
    unsigned faults; /* enum smtp_data_fault bits found so far */
};

/* Take a run of message text off the front of `in`: *text_out borrows from `in`, or is static memory for a CR
 * that was held back, or is empty. Returns the number of octets used (0 while a held-back CR comes out). Call
 * again with the rest until all of `in` is used or the state is SMTP_DATA_END; what follows the end belongs
 * to the next command. */
size_t smtp_data_next(struct smtp_data *d, struct slice in, struct slice *text_out);

/* The same watch over text without dot-stuffing (BDAT): only notes faults. Feed all chunks of a message; at
 * the end, smtp_text_finish. */
void smtp_text_check(struct smtp_data *d, struct slice text);
void smtp_text_finish(struct smtp_data *d);

#endif
