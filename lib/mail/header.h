/* SPDX-License-Identifier: Apache-2.0 */
/* A header block (RFC 5322 2.2) read field by field, in place. Lenient: LF and CRLF both end a line, a line
 * without a colon that continues nothing is skipped, a first line "From ..." of a mailbox file too. */
#ifndef LIB_MAIL_HEADER_H
#define LIB_MAIL_HEADER_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/slice.h"

struct header_field {
    struct slice name;  /* as written, without blanks around it */
    struct slice value; /* raw: folded, with the blank after the colon and without the last line end */
    struct slice raw;   /* the whole field, last line end included */
};

/* Take the next field off `rest`; false at the blank line or the end of the block. Junk lines are passed
 * over. */
bool header_next(struct slice *rest, struct header_field *field_out);

/* The first field of that name (ASCII case ignored); false if there is none. */
bool header_find(struct slice block, const char *name, struct header_field *field_out);

/* The value with line ends taken out (RFC 5322 2.2.3), outer blanks trimmed and NUL made '?'. Borrows from
 * the block where nothing had to change, else copies into `arena`. */
struct slice header_unfold(struct arena *arena, struct slice value);

/* Copy the fields whose name is in `names` (or, with `except`, is not) as they are written, then an empty
 * line (RFC 9051 6.4.5, HEADER.FIELDS and HEADER.FIELDS.NOT). */
void header_filter(struct slice block, const struct slice *names, size_t count, bool except, struct buf *out);

#endif
