/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of APPEND, STORE, COPY, MOVE and UID EXPUNGE. */
#include "frontend/codec/imap_codec_priv.h"

enum err imap_codec_set(struct imap_args *args, struct imap_set *out)
{
    *out = (struct imap_set){ .saved = imap_args_skip(args, '$') };
    return out->saved ? OK : imap_args_seqset(args, &out->set);
}

enum err imap_codec_flag(struct imap_args *args, const char *expected, struct slice *out)
{
    size_t from = args->at;
    struct slice name;
    imap_args_skip(args, '\\');
    TRY(imap_args_atom(args, expected, &name));
    *out = slice_sub(args->text, from, args->at);
    return OK;
}

static bool is_listed(const struct imap_flag_list *list, struct slice keyword)
{
    for (unsigned i = 0; i < list->keyword_count; i++) {
        if (slice_eq_nocase(list->keywords[i], keyword))
            return true;
    }
    return false;
}

static enum err add_flag(struct imap_args *args, struct imap_flag_list *out)
{
    struct slice flag;
    size_t from = args->at;
    TRY(imap_codec_flag(args, "a flag", &flag));
    uint32_t system = mail_flag_find(flag);
    out->system |= system;
    if (system != 0)
        return OK;
    if (!keyword_is_valid(flag)) {
        args->at = from;
        return imap_args_fail(args, "a flag that a client may set");
    }
    if (is_listed(out, flag))
        return OK;
    if (out->keyword_count == IMAP_KEYWORDS_MAX)
        return imap_args_fail(args, "fewer keywords");
    if (out->keywords == NULL)
        out->keywords = ARENA_ARRAY(args->arena, struct slice, IMAP_KEYWORDS_MAX);
    out->keywords[out->keyword_count++] = flag;
    return OK;
}

/* "(" [flag *(SP flag)] ")" */
static enum err parse_flag_list(struct imap_args *args, struct imap_flag_list *out)
{
    bool any = false;
    TRY(imap_args_char(args, '(', "a list of flags"));
    while (!imap_args_skip(args, ')')) {
        if (any)
            TRY(imap_args_space(args));
        TRY(add_flag(args, out));
        any = true;
    }
    return OK;
}

enum err imap_parse_append(struct imap_args *args, bool first, struct imap_append *out)
{
    *out = (struct imap_append){ 0 };
    if (first) {
        TRY(imap_args_mailbox(args, &out->mailbox));
        if (imap_args_at_end(args))
            return OK;
        TRY(imap_args_space(args));
    }
    if (imap_args_peek(args) == '(') {
        TRY(parse_flag_list(args, &out->flags));
        if (imap_args_at_end(args))
            return OK;
        TRY(imap_args_space(args));
    } else if (!first && imap_args_at_end(args)) {
        return OK;
    }
    out->has_date = true;
    TRY(imap_args_date_time(args, &out->date));
    return imap_args_end(args);
}

/* "(UNCHANGEDSINCE n) " */
static enum err parse_store_modifier(struct imap_args *args, struct imap_store *out)
{
    if (!imap_args_skip(args, '('))
        return OK;
    if (!imap_args_skip_word(args, "UNCHANGEDSINCE"))
        return imap_args_fail(args, "UNCHANGEDSINCE");
    TRY(imap_args_space(args));
    TRY(imap_args_number(args, INT64_MAX, "a modification sequence", &out->unchanged_since));
    out->has_unchanged_since = true;
    TRY(imap_args_char(args, ')', "a closing parenthesis"));
    return imap_args_space(args);
}

enum err imap_parse_store(struct imap_args *args, struct imap_store *out)
{
    *out = (struct imap_store){ 0 };
    TRY(imap_codec_set(args, &out->set));
    TRY(imap_args_space(args));
    TRY(parse_store_modifier(args, out));
    if (imap_args_skip(args, '+'))
        out->mode = IMAP_STORE_ADD;
    else if (imap_args_skip(args, '-'))
        out->mode = IMAP_STORE_REMOVE;
    out->silent = imap_args_skip_word(args, "FLAGS.SILENT");
    if (!out->silent && !imap_args_skip_word(args, "FLAGS"))
        return imap_args_fail(args, "FLAGS or FLAGS.SILENT");
    TRY(imap_args_space(args));
    if (imap_args_peek(args) == '(') {
        TRY(parse_flag_list(args, &out->flags));
        return imap_args_end(args);
    }
    do {
        TRY(add_flag(args, &out->flags));
    } while (imap_args_skip(args, ' '));
    return imap_args_end(args);
}

enum err imap_parse_copy(struct imap_args *args, struct imap_copy *out)
{
    *out = (struct imap_copy){ 0 };
    TRY(imap_codec_set(args, &out->set));
    TRY(imap_args_space(args));
    TRY(imap_args_mailbox(args, &out->mailbox));
    return imap_args_end(args);
}

enum err imap_parse_uid_expunge(struct imap_args *args, struct imap_set *out)
{
    TRY(imap_codec_set(args, out));
    return imap_args_end(args);
}
