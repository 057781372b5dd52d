/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of commands for tests that read them: in an arena that lives as long as the group of tests. */
#ifndef TESTS_UNIT_FRONTEND_CODEC_COMMAND_ARGS_H
#define TESTS_UNIT_FRONTEND_CODEC_COMMAND_ARGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/codec/imap_command.h"

extern struct arena arena;

/* Of a group: a fresh arena, and its end. */
int fresh_arena(void **state);
int free_arena(void **state);

/* What stands behind a command's name; a copy of its own in the arena. */
struct imap_args args_of(const char *text);

/* These arguments are read into *out; or are refused, and it is known what was expected. */
#define GOOD(function, text, out)                              \
    do {                                                       \
        struct imap_args a_ = args_of(text);                   \
        print_message("%s\n", text);                           \
        assert_int_equal(imap_parse_##function(&a_, out), OK); \
    } while (0)
#define BAD(function, text, out)                                       \
    do {                                                               \
        struct imap_args a_ = args_of(text);                           \
        print_message("%s\n", text);                                   \
        assert_int_equal(imap_parse_##function(&a_, out), ERR_SYNTAX); \
        assert_true(a_.expected[0] != '\0');                           \
    } while (0)
#define assert_slice(s, text) assert_string_equal(arena_strdup(&arena, s), text)

#endif
