/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/ascii.h"
#include "lib/mail/charset.h"
#include "lib/mail/header.h"
#include "lib/mail/text_search_priv.h"
#include "lib/mail/utf8.h"

/* How often letters are met in mail, per mille or so: the rarest character of a key is looked for first. */
static unsigned frequency_of(uint8_t c)
{
    static const uint8_t letters[26] = { 65, 12, 25, 35, 100, 18, 18, 45, 60, 2,  6, 35, 22,
                                         60, 65, 16, 1,  55,  55, 75, 25, 9,  17, 2, 17, 1 };
    if (ascii_is_alpha(c))
        return letters[ascii_lower(c) - 'a'];
    if (c == ' ')
        return 150;
    return ascii_is_digit(c) ? 12 : 8;
}

static void choose_anchor(struct text_key *key)
{
    for (size_t i = 1; i < key->folded.len; i++) {
        if (frequency_of(key->folded.data[i]) < frequency_of(key->folded.data[key->anchor]))
            key->anchor = i;
    }
    key->second = key->anchor == 0 ? key->folded.len - 1 : 0;
}

enum err text_key_new(struct slice utf8, struct text_key **out)
{
    if (utf8.len > TEXT_KEY_MAX)
        return ERR_TOO_BIG;
    struct arena arena = { 0 };
    struct slice folded;
    if (utf8_casefold(utf8, &arena, &folded) != OK) {
        arena_fini(&arena);
        return ERR_SYNTAX;
    }
    struct text_key *key = NEW(struct text_key);
    key->folded = slice_of(xmemdup(folded.data, folded.len), folded.len);
    key->ascii = utf8_is_ascii(key->folded);
    arena_fini(&arena);
    if (key->folded.len > 0)
        choose_anchor(key);
    *out = key;
    return OK;
}

void text_key_free(struct text_key **key)
{
    if (*key == NULL)
        return;
    free((uint8_t *)(*key)->folded.data);
    free(*key);
    *key = NULL;
}

/* --- ASCII ---------------------------------------------------------------------- */

typedef uint8_t lanes __attribute__((vector_size(16)));

static lanes load(const uint8_t *at)
{
    lanes v;
    memcpy(&v, at, sizeof v);
    return v;
}

static bool is_match(const struct text_key *key, const uint8_t *at)
{
    for (size_t i = 0; i < key->folded.len; i++) {
        if (ascii_lower(at[i]) != key->folded.data[i])
            return false;
    }
    return true;
}

/* For letters both cases differ in one bit; setting it in key and text makes them equal (and a few other
 * characters too, which the comparison that follows sorts out). */
static uint8_t case_bit(uint8_t c)
{
    return ascii_is_alpha(c) ? 0x20 : 0;
}

/* Sixteen places at a time: where the two chosen characters of the key stand at their distance, compare the
 * rest. */
bool text_find_ascii(const struct text_key *key, struct slice text)
{
    size_t len = key->folded.len;
    if (len == 0)
        return true;
    if (text.len < len)
        return false;
    uint8_t a = key->folded.data[key->anchor], b = key->folded.data[key->second];
    lanes a16 = (lanes){ 0 } + a, b16 = (lanes){ 0 } + b;
    lanes a_bit = (lanes){ 0 } + case_bit(a), b_bit = (lanes){ 0 } + case_bit(b);
    size_t places = text.len - len + 1, i = 0;
    for (; i + 16 <= places; i += 16) {
        lanes hit = (lanes)((load(text.data + i + key->anchor) | a_bit) == a16) &
                    (lanes)((load(text.data + i + key->second) | b_bit) == b16);
        uint64_t halves[2];
        memcpy(halves, &hit, sizeof halves);
        if ((halves[0] | halves[1]) == 0)
            continue;
        for (size_t j = 0; j < 16; j++) {
            if (hit[j] && is_match(key, text.data + i + j))
                return true;
        }
    }
    for (; i < places; i++) {
        if (is_match(key, text.data + i))
            return true;
    }
    return false;
}

/* --- UTF-8 ---------------------------------------------------------------------- */

bool text_find_folded(const struct text_key *key, struct slice text)
{
    struct arena arena = { 0 };
    struct slice folded;
    bool found =
        utf8_casefold(text, &arena, &folded) == OK &&
        (key->folded.len == 0 || memmem(folded.data, folded.len, key->folded.data, key->folded.len) != NULL);
    arena_fini(&arena);
    return found;
}

bool text_key_match_utf8(const struct text_key *key, struct slice text)
{
    if (key->folded.len == 0)
        return true;
    return key->ascii ? text_find_ascii(key, text) : !utf8_is_ascii(text) && text_find_folded(key, text);
}

static bool is_plain(struct slice value)
{
    return utf8_is_ascii(value) && slice_find(value, '\n') < 0 &&
           memmem(value.data, value.len, "=?", 2) == NULL;
}

bool text_key_match_value(const struct text_key *key, struct slice value)
{
    if (key->folded.len == 0)
        return true;
    if (value.len == 0)
        return false;
    if (is_plain(value))
        return key->ascii && text_find_ascii(key, value);
    struct arena arena = { 0 };
    struct buf decoded = { 0 };
    struct slice unfolded = header_unfold(&arena, value);
    bool found;
    if (is_plain(unfolded)) {
        found = key->ascii && text_find_ascii(key, unfolded);
    } else {
        charset_decode_words(unfolded, &decoded);
        found = text_key_match_utf8(key, buf_slice(&decoded));
    }
    buf_fini(&decoded);
    arena_fini(&arena);
    return found;
}

bool text_key_match_header(const struct text_key *key, struct slice block, struct slice name)
{
    struct header_field field;
    while (header_next(&block, &field)) {
        if (name.data == NULL
                ? text_key_match_value(key, field.name) || text_key_match_value(key, field.value)
                : slice_eq_nocase(field.name, name) && text_key_match_value(key, field.value))
            return true;
    }
    return false;
}
