/* SPDX-License-Identifier: Apache-2.0 */
/* A reader for the arguments of one IMAP command (RFC 9051 9). All functions either read what they are named
 * for and move on, or return ERR_SYNTAX, leave the position and note what was expected there. What they give
 * out lives in the arena. */
#ifndef FRONTEND_CODEC_IMAP_ARGS_H
#define FRONTEND_CODEC_IMAP_ARGS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/mail/date.h"
#include "lib/mail/seqset.h"

enum { IMAP_LIST_DEPTH_MAX = 32 };

struct imap_args {
    struct slice text; /* as in imap_event.args */
    size_t at;
    struct arena *arena;
    bool utf8; /* mailbox names are UTF-8, not modified UTF-7: IMAP4rev2 or UTF8=ACCEPT was enabled */
    const char *expected; /* after ERR_SYNTAX: what the client should have written ... */
    size_t failed_at;     /* ... and where, in octets of `text` */
};

/* `text` and `arena` must outlive everything that is parsed. */
struct imap_args imap_args_of(struct slice text, struct arena *arena, bool utf8);

/* "Expected a mailbox name at \"...\"" for the BAD answer: one line of printable ASCII. */
void imap_args_explain(const struct imap_args *a, struct buf *out);

/* Note what was expected here; always ERR_SYNTAX. */
enum err imap_args_fail(struct imap_args *a, const char *expected);

bool imap_args_at_end(const struct imap_args *a);
uint8_t imap_args_peek(const struct imap_args *a); /* the next octet, 0 at the end */
/* Take an octet, or a word (ASCII case does not matter, must not run on as an atom), if it stands here. */
bool imap_args_skip(struct imap_args *a, char c);
bool imap_args_skip_word(struct imap_args *a, const char *word);

MUST_CHECK enum err imap_args_end(struct imap_args *a);
MUST_CHECK enum err imap_args_char(struct imap_args *a, char c, const char *expected);
MUST_CHECK enum err imap_args_space(struct imap_args *a);
MUST_CHECK enum err imap_args_atom(struct imap_args *a, const char *expected, struct slice *out);
MUST_CHECK enum err imap_args_astring(struct imap_args *a, const char *expected, struct slice *out);
MUST_CHECK enum err imap_args_string(struct imap_args *a, const char *expected, struct slice *out);
/* NIL gives a slice with data NULL. */
MUST_CHECK enum err imap_args_nstring(struct imap_args *a, const char *expected, struct slice *out);
MUST_CHECK enum err imap_args_number(struct imap_args *a, uint64_t max, const char *expected, uint64_t *out);
/* An astring that is a mailbox name, brought to canonical UTF-8 (lib/mail/mailbox_name.h). */
MUST_CHECK enum err imap_args_mailbox(struct imap_args *a, struct slice *out);
/* The same for CREATE: one final separator is taken off and reported (RFC 9051 6.3.4). */
MUST_CHECK enum err imap_args_new_mailbox(struct imap_args *a, struct slice *out, bool *is_parent_out);
/* A list-mailbox (wildcards without quotes allowed), canonical as a pattern. */
MUST_CHECK enum err imap_args_pattern(struct imap_args *a, struct slice *out);
MUST_CHECK enum err imap_args_seqset(struct imap_args *a, struct seqset *out);
MUST_CHECK enum err imap_args_date_time(struct imap_args *a, struct mail_date *out); /* quoted */
MUST_CHECK enum err imap_args_day(struct imap_args *a, int32_t *day_out);            /* quoted or not */

#endif
