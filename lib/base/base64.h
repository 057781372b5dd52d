/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as SASL exchanges use it (RFC 4648 4): strict, without line breaks. Message bodies are
 * lib/mail/decode.h's. */
#ifndef LIB_BASE_BASE64_H
#define LIB_BASE_BASE64_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Append the encoded text. */
void base64_encode(struct slice bytes, struct buf *out);
/* Append the decoded bytes. ERR_SYNTAX, with nothing appended, unless the text is whole groups of four with
 * canonical padding. */
MUST_CHECK enum err base64_decode(struct slice text, struct buf *out);

#endif
