/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/flags.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

struct bit_name {
    uint32_t bit;
    const char *name;
};

static const struct bit_name flag_names[] = {
    { MAIL_SEEN, "\\Seen" },       { MAIL_ANSWERED, "\\Answered" }, { MAIL_FLAGGED, "\\Flagged" },
    { MAIL_DELETED, "\\Deleted" }, { MAIL_DRAFT, "\\Draft" },       { 0, NULL },
};

static const struct bit_name use_names[] = {
    { USE_ALL, "\\All" },         { USE_ARCHIVE, "\\Archive" },     { USE_DRAFTS, "\\Drafts" },
    { USE_FLAGGED, "\\Flagged" }, { USE_JUNK, "\\Junk" },           { USE_SENT, "\\Sent" },
    { USE_TRASH, "\\Trash" },     { USE_IMPORTANT, "\\Important" }, { 0, NULL },
};

const char *const keywords_well_known[] = { "$Forwarded", "$MDNSent",   "$Junk", "$NotJunk",
                                            "$Phishing",  "$Important", NULL };

static uint32_t find_bit(const struct bit_name *table, struct slice name)
{
    for (; table->name != NULL; table++) {
        if (slice_eq_nocase_str(name, table->name))
            return table->bit;
    }
    return 0;
}

static const char *find_name(const struct bit_name *table, uint32_t bit)
{
    while (table->name != NULL && table->bit != bit)
        table++;
    return table->name == NULL ? "" : table->name;
}

uint32_t mail_flag_find(struct slice name)
{
    return find_bit(flag_names, name);
}

const char *mail_flag_name(enum mail_flag flag)
{
    return find_name(flag_names, flag);
}

uint32_t special_use_find(struct slice name)
{
    return find_bit(use_names, name);
}

const char *special_use_name(enum special_use use)
{
    return find_name(use_names, use);
}

/* atom-specials of RFC 9051: "(" ")" "{" SP CTL "%" "*" DQUOTE "\" "]" */
static bool is_atom_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

bool keyword_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_atom_char(name.data[i]))
            return false;
    }
    return name.len > 0 && name.len <= KEYWORD_SIZE_MAX;
}

void keyword_table_fini(struct keyword_table *t)
{
    for (unsigned i = 0; i < t->count; i++)
        free(t->names[i]);
    free(t->names);
    *t = (struct keyword_table){ 0 };
}

int keyword_table_find(const struct keyword_table *t, struct slice name)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (slice_eq_nocase_str(name, t->names[i]))
            return (int)i;
    }
    return -1;
}

enum err keyword_table_add(struct keyword_table *t, struct slice name, unsigned *index_out)
{
    if (!keyword_is_valid(name))
        return ERR_SYNTAX;
    int known = keyword_table_find(t, name);
    if (known < 0 && t->count == KEYWORDS_MAX)
        return ERR_LIMIT;
    if (known < 0) {
        t->names = xrealloc(t->names, (t->count + 1u) * sizeof *t->names);
        t->names[t->count] = slice_dup(name);
        known = t->count++;
    }
    *index_out = (unsigned)known;
    return OK;
}
