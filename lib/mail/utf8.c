/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/utf8.h"

#include <stdlib.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include "lib/base/ascii.h"

bool utf8_is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] > 0x7f)
            return false;
    }
    return true;
}

bool utf8_is_valid(struct slice s)
{
    return s.len == 0 || u8_check(s.data, s.len) == NULL;
}

/* Move what the library allocated into the arena. */
static enum err take(uint8_t *made, size_t len, struct arena *arena, struct slice *out)
{
    if (made == NULL)
        return ERR_SYNTAX;
    *out = arena_slice(arena, slice_of(made, len));
    free(made);
    return OK;
}

enum err utf8_nfc(struct slice s, struct arena *arena, struct slice *out)
{
    if (utf8_is_ascii(s)) {
        *out = s;
        return OK;
    }
    if (!utf8_is_valid(s))
        return ERR_SYNTAX;
    size_t len = 0;
    uint8_t *made = u8_normalize(UNINORM_NFC, s.data, s.len, NULL, &len);
    return take(made, len, arena, out);
}

static struct slice ascii_casefold(struct slice s, struct arena *arena)
{
    uint8_t *folded = arena_memdup(arena, s.data, s.len);
    for (size_t i = 0; i < s.len; i++)
        folded[i] = ascii_lower(folded[i]);
    return slice_of(folded, s.len);
}

enum err utf8_casefold(struct slice s, struct arena *arena, struct slice *out)
{
    if (utf8_is_ascii(s)) {
        *out = ascii_casefold(s, arena);
        return OK;
    }
    if (!utf8_is_valid(s))
        return ERR_SYNTAX;
    /* Canonical caseless matching (Unicode 3.13, D145): fold the decomposed form, then normalise. */
    size_t len = 0;
    uint8_t *decomposed = u8_normalize(UNINORM_NFD, s.data, s.len, NULL, &len);
    if (decomposed == NULL)
        return ERR_SYNTAX;
    uint8_t *folded = u8_casefold(decomposed, len, NULL, UNINORM_NFC, NULL, &len);
    free(decomposed);
    return take(folded, len, arena, out);
}
