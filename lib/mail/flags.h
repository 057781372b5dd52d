/* SPDX-License-Identifier: Apache-2.0 */
/* Flags and keywords of messages (RFC 9051 2.3.2) and the special uses of mailboxes (RFC 6154). */
#ifndef LIB_MAIL_FLAGS_H
#define LIB_MAIL_FLAGS_H

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum {
    KEYWORDS_MAX = 64,      /* keywords a mailbox: one bit each */
    KEYWORD_SIZE_MAX = 100, /* octets of one keyword */
};

/* System flags. The numbers are stored: never change them. */
enum mail_flag {
    MAIL_SEEN = 1u << 0,
    MAIL_ANSWERED = 1u << 1,
    MAIL_FLAGGED = 1u << 2,
    MAIL_DELETED = 1u << 3,
    MAIL_DRAFT = 1u << 4,
    MAIL_FLAGS_ALL = 0x1f,
};

struct mail_flags {
    uint32_t system;   /* of enum mail_flag */
    uint64_t keywords; /* bit i is the name at index i of the mailbox's keyword table */
};

static inline bool mail_flags_eq(struct mail_flags a, struct mail_flags b)
{
    return a.system == b.system && a.keywords == b.keywords;
}

/* The bit of a system flag's name ("\Seen", any case), or 0. "\Recent" is a session's matter and not known
 * here. */
uint32_t mail_flag_find(struct slice name);
/* The name of one bit ("\Seen"). */
const char *mail_flag_name(enum mail_flag flag);

/* Whether `name` may be a keyword: an atom without backslash (RFC 9051 flag-keyword), 1 to KEYWORD_SIZE_MAX
 * octets. */
bool keyword_is_valid(struct slice name);

/* The well-known keywords (RFC 8457, 9051 2.3.2): "$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing",
 * "$Important", ended by NULL. */
extern const char *const keywords_well_known[];

/* One mailbox's keywords in the order of their bits. Zero-initialised is empty; owns its names. Entries are
 * only ever added, so a bit keeps its meaning. */
struct keyword_table {
    char **names;
    uint8_t count;
};

void keyword_table_fini(struct keyword_table *t);
/* The index of `name` (case does not matter), or -1. */
int keyword_table_find(const struct keyword_table *t, struct slice name);
/* The index of `name`, added if it is new. Returns ERR_SYNTAX for no valid keyword, ERR_LIMIT if the table is
 * full. */
MUST_CHECK enum err keyword_table_add(struct keyword_table *t, struct slice name, unsigned *index_out);

/* Special uses of a mailbox (RFC 6154, RFC 8457). The numbers are stored: never change them. */
enum special_use {
    USE_ALL = 1u << 0,
    USE_ARCHIVE = 1u << 1,
    USE_DRAFTS = 1u << 2,
    USE_FLAGGED = 1u << 3,
    USE_JUNK = 1u << 4,
    USE_SENT = 1u << 5,
    USE_TRASH = 1u << 6,
    USE_IMPORTANT = 1u << 7,
    USE_EVERY = 0xff,
};

/* The bit of an attribute's name ("\Sent", any case), or 0; and back. */
uint32_t special_use_find(struct slice name);
const char *special_use_name(enum special_use use);

#endif
