/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_MAIL_TEXT_SEARCH_PRIV_H
#define LIB_MAIL_TEXT_SEARCH_PRIV_H

#include "lib/mail/text_search.h"

struct text_key {
    struct slice folded; /* owned; case folded, NFC */
    bool ascii;
    size_t anchor, second; /* indexes of the two characters that are looked for first */
};

/* The key must be ASCII. */
bool text_find_ascii(const struct text_key *key, struct slice text);
/* Text must be UTF-8; folds it. */
bool text_find_folded(const struct text_key *key, struct slice text);

#endif
