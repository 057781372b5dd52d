/* SPDX-License-Identifier: Apache-2.0 */
/* One message's row in a FETCH or CHANGES answer: what travels from the storage node's reader to the session,
 * back to back in one body frame. */
#ifndef LIB_MAIL_ROW_H
#define LIB_MAIL_ROW_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Which optional parts a row carries. A part that was asked for and is missing did not fit the page. */
enum { ROW_SUMMARY = 1, ROW_HEADER = 2, ROW_BODY = 4 };

struct row {
    uint32_t uid;
    uint64_t modseq;
    uint32_t flags;    /* lib/mail/flags.h */
    uint64_t keywords; /* mask over the mailbox's keyword table */
    uint64_t internaldate_ms;
    int32_t internaldate_zone; /* minutes east of UTC */
    uint64_t size;
    uint64_t body_id; /* the body's number in its partition: equal for copies; EMAILID is made of it */
    uint32_t parts;   /* ROW_* that follow */
    struct slice summary, header, body;
};

/* EMAILID (RFC 8474) of a body: sessions show it, SEARCH compares it. */
enum { ROW_EMAIL_ID_SIZE = 17 };
struct row_email_id {
    char text[ROW_EMAIL_ID_SIZE + 1]; /* "M" and 16 hexadecimal digits, NUL-terminated */
};
struct row_email_id row_email_id(uint64_t body_id);

void row_encode(const struct row *row, struct buf *out);
/* The same up to the bytes of the body, which the caller appends: `body_len` of them. */
void row_encode_to_body(const struct row *row, size_t body_len, struct buf *out);
/* Read the next row; slices borrow from what the cursor reads. ERR_NOT_FOUND at the end, ERR_PROTOCOL if
 * malformed. */
MUST_CHECK enum err row_next(struct cursor *c, struct row *out);

#endif
