/* SPDX-License-Identifier: Apache-2.0 */
/* Modified UTF-7 has one form a name; normal names are fixed points; patterns match without harm. */
#include <assert.h>

#include "lib/mail/mailbox_name.h"
#include "lib/mail/utf7.h"
#include "lib/mail/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_utf7(struct slice text)
{
    struct buf utf8 = { 0 }, utf7 = { 0 };
    if (utf7_decode(text, &utf8) == OK) {
        assert(utf8_is_valid(buf_slice(&utf8)));
        assert(utf7_encode(buf_slice(&utf8), &utf7) == OK);
        assert(slice_eq(buf_slice(&utf7), text));
    }
    buf_clear(&utf8);
    buf_clear(&utf7);
    if (utf7_encode(text, &utf7) == OK) {
        assert(utf7_decode(buf_slice(&utf7), &utf8) == OK);
        assert(slice_eq(buf_slice(&utf8), text));
    }
    buf_fini(&utf8);
    buf_fini(&utf7);
}

static void check_names(struct slice text)
{
    struct arena arena = { 0 };
    struct slice name, again, pattern;
    if (mailbox_name_normalise(text, &arena, &name) == OK) {
        assert(mailbox_name_normalise(name, &arena, &again) == OK && slice_eq(name, again));
        assert(mailbox_name_matches(name, SLICE_LIT("*")));
        assert(slice_find(name, '*') >= 0 || slice_find(name, '%') >= 0 || mailbox_name_matches(name, name));
    }
    /* The first half is a name, the second a pattern. */
    if (mailbox_pattern_normalise(slice_sub(text, text.len / 2, text.len), &arena, &pattern) == OK)
        (void)mailbox_name_matches(slice_sub(text, 0, text.len / 2), pattern);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_utf7(slice_of(data, size));
    check_names(slice_of(data, size));
    return 0;
}
