/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/codec/command_args.h"

struct arena arena;

int fresh_arena(void **state)
{
    arena = (struct arena){ 0 };
    return 0;
}

int free_arena(void **state)
{
    arena_fini(&arena);
    return 0;
}

struct imap_args args_of(const char *text)
{
    /* An exact copy, so that a sanitizer sees a read beyond the end. */
    size_t len = strlen(text);
    return imap_args_of(slice_of(arena_memdup(&arena, text, len), len), &arena, false);
}
