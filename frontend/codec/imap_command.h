/* SPDX-License-Identifier: Apache-2.0 */
/* The typed arguments of each IMAP command. One entry point a command: it reads all of args, to the end. They
 * return OK, or ERR_SYNTAX with args->expected and failed_at set (imap_args_explain makes the BAD text of
 * it); other errors are named at the function. Results live in args->arena. Mailbox names come out canonical.
 * The prefix UID was taken off by the parser: the session knows from imap_event.uid whether a set holds UIDs.
 */
#ifndef FRONTEND_CODEC_IMAP_COMMAND_H
#define FRONTEND_CODEC_IMAP_COMMAND_H

#include "frontend/codec/imap_args.h"
#include "lib/mail/flags.h"
#include "lib/mail/search.h"

/* A set of messages: "1:3,5" or "$" (RFC 5182, the saved result of a search). */
struct imap_set {
    bool saved; /* "$"; then `set` is empty */
    struct seqset set;
};

/* CAPABILITY NOOP LOGOUT STARTTLS NAMESPACE CHECK CLOSE UNSELECT IDLE, EXPUNGE without UID: no arguments. */
MUST_CHECK enum err imap_parse_none(struct imap_args *args);

/* --- imap_command_auth.c: LOGIN, AUTHENTICATE, ENABLE, ID
 * -------------------------------------------------------- */

struct imap_login {
    struct slice user;
    struct slice password;
};
MUST_CHECK enum err imap_parse_login(struct imap_args *args, struct imap_login *out);

struct imap_authenticate {
    const char *mechanism; /* upper case */
    bool has_initial;      /* SASL-IR (RFC 4959) */
    struct slice initial;  /* decoded; empty for "=" */
};
MUST_CHECK enum err imap_parse_authenticate(struct imap_args *args, struct imap_authenticate *out);
/* One line of a SASL exchange: "*" cancels, else base64 without blanks. Returns ERR_CANCELLED or ERR_SYNTAX.
 */
MUST_CHECK enum err imap_parse_sasl_line(struct slice line, struct arena *arena, struct slice *out);

enum imap_enable { /* what of ENABLE's arguments is known here (RFC 5161); others are ignored, as it demands
                    */
                   IMAP_ENABLE_CONDSTORE = 1u << 0,
                   IMAP_ENABLE_QRESYNC = 1u << 1,
                   IMAP_ENABLE_UTF8_ACCEPT = 1u << 2,
                   IMAP_ENABLE_REV2 = 1u << 3,
};
MUST_CHECK enum err imap_parse_enable(struct imap_args *args, uint32_t *out);

struct imap_id {
    struct imap_id_pair {
        struct slice field;
        struct slice value; /* data NULL for NIL */
    } * pairs;
    unsigned count; /* 0 for "ID NIL"; at most IMAP_ID_PAIRS_MAX (RFC 2971) */
};
enum { IMAP_ID_PAIRS_MAX = 30, IMAP_ID_FIELD_MAX = 30, IMAP_ID_VALUE_MAX = 1024 };
MUST_CHECK enum err imap_parse_id(struct imap_args *args, struct imap_id *out);

/* --- imap_command_mailbox.c: SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE STATUS
 * --------------------- */

struct imap_select {
    struct slice mailbox;
    bool condstore;       /* RFC 7162 3.1.8 */
    bool qresync;         /* RFC 7162 3.2.5; the session refuses it unless enabled */
    uint32_t uidvalidity; /* of QRESYNC, as what follows */
    uint64_t modseq;
    bool has_known_uids;
    struct seqset known_uids;
    bool has_match;
    struct seqset match_seqs;
    struct seqset match_uids;
};
MUST_CHECK enum err imap_parse_select(struct imap_args *args, struct imap_select *out);

struct imap_create {
    struct slice mailbox;
    bool is_parent; /* written with a final separator: only names below it will be created (RFC 9051 6.3.4) */
    bool has_unknown_use; /* USE named an attribute that is not known: NO [USEATTR] */
    uint32_t use;         /* of enum special_use (RFC 6154) */
};
MUST_CHECK enum err imap_parse_create(struct imap_args *args, struct imap_create *out);

struct imap_rename {
    struct slice from;
    struct slice to;
};
MUST_CHECK enum err imap_parse_rename(struct imap_args *args, struct imap_rename *out);

/* DELETE, SUBSCRIBE, UNSUBSCRIBE. */
MUST_CHECK enum err imap_parse_mailbox(struct imap_args *args, struct slice *mailbox_out);

enum imap_status_item {
    IMAP_STATUS_MESSAGES = 1u << 0,
    IMAP_STATUS_RECENT = 1u << 1,
    IMAP_STATUS_UIDNEXT = 1u << 2,
    IMAP_STATUS_UIDVALIDITY = 1u << 3,
    IMAP_STATUS_UNSEEN = 1u << 4,
    IMAP_STATUS_DELETED = 1u << 5,
    IMAP_STATUS_SIZE = 1u << 6,
    IMAP_STATUS_HIGHESTMODSEQ = 1u << 7,
    IMAP_STATUS_APPENDLIMIT = 1u << 8,
    IMAP_STATUS_MAILBOXID = 1u << 9,
};
struct imap_status {
    struct slice mailbox;
    uint32_t items; /* of enum imap_status_item */
};
MUST_CHECK enum err imap_parse_status(struct imap_args *args, struct imap_status *out);

/* --- imap_command_list.c: LIST (RFC 9051 6.3.9, 5258, 5819, 6154), LSUB
 * ------------------------------------------ */

enum imap_list_select { /* selection options */
                        IMAP_LIST_SUBSCRIBED = 1u << 0,
                        IMAP_LIST_REMOTE = 1u << 1,
                        IMAP_LIST_RECURSIVEMATCH = 1u << 2,
                        IMAP_LIST_SPECIAL_USE = 1u << 3,
};
enum imap_list_return { /* return options */
                        IMAP_LIST_RETURN_SUBSCRIBED = 1u << 0,
                        IMAP_LIST_RETURN_CHILDREN = 1u << 1,
                        IMAP_LIST_RETURN_STATUS = 1u << 2,
                        IMAP_LIST_RETURN_SPECIAL_USE = 1u << 3,
};
enum { IMAP_LIST_PATTERNS_MAX = 64 };
struct imap_list {
    bool is_extended;       /* written in one of the extended forms */
    uint32_t select;        /* RECURSIVEMATCH alone is refused as ERR_SYNTAX here */
    struct slice reference; /* canonical as a pattern */
    struct slice *patterns; /* each without the reference; an empty one asks for the separator */
    unsigned pattern_count;
    uint32_t returns;
    uint32_t status_items; /* of RETURN (STATUS (...)) */
};
MUST_CHECK enum err imap_parse_list(struct imap_args *args, struct imap_list *out);
MUST_CHECK enum err imap_parse_lsub(struct imap_args *args, struct imap_list *out);
/* Pattern i with the reference put before it (RFC 9051 6.3.9.1: a pattern with a leading separator stands
 * alone). */
struct slice imap_list_pattern(const struct imap_list *list, unsigned i, struct arena *arena);

/* --- imap_command_message.c: APPEND STORE COPY MOVE UID EXPUNGE
 * --------------------------------------------------- */

/* Flags as written. "\Recent" is refused; other unknown names with a backslash too. */
enum { IMAP_KEYWORDS_MAX = KEYWORDS_MAX };
struct imap_flag_list {
    uint32_t system;        /* of enum mail_flag */
    struct slice *keywords; /* valid by keyword_is_valid, each once (ASCII case does not matter) */
    unsigned keyword_count;
};

/* What stands before a message literal of APPEND (IMAP_EVENT_APPEND). */
struct imap_append {
    struct slice mailbox; /* only of the first */
    struct imap_flag_list flags;
    bool has_date;
    struct mail_date date;
};
MUST_CHECK enum err imap_parse_append(struct imap_args *args, bool first, struct imap_append *out);

enum imap_store_mode { IMAP_STORE_REPLACE, IMAP_STORE_ADD, IMAP_STORE_REMOVE };
struct imap_store {
    struct imap_set set;
    enum imap_store_mode mode;
    bool silent;
    bool has_unchanged_since; /* RFC 7162 3.1.3; 0 is a value */
    uint64_t unchanged_since;
    struct imap_flag_list flags;
};
MUST_CHECK enum err imap_parse_store(struct imap_args *args, struct imap_store *out);

struct imap_copy {
    struct imap_set set;
    struct slice mailbox;
};
MUST_CHECK enum err imap_parse_copy(struct imap_args *args, struct imap_copy *out); /* MOVE too */

MUST_CHECK enum err imap_parse_uid_expunge(struct imap_args *args, struct imap_set *out);

/* --- imap_command_search.c: SEARCH (RFC 9051 6.4.4, 5032, 5182, 7162, 8474)
 * --------------------------------------- */

enum imap_search_return {
    IMAP_SEARCH_MIN = 1u << 0,
    IMAP_SEARCH_MAX = 1u << 1,
    IMAP_SEARCH_ALL = 1u << 2,
    IMAP_SEARCH_COUNT = 1u << 3,
    IMAP_SEARCH_SAVE = 1u << 4,
};
struct imap_search {
    bool has_return;  /* RETURN (...) was written: answer with ESEARCH */
    uint32_t returns; /* "RETURN ()" is ALL, as the RFC says */
    bool uses_modseq; /* a MODSEQ key: the answer has MODSEQ and CONDSTORE is enabled by it */
    bool uses_saved;  /* a '$' */
    bool has_charset; /* CHARSET was written (RFC 6855 3: a BAD once UTF8=ACCEPT is enabled) */
    struct search_node *tree;
};
/* Returns ERR_UNSUPPORTED for a charset other than UTF-8 and US-ASCII: NO [BADCHARSET (US-ASCII UTF-8)];
 * ERR_TOO_BIG beyond the bounds of lib/mail/search.h. `uid` only matters for the caller. */
MUST_CHECK enum err imap_parse_search(struct imap_args *args, struct imap_search *out);

/* --- imap_command_fetch.c: FETCH (RFC 9051 6.4.5, 3516 BINARY, 7162, 8474, 8970 PREVIEW)
 * --------------------------- */

enum imap_fetch_item {
    IMAP_FETCH_FLAGS = 1u << 0,
    IMAP_FETCH_UID = 1u << 1,
    IMAP_FETCH_INTERNALDATE = 1u << 2,
    IMAP_FETCH_SIZE = 1u << 3, /* RFC822.SIZE */
    IMAP_FETCH_ENVELOPE = 1u << 4,
    IMAP_FETCH_BODY = 1u << 5, /* BODY without a section: the structure without extension data */
    IMAP_FETCH_BODYSTRUCTURE = 1u << 6,
    IMAP_FETCH_MODSEQ = 1u << 7,
    IMAP_FETCH_PREVIEW = 1u << 8,
    IMAP_FETCH_PREVIEW_LAZY = 1u << 9,
    IMAP_FETCH_EMAILID = 1u << 10,
    IMAP_FETCH_THREADID = 1u << 11,
};

enum imap_section_kind {
    IMAP_SECTION_BODY, /* BODY[...] and BODY.PEEK[...] */
    IMAP_SECTION_BINARY,
    IMAP_SECTION_BINARY_SIZE,
    IMAP_SECTION_RFC822, /* the three obsolete names; like BODY[], BODY.PEEK[HEADER], BODY[TEXT] */
    IMAP_SECTION_RFC822_HEADER,
    IMAP_SECTION_RFC822_TEXT,
};
enum imap_section_text {
    IMAP_TEXT_ALL, /* nothing behind the part numbers */
    IMAP_TEXT_HEADER,
    IMAP_TEXT_HEADER_FIELDS,
    IMAP_TEXT_HEADER_FIELDS_NOT,
    IMAP_TEXT_TEXT,
    IMAP_TEXT_MIME, /* only behind part numbers */
};
enum {
    IMAP_SECTIONS_MAX = 128,      /* sections in one FETCH */
    IMAP_SECTION_DEPTH_MAX = 101, /* part numbers in one section: all that MIME_DEPTH_MAX lets arise */
    IMAP_SECTION_FIELDS_MAX = 256,
};
struct imap_section {
    enum imap_section_kind kind;
    enum imap_section_text text; /* the three RFC822 names are translated into it */
    bool sets_seen;              /* no .PEEK, and not a size or a header by its obsolete name */
    uint32_t *part;              /* part numbers from the outermost, each at least 1 */
    unsigned part_count;
    struct slice *fields; /* HEADER.FIELDS: as written */
    unsigned field_count;
    bool partial; /* "<offset.length>" was written */
    uint64_t offset;
    uint64_t length; /* at least 1; offset + length does not overflow */
};
struct imap_fetch {
    struct imap_set set;
    uint32_t items; /* of enum imap_fetch_item, without what UID FETCH adds by itself */
    struct imap_section *sections;
    unsigned section_count;
    bool sets_seen; /* any section does */
    bool has_changed_since;
    uint64_t changed_since; /* RFC 7162 3.1.4 */
    bool vanished;          /* RFC 7162 3.2.6; only together with CHANGEDSINCE */
};
MUST_CHECK enum err imap_parse_fetch(struct imap_args *args, struct imap_fetch *out);

#endif
