/* SPDX-License-Identifier: Apache-2.0 */
/* Simplified downgrading (RFC 6858): the header that a conventional client is shown in the place of an
 * internationalized one (RFC 6532). Pure; nothing here yields. */
#ifndef LIB_MAIL_DOWNGRADE_H
#define LIB_MAIL_DOWNGRADE_H

#include "lib/base/buf.h"
#include "lib/base/slice.h"

enum { DOWNGRADE_HEADER_MAX = 64 * 1024 }; /* a longer header is shown as it is */

/* Is this the header of an internationalized message: is there more than ASCII in it, all of it valid UTF-8,
 * and is it within the bound? */
bool downgrade_is_international(struct slice block);

/* Append the surrogate of such a header, all ASCII, with an empty line at its end. Fields of ASCII stay as
 * they are written. Of the others (RFC 6858 2): an address that is not ASCII becomes a name that tells it and
 * an address nobody has; other display names and Subject are encoded (RFC 2047); parameters of Content-Type
 * and Content-Disposition are left out; so are all other fields. */
void downgrade_header(struct slice block, struct buf *out);

#endif
