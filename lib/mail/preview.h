/* SPDX-License-Identifier: Apache-2.0 */
/* The first words of a text (RFC 8970): blanks run together, HTML tags, style and script left out, encodings
 * undone. Only charsets that need no library: UTF-8, US-ASCII, ISO-8859-1, windows-1252. Pure, bounded, safe
 * in fibers. */
#ifndef LIB_MAIL_PREVIEW_H
#define LIB_MAIL_PREVIEW_H

#include "lib/mail/decode.h"
#include "lib/mail/mime_field.h"

enum {
    PREVIEW_CHARS_MAX = 200,
    PREVIEW_INPUT_MAX = 64 * 1024, /* bytes of the part that are looked at */
    PREVIEW_TAG_MAX = 16,          /* of a tag's or entity's name */
};

struct preview {
    struct buf text; /* the result, UTF-8 */
    /* private */
    struct decoder decoder;
    struct buf decoded;
    bool html, latin1;
    bool blank; /* blanks are due before the next character */
    uint8_t html_state;
    uint8_t skipping; /* inside of style (1) or script (2) */
    unsigned chars;
    size_t input;
    size_t pending_len; /* of an incomplete UTF-8 character */
    uint8_t pending[4];
    size_t tag_len;
    char tag[PREVIEW_TAG_MAX];
};

/* Can a preview be made of this part? Text of a known charset, not an attachment. */
bool preview_is_possible(const struct mime_info *info);
/* Is it text that is meant to be shown? */
bool preview_is_text(const struct mime_info *info);

void preview_init(struct preview *p, const struct mime_info *info);
void preview_fini(struct preview *p);
/* The next raw bytes of the part's body. False when enough was seen. */
bool preview_push(struct preview *p, struct slice bytes);

#endif
