/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as mail needs it: check, normalise, fold. */
#ifndef LIB_MAIL_UTF8_H
#define LIB_MAIL_UTF8_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/slice.h"

bool utf8_is_ascii(struct slice s); /* no octet above 127 */
bool utf8_is_valid(struct slice s); /* RFC 3629: shortest forms, no surrogates, up to U+10FFFF */
/* Normalisation form C, in the arena (`s` itself if it is ASCII). Returns ERR_SYNTAX if `s` is not valid
 * UTF-8. */
MUST_CHECK enum err utf8_nfc(struct slice s, struct arena *arena, struct slice *out);
/* Full case folding of the NFC form, normalised again. Returns ERR_SYNTAX if `s` is not valid UTF-8. */
MUST_CHECK enum err utf8_casefold(struct slice s, struct arena *arena, struct slice *out);

#endif
