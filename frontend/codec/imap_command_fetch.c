/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of FETCH. */
#include "frontend/codec/imap_codec_priv.h"

/* Items that are one word and nothing more. PREVIEW and the sections are read by hand. */
static const struct imap_codec_name item_names[] = {
    { "FLAGS", IMAP_FETCH_FLAGS },
    { "UID", IMAP_FETCH_UID },
    { "INTERNALDATE", IMAP_FETCH_INTERNALDATE },
    { "RFC822.SIZE", IMAP_FETCH_SIZE },
    { "ENVELOPE", IMAP_FETCH_ENVELOPE },
    { "BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE },
    { "MODSEQ", IMAP_FETCH_MODSEQ },
    { "EMAILID", IMAP_FETCH_EMAILID },
    { "THREADID", IMAP_FETCH_THREADID },
    { NULL, 0 },
};

enum {
    FAST = IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE,
    ALL = FAST | IMAP_FETCH_ENVELOPE,
    FULL = ALL | IMAP_FETCH_BODY,
};
static const struct imap_codec_name macro_names[] = {
    { "FAST", FAST },
    { "ALL", ALL },
    { "FULL", FULL },
    { NULL, 0 },
};

/* Names that take a section, and what each means. */
static const struct section_name {
    const char *name;
    enum imap_section_kind kind;
    bool sets_seen;
} section_names[] = {
    { "BODY.PEEK", IMAP_SECTION_BODY, false },     { "BODY", IMAP_SECTION_BODY, true },
    { "BINARY.PEEK", IMAP_SECTION_BINARY, false }, { "BINARY.SIZE", IMAP_SECTION_BINARY_SIZE, false },
    { "BINARY", IMAP_SECTION_BINARY, true },
};

/* The obsolete names (RFC 3501 6.4.5): RFC822 is BODY[], RFC822.HEADER is BODY.PEEK[HEADER], RFC822.TEXT is
 * BODY[TEXT]. */
static const struct old_name {
    const char *name;
    enum imap_section_kind kind;
    enum imap_section_text text;
    bool sets_seen;
} old_names[] = {
    { "RFC822", IMAP_SECTION_RFC822, IMAP_TEXT_ALL, true },
    { "RFC822.HEADER", IMAP_SECTION_RFC822_HEADER, IMAP_TEXT_HEADER, false },
    { "RFC822.TEXT", IMAP_SECTION_RFC822_TEXT, IMAP_TEXT_TEXT, true },
};

/* Part numbers; stops at the word behind their last dot. *dot_out: a dot was the last thing read. */
static enum err parse_part(struct imap_args *args, struct imap_section *out, bool *dot_out)
{
    uint64_t number;
    *dot_out = false;
    while (imap_args_peek(args) >= '0' && imap_args_peek(args) <= '9') {
        size_t from = args->at;
        TRY(imap_args_number(args, UINT32_MAX, "a part number", &number));
        if (number == 0 || out->part_count == IMAP_SECTION_DEPTH_MAX) {
            args->at = from;
            return imap_args_fail(args, number == 0 ? "a part number above 0" : "fewer part numbers");
        }
        if (out->part == NULL)
            out->part = ARENA_ARRAY(args->arena, uint32_t, IMAP_SECTION_DEPTH_MAX);
        out->part[out->part_count++] = (uint32_t)number;
        *dot_out = imap_args_skip(args, '.');
        if (!*dot_out)
            return OK;
    }
    return OK;
}

/* " (" field *(SP field) ")" */
static enum err parse_fields(struct imap_args *args, struct imap_section *out)
{
    out->fields = ARENA_ARRAY(args->arena, struct slice, IMAP_SECTION_FIELDS_MAX);
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of field names"));
    do {
        if (out->field_count == IMAP_SECTION_FIELDS_MAX)
            return imap_args_fail(args, "fewer field names");
        TRY(imap_args_astring(args, "a field name", &out->fields[out->field_count]));
        out->field_count++;
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')', "a closing parenthesis");
}

static enum err parse_section_text(struct imap_args *args, struct imap_section *out)
{
    static const struct {
        const char *name;
        enum imap_section_text text;
    } names[] = { { "HEADER", IMAP_TEXT_HEADER },
                  { "HEADER.FIELDS", IMAP_TEXT_HEADER_FIELDS },
                  { "HEADER.FIELDS.NOT", IMAP_TEXT_HEADER_FIELDS_NOT },
                  { "TEXT", IMAP_TEXT_TEXT },
                  { "MIME", IMAP_TEXT_MIME } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].text == IMAP_TEXT_MIME && out->part_count == 0)
            continue;
        if (!imap_args_skip_word(args, names[i].name))
            continue;
        out->text = names[i].text;
        bool has_fields = out->text == IMAP_TEXT_HEADER_FIELDS || out->text == IMAP_TEXT_HEADER_FIELDS_NOT;
        return has_fields ? parse_fields(args, out) : OK;
    }
    return imap_args_fail(args, "a section");
}

/* "<" offset "." length ">" */
static enum err parse_partial(struct imap_args *args, struct imap_section *out)
{
    if (out->kind == IMAP_SECTION_BINARY_SIZE || !imap_args_skip(args, '<'))
        return OK;
    out->partial = true;
    TRY(imap_args_number(args, INT64_MAX, "an offset", &out->offset));
    TRY(imap_args_char(args, '.', "a dot and a length"));
    size_t from = args->at;
    TRY(imap_args_number(args, INT64_MAX, "a length", &out->length));
    if (out->length == 0) {
        args->at = from;
        return imap_args_fail(args, "a length above 0");
    }
    return imap_args_char(args, '>', "'>'");
}

/* '[' has been taken. */
static enum err parse_section(struct imap_args *args, struct imap_section *out)
{
    bool dot;
    TRY(parse_part(args, out, &dot));
    bool binary = out->kind != IMAP_SECTION_BODY;
    bool bare = imap_args_peek(args) == ']' && !dot;
    if (!bare && binary)
        return imap_args_fail(args, "part numbers");
    /* Behind part numbers a text name needs its dot. */
    if (!bare && out->part_count > 0 && !dot)
        return imap_args_fail(args, "a dot or ']'");
    if (!bare)
        TRY(parse_section_text(args, out));
    TRY(imap_args_char(args, ']', "']'"));
    return parse_partial(args, out);
}

static enum err new_section(struct imap_args *args, struct imap_fetch *out, struct imap_section **section_out)
{
    if (out->sections == NULL)
        out->sections = ARENA_ARRAY(args->arena, struct imap_section, IMAP_SECTIONS_MAX);
    if (out->section_count == IMAP_SECTIONS_MAX)
        return imap_args_fail(args, "fewer sections");
    *section_out = &out->sections[out->section_count++];
    return OK;
}

/* BODY without a section is the structure; all others need one. */
static enum err parse_section_item(struct imap_args *args, const struct section_name *name,
                                   struct imap_fetch *out)
{
    struct imap_section *section;
    if (!imap_args_skip(args, '[')) {
        if (name->kind != IMAP_SECTION_BODY || !name->sets_seen)
            return imap_args_fail(args, "'['");
        out->items |= IMAP_FETCH_BODY;
        return OK;
    }
    TRY(new_section(args, out, &section));
    section->kind = name->kind;
    section->sets_seen = name->sets_seen;
    return parse_section(args, section);
}

/* PREVIEW [SP "(LAZY)"]: what follows may also be the list of modifiers. */
static void parse_preview(struct imap_args *args, struct imap_fetch *out)
{
    struct slice rest = slice_sub(args->text, args->at, args->text.len);
    out->items |= IMAP_FETCH_PREVIEW;
    if (slice_starts_nocase(rest, " (LAZY)")) {
        out->items |= IMAP_FETCH_PREVIEW_LAZY;
        args->at += strlen(" (LAZY)");
    }
}

static enum err parse_item(struct imap_args *args, struct imap_fetch *out)
{
    if (imap_codec_skip_name(args, item_names, &out->items))
        return OK;
    if (imap_args_skip_word(args, "PREVIEW")) {
        parse_preview(args, out);
        return OK;
    }
    for (size_t i = 0; i < sizeof section_names / sizeof section_names[0]; i++) {
        if (imap_args_skip_word(args, section_names[i].name))
            return parse_section_item(args, &section_names[i], out);
    }
    for (size_t i = 0; i < sizeof old_names / sizeof old_names[0]; i++) {
        if (imap_args_skip_word(args, old_names[i].name)) {
            struct imap_section *section;
            TRY(new_section(args, out, &section));
            section->kind = old_names[i].kind;
            section->text = old_names[i].text;
            section->sets_seen = old_names[i].sets_seen;
            return OK;
        }
    }
    return imap_args_fail(args, "an item to fetch");
}

static enum err parse_items(struct imap_args *args, struct imap_fetch *out)
{
    if (imap_codec_skip_name(args, macro_names, &out->items))
        return OK;
    if (!imap_args_skip(args, '('))
        return parse_item(args, out);
    do {
        TRY(parse_item(args, out));
    } while (imap_args_skip(args, ' '));
    return imap_args_char(args, ')', "a space or a closing parenthesis");
}

/* " (CHANGEDSINCE n [VANISHED])" in any order. */
static enum err parse_modifiers(struct imap_args *args, struct imap_fetch *out)
{
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of modifiers"));
    do {
        if (!out->has_changed_since && imap_args_skip_word(args, "CHANGEDSINCE")) {
            TRY(imap_args_space(args));
            TRY(imap_args_number(args, INT64_MAX, "a modification sequence", &out->changed_since));
            out->has_changed_since = true;
            out->items |= IMAP_FETCH_MODSEQ; /* RFC 7162 3.1.4.1: it is answered too */
        } else if (!out->vanished && imap_args_skip_word(args, "VANISHED")) {
            out->vanished = true;
        } else {
            return imap_args_fail(args, "CHANGEDSINCE or VANISHED");
        }
    } while (imap_args_skip(args, ' '));
    if (!out->has_changed_since)
        return imap_args_fail(args, "CHANGEDSINCE beside VANISHED");
    return imap_args_char(args, ')', "a closing parenthesis");
}

enum err imap_parse_fetch(struct imap_args *args, struct imap_fetch *out)
{
    *out = (struct imap_fetch){ 0 };
    TRY(imap_codec_set(args, &out->set));
    TRY(imap_args_space(args));
    TRY(parse_items(args, out));
    if (!imap_args_at_end(args))
        TRY(parse_modifiers(args, out));
    for (unsigned i = 0; i < out->section_count; i++)
        out->sets_seen = out->sets_seen || out->sections[i].sets_seen;
    return imap_args_end(args);
}
