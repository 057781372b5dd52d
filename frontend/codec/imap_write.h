/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of IMAP responses (RFC 9051 9), appended to a buffer. `utf8` says that the client enabled IMAP4rev2
 * or UTF8=ACCEPT: then quoted strings and mailbox names are UTF-8, else octets above 127 go out as literals
 * and names as modified UTF-7. */
#ifndef FRONTEND_CODEC_IMAP_WRITE_H
#define FRONTEND_CODEC_IMAP_WRITE_H

#include "frontend/codec/imap_command.h"
#include "lib/base/buf.h"
#include "lib/mail/date.h"
#include "lib/mail/flags.h"
#include "lib/mail/uidset.h"

/* --- strings: also imap_format_string, _nstring and _astring of lib/mail/imap_format.h --- */

void imap_write_literal(struct buf *out, struct slice s);
/* "{size}\r\n" or "~{size}\r\n"; the caller sends the bytes. */
void imap_write_literal_head(struct buf *out, uint64_t size, bool literal8);
/* A canonical mailbox name. */
void imap_write_mailbox(struct buf *out, struct slice name, bool utf8);
/* Text for a human: control characters and, unless utf8, octets above 127 become '?'. No line end. */
void imap_write_text(struct buf *out, struct slice text, bool utf8);

/* --- status responses --- */

/* "tag OK [CODE] text\r\n". tag may be "*" or "+"; status "OK", "NO", "BAD", "BYE", "PREAUTH"; code without
 * brackets, or NULL. */
void imap_write_status_line(struct buf *out, struct slice tag, const char *status, const char *code,
                            const char *text);
/* Contents of response codes, without brackets: "APPENDUID 1 7", "COPYUID 1 1:3 7:9" (RFC 4315), "MODIFIED
 * 4,9" (RFC 7162). */
void imap_write_appenduid(struct buf *out, uint32_t uidvalidity, const struct uidset *uids);
void imap_write_copyuid(struct buf *out, uint32_t uidvalidity, const struct uidset *from,
                        const struct uidset *to);
void imap_write_modified(struct buf *out, const struct uidset *set);

/* --- flags and dates --- */

/* "(\Seen $Junk)"; table may be NULL if there are no keywords; bits without a name are left out. */
void imap_write_flags(struct buf *out, struct mail_flags flags, const struct keyword_table *table,
                      bool recent);
/* "(\Answered ... $Junk)": what FLAGS says of a mailbox; `star` adds "\*" (PERMANENTFLAGS). */
void imap_write_flag_names(struct buf *out, const struct keyword_table *table, bool star);
/* " \Sent \Archive" each with a blank before, nothing for 0. */
void imap_write_special_use(struct buf *out, uint32_t use);
/* The quoted date-time of INTERNALDATE is date_format_imap of lib/mail/date.h, sets are uidset_format. */

/* --- answers of commands --- */

enum imap_list_attribute {
    IMAP_ATTR_NOINFERIORS = 1u << 0,
    IMAP_ATTR_NOSELECT = 1u << 1,
    IMAP_ATTR_NONEXISTENT = 1u << 2,
    IMAP_ATTR_HASCHILDREN = 1u << 3,
    IMAP_ATTR_HASNOCHILDREN = 1u << 4,
    IMAP_ATTR_SUBSCRIBED = 1u << 5,
    IMAP_ATTR_MARKED = 1u << 6,
    IMAP_ATTR_UNMARKED = 1u << 7,
};
struct imap_list_row {
    bool lsub;                 /* "* LSUB", else "* LIST" */
    uint32_t attributes;       /* of enum imap_list_attribute */
    uint32_t use;              /* of enum special_use */
    struct slice name;         /* empty: the answer to an empty pattern */
    bool childinfo_subscribed; /* ("CHILDINFO" ("SUBSCRIBED")) of RFC 5258 */
    struct slice old_name;     /* data NULL, or ("OLDNAME" ("...")) of RFC 9051 6.3.9.7 */
};
void imap_write_list(struct buf *out, const struct imap_list_row *row, bool utf8); /* the whole line */

struct imap_status_values {
    uint64_t messages;
    uint64_t recent;
    uint64_t uidnext;
    uint64_t uidvalidity;
    uint64_t unseen;
    uint64_t deleted;
    uint64_t size;
    uint64_t highestmodseq;
    uint64_t appendlimit;
    struct slice mailboxid;
};
/* "* STATUS name (MESSAGES 3 ...)\r\n" with those of `items`. */
void imap_write_status(struct buf *out, struct slice mailbox, bool utf8, uint32_t items,
                       const struct imap_status_values *values);

/* "* SEARCH 2 5 (MODSEQ 9)\r\n"; modseq 0 for none. `result` holds what is to be shown: UIDs or sequence
 * numbers. */
void imap_write_search(struct buf *out, const struct uidset *result, uint64_t modseq);
/* "* ESEARCH (TAG \"a1\") UID MIN 2 COUNT 3 ALL 2,5\r\n": what `returns` asks for (SAVE is not shown; MIN,
 * MAX and ALL are left out of an empty result). */
void imap_write_esearch(struct buf *out, struct slice tag, bool uid, uint32_t returns,
                        const struct uidset *result, uint64_t modseq);
/* The name under which FETCH answers a section: "BODY[1.MIME]<0>", "BINARY[2]", "RFC822.TEXT". */
void imap_write_section(struct buf *out, const struct imap_section *section);
/* ("name" "Tern" ...) from `count` pairs of fields and values; NIL for none (RFC 2971). */
void imap_write_id(struct buf *out, const struct imap_id_pair *pairs, unsigned count);

#endif
