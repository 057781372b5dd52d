/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the IMAP parser share. For frontend/codec only. */
#ifndef FRONTEND_CODEC_IMAP_PARSER_PRIV_H
#define FRONTEND_CODEC_IMAP_PARSER_PRIV_H

#include "frontend/codec/imap_parser.h"

/* "{n}" at the end of a line. */
struct imap_literal {
    bool found;
    size_t at; /* where in the line it starts, its '~' included */
    bool sync;
    bool literal8;
    uint64_t size; /* UINT64_MAX if it is beyond 64 bits */
};

/* imap_parser_head.c: the literal that a line announces at its end; tag and name of a command. */
struct imap_literal imap_literal_find(struct slice line);
/* Read p->tag, or tag and names with p->args_at, from p->command. Return NULL, or what is wrong. */
const char *imap_parser_read_tag(struct imap_parser *p, struct slice line);
const char *imap_parser_read_head(struct imap_parser *p);

/* imap_parser.c: forget the text gathered so far, not the command. */
void imap_parser_clear_text(struct imap_parser *p);
struct imap_event imap_parser_event(const struct imap_parser *p, enum imap_event_type type);

/* imap_parser_swallow.c: what happens to a command that failed. Functions that return bool say whether *out
 * is an event to report now. */

/* Remember what to report once the rest of the command is gone. */
void imap_parser_note_bad(struct imap_parser *p, enum imap_bad_reason reason, const char *text);
/* Swallow the rest of the line whose start may be in p->command. */
void imap_parser_swallow_line(struct imap_parser *p);
void imap_parser_swallow_literal(struct imap_parser *p, uint64_t size);
/* The line has ended, perhaps with a literal that will not be taken: a client that waits for "+" sends
 * nothing more. */
bool imap_parser_swallow_after_line(struct imap_parser *p, struct imap_literal l, struct imap_event *out);
/* Give up on the connection. */
bool imap_parser_close(struct imap_parser *p, const char *text, struct imap_event *out);
/* The two states of swallowing. */
bool imap_parser_step_swallow_line(struct imap_parser *p, struct imap_event *out);
bool imap_parser_step_swallow_literal(struct imap_parser *p, struct imap_event *out);

#endif
