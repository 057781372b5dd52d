/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of LIST in all its forms, and of LSUB. */
#include "frontend/codec/imap_codec_priv.h"
#include "lib/mail/mailbox_name.h"

static const struct imap_codec_name select_names[] = {
    { "SUBSCRIBED", IMAP_LIST_SUBSCRIBED },
    { "REMOTE", IMAP_LIST_REMOTE },
    { "RECURSIVEMATCH", IMAP_LIST_RECURSIVEMATCH },
    { "SPECIAL-USE", IMAP_LIST_SPECIAL_USE },
    { NULL, 0 },
};

static const struct imap_codec_name return_names[] = {
    { "SUBSCRIBED", IMAP_LIST_RETURN_SUBSCRIBED },
    { "CHILDREN", IMAP_LIST_RETURN_CHILDREN },
    { "SPECIAL-USE", IMAP_LIST_RETURN_SPECIAL_USE },
    { NULL, 0 },
};

/* '(' has been taken. */
static enum err parse_select_options(struct imap_args *args, struct imap_list *out)
{
    while (!imap_args_skip(args, ')')) {
        if (out->select != 0)
            TRY(imap_args_space(args));
        if (!imap_codec_skip_name(args, select_names, &out->select))
            return imap_args_fail(args, "a selection option");
    }
    /* RFC 5258 3.1: RECURSIVEMATCH modifies another option and is an error alone or with REMOTE only. */
    uint32_t base = out->select & ~(uint32_t)(IMAP_LIST_RECURSIVEMATCH | IMAP_LIST_REMOTE);
    if ((out->select & IMAP_LIST_RECURSIVEMATCH) != 0 && base == 0)
        return imap_args_fail(args, "an option that RECURSIVEMATCH modifies");
    return imap_args_space(args);
}

static enum err add_pattern(struct imap_args *args, struct imap_list *out)
{
    struct slice pattern;
    TRY(imap_args_pattern(args, &pattern));
    if (out->pattern_count == IMAP_LIST_PATTERNS_MAX)
        return imap_args_fail(args, "fewer patterns");
    if (out->reference.len + pattern.len > MAILBOX_PATTERN_SIZE_MAX)
        return imap_args_fail(args, "a shorter pattern");
    out->patterns[out->pattern_count++] = pattern;
    return OK;
}

static enum err parse_patterns(struct imap_args *args, struct imap_list *out)
{
    out->patterns = ARENA_ARRAY(args->arena, struct slice, IMAP_LIST_PATTERNS_MAX);
    if (!imap_args_skip(args, '('))
        return add_pattern(args, out);
    out->is_extended = true;
    do {
        TRY(add_pattern(args, out));
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')', "a closing parenthesis");
}

static enum err parse_return_option(struct imap_args *args, struct imap_list *out)
{
    if (imap_codec_skip_name(args, return_names, &out->returns))
        return OK;
    if (!imap_args_skip_word(args, "STATUS"))
        return imap_args_fail(args, "a return option");
    out->returns |= IMAP_LIST_RETURN_STATUS;
    TRY(imap_args_space(args));
    return imap_codec_status_items(args, &out->status_items);
}

/* " RETURN (" ... ")" */
static enum err parse_return_options(struct imap_args *args, struct imap_list *out)
{
    out->is_extended = true;
    TRY(imap_args_space(args));
    if (!imap_args_skip_word(args, "RETURN"))
        return imap_args_fail(args, "RETURN");
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of return options"));
    while (!imap_args_skip(args, ')')) {
        if (out->returns != 0)
            TRY(imap_args_space(args));
        TRY(parse_return_option(args, out));
    }
    return OK;
}

/* The reference is no mailbox name: it may be empty and end in a separator. */
static enum err parse_reference(struct imap_args *args, struct imap_list *out)
{
    TRY(imap_args_pattern(args, &out->reference));
    return imap_args_space(args);
}

enum err imap_parse_list(struct imap_args *args, struct imap_list *out)
{
    *out = (struct imap_list){ 0 };
    if (imap_args_skip(args, '(')) {
        out->is_extended = true;
        TRY(parse_select_options(args, out));
    }
    TRY(parse_reference(args, out));
    TRY(parse_patterns(args, out));
    if (!imap_args_at_end(args))
        TRY(parse_return_options(args, out));
    return imap_args_end(args);
}

enum err imap_parse_lsub(struct imap_args *args, struct imap_list *out)
{
    *out = (struct imap_list){ 0 };
    TRY(parse_reference(args, out));
    out->patterns = ARENA_ARRAY(args->arena, struct slice, IMAP_LIST_PATTERNS_MAX);
    TRY(add_pattern(args, out));
    return imap_args_end(args);
}

struct slice imap_list_pattern(const struct imap_list *list, unsigned i, struct arena *arena)
{
    struct slice pattern = list->patterns[i], joined;
    if (list->reference.len == 0)
        return pattern;
    joined = slice_str(arena_printf(arena, "%.*s%.*s", SLICE_FMT(list->reference), SLICE_FMT(pattern)));
    /* Both are normalised; together a base letter and a combining mark may meet, or a level INBOX come about.
     */
    if (mailbox_pattern_normalise(joined, arena, &pattern) != OK)
        pattern = SLICE_NULL;
    return pattern;
}
