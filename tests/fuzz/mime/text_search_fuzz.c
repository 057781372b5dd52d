/* SPDX-License-Identifier: Apache-2.0 */
/* A key (up to the first LF) and a message: what a search finds must not depend on how the bytes are read,
 * and for ASCII a plain comparison must agree. */
#include <ctype.h>
#include <stdlib.h>

#include "lib/mail/charset.h"
#include "lib/mail/text_search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    struct slice message;
    size_t step;
};

static enum err read_memory(void *ctx, uint64_t offset, uint64_t len, struct slice *out)
{
    const struct memory *m = ctx;
    *out = slice_sub(m->message, offset, offset + (len < m->step ? len : m->step));
    return OK;
}

static bool search(const struct text_key *key, const struct summary *s, struct slice message, size_t step)
{
    struct memory memory = { message, step };
    struct text_source source = { &memory, read_memory };
    bool found;
    if (text_search_message(key, s, TEXT_SCOPE_TEXT, &source, &found) != OK)
        abort();
    return found;
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] > 0x7f)
            return false;
    }
    return true;
}

static bool plain_search(struct slice key, struct slice text)
{
    for (size_t at = 0; at + key.len <= text.len; at++) {
        size_t i = 0;
        while (i < key.len && tolower(key.data[i]) == tolower(text.data[at + i]))
            i++;
        if (i == key.len)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    ptrdiff_t lf = slice_find(input, '\n');
    struct text_key *key;
    if (lf < 0 || text_key_new(slice_sub(input, 0, (size_t)lf), &key) != OK)
        return 0;
    struct slice message = slice_sub(input, (size_t)lf + 1, size);
    struct buf encoded = { 0 };
    struct summary s;
    struct summary_builder *b = summary_builder_new(SUMMARY_FULL_MAX);
    mail_init();
    summary_builder_push(b, message);
    summary_builder_finish(b, &encoded);
    summary_builder_free(&b);
    if (summary_open(buf_slice(&encoded), &s) != OK)
        abort();
    bool found = search(key, &s, message, SIZE_MAX / 2);
    if (search(key, &s, message, 1) != found || search(key, &s, message, 13) != found)
        abort();
    struct slice text = slice_sub(input, 0, (size_t)lf);
    if (is_ascii(text) && text_key_match_utf8(key, message) != plain_search(text, message))
        abort();
    text_key_free(&key);
    buf_fini(&encoded);
    return 0;
}
