/* SPDX-License-Identifier: Apache-2.0 */
/* Modified UTF-7 of IMAP4rev1 mailbox names (RFC 3501 5.1.3) to and from UTF-8. */
#ifndef LIB_MAIL_UTF7_H
#define LIB_MAIL_UTF7_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

/* Append the UTF-8 of `text`. Strict: only the one canonical encoding of a name is accepted (no encoded
 * printable ASCII, no two shifts in a row, no stray bits, no lone surrogates). Returns ERR_SYNTAX; what was
 * appended until then is taken back. */
MUST_CHECK enum err utf7_decode(struct slice text, struct buf *out);
/* Append the modified UTF-7 of `utf8`. Returns ERR_SYNTAX if that is not valid UTF-8; nothing is appended
 * then. */
MUST_CHECK enum err utf7_encode(struct slice utf8, struct buf *out);

#endif
