/* SPDX-License-Identifier: Apache-2.0 */
/* Splits what an IMAP client sends into commands (RFC 9051 2.2, 4.3; RFC 7888 LITERAL+; RFC 3502 MULTIAPPEND;
 * RFC 6855). A pull parser: push the bytes as they come, then take events until IMAP_EVENT_NEED_MORE. It
 * understands line ends, quotes and literals, and of the commands only as much of APPEND as is needed to
 * stream a message.
 *
 *   push -> next: COMMAND                                 answer it
 *                 CONTINUE                                send "+ ...", the client then sends the literal
 *                 APPEND, then accept:  APPEND_DATA*, APPEND_END, then APPEND again or APPEND_DONE
 *                         or refuse:    send the tagged NO; the rest of the command is swallowed
 *                 LINE                                    after imap_parser_expect_line (IDLE's DONE, SASL
 * answers) BAD                                     send "tag BAD text", and close if it says so
 *
 * Slices in an event are valid until the next push or next. Byte at a time gives the same events as all at
 * once, but for where APPEND_DATA is cut. */
#ifndef FRONTEND_CODEC_IMAP_PARSER_H
#define FRONTEND_CODEC_IMAP_PARSER_H

#include "lib/base/buf.h"
#include "lib/base/slice.h"

enum {
    IMAP_TAG_MAX = 128,         /* octets of a tag */
    IMAP_NAME_MAX = 32,         /* octets of a command's name */
    IMAP_TEXT_MAX = 64 << 10,   /* octets of a command outside of literals, authenticated */
    IMAP_COMMAND_MAX = 1 << 20, /* octets of a command with its literals (an APPEND's messages apart) */
    IMAP_TEXT_MAX_BEFORE_AUTH = 8 << 10,  /* both bounds before authentication */
    IMAP_LITERALS_MAX = 512,              /* literals in one command */
    IMAP_LINE_MAX = 16 << 10,             /* octets of a line asked for by imap_parser_expect_line */
    IMAP_SWALLOW_TEXT_MAX = 1 << 20,      /* octets of an overlong line thrown away before giving up */
    IMAP_SWALLOW_LITERAL_MAX = 256 << 20, /* octets of refused LITERAL+ literals thrown away, authenticated */
    IMAP_SWALLOW_LITERAL_MAX_BEFORE_AUTH = 64 << 10,
};

enum imap_event_type {
    IMAP_EVENT_NEED_MORE,
    IMAP_EVENT_COMMAND,  /* tag, name, uid, args */
    IMAP_EVENT_CONTINUE, /* a synchronising literal was announced and fits */
    IMAP_EVENT_APPEND,   /* tag, args, first, size, sync, literal8, utf8: accept or refuse it before the next
                            call */
    IMAP_EVENT_APPEND_DATA, /* data: the next bytes of the message */
    IMAP_EVENT_APPEND_END,  /* that message is complete */
    IMAP_EVENT_APPEND_DONE, /* the command's line has ended after its last message */
    IMAP_EVENT_LINE,        /* data: the line without its end */
    IMAP_EVENT_BAD,         /* tag, text, reason, close. An APPEND under way has failed. */
};

enum imap_bad_reason {
    IMAP_BAD_SYNTAX,
    IMAP_BAD_TOO_LONG, /* the command or a literal is beyond the bounds: NO [LIMIT] or BAD, as the session
                          likes */
    IMAP_BAD_NUL,      /* NUL in a literal that is no literal8 */
};

struct imap_event {
    enum imap_event_type type;
    struct slice tag; /* empty in BAD if none could be read: answer with "*" */
    const char *name; /* upper case, for "UID FETCH" just "FETCH" */
    bool uid;         /* the command came with the prefix UID */
    /* COMMAND: everything behind the name and its blank, literals included as "{n}\r\n" (or "{n+}", "~{n}")
     * and their bytes. APPEND: what stands before the message literal: for the first "mailbox [flags]
     * [date]", else "[flags] [date]". */
    struct slice args;
    struct slice data;
    const char *text; /* BAD: what is wrong, for the client */
    enum imap_bad_reason reason;
    bool close;    /* BAD: where the next command starts cannot be known or would cost too much: say BYE and
                      close */
    bool first;    /* APPEND: the first message of the command */
    bool sync;     /* APPEND: the client waits for "+ ..." before it sends the message */
    bool literal8; /* APPEND: "~{n}", NUL may occur */
    bool utf8;     /* APPEND: "UTF8 (~{n}" of RFC 6855 */
    uint64_t size; /* APPEND: octets of the message */
};

enum imap_parser_state {
    IMAP_PARSER_COMMAND,      /* in the text of a command */
    IMAP_PARSER_LITERAL,      /* in a literal that is kept */
    IMAP_PARSER_LINE,         /* a bare line was asked for */
    IMAP_PARSER_DECIDE,       /* an APPEND event waits for accept or refuse */
    IMAP_PARSER_MESSAGE,      /* in a message literal */
    IMAP_PARSER_MESSAGE_TAIL, /* behind one: ")" of UTF8, then the next message or the line's end */
    IMAP_PARSER_SWALLOW_LINE, /* the command failed: to the end of the line */
    IMAP_PARSER_SWALLOW_LITERAL,
    IMAP_PARSER_DEAD, /* after a BAD with close: input is ignored */
};

/* The fields are the parser's own. It holds about 300 octets when idle. */
struct imap_parser {
    enum imap_parser_state state;
    struct buf in; /* input from `at` on is not yet used */
    size_t at;
    struct buf command; /* what is gathered of the command or line */
    size_t args_at;     /* where in it the arguments start, once the head was read */
    size_t text_at;     /* where the text behind the last literal starts: only there a new one is announced */
    size_t literal_octets; /* in it, belonging to literals */
    unsigned literal_count;
    uint64_t left; /* octets of the current literal that are still to come */
    uint64_t swallowed_text;
    uint64_t swallowed_literal;
    const char
        *bad_text; /* the BAD to report when the rest of the command has been swallowed; NULL for none */
    enum imap_bad_reason bad_reason;
    uint8_t tail[24]; /* the end of the line being swallowed: it may announce a literal */
    uint8_t tail_len;
    bool authenticated;
    bool head_read; /* tag and name are known */
    bool reported;  /* `command` was handed out: the next call starts anew */
    bool uid;
    bool quoted;  /* in a quoted string */
    bool escaped; /* behind its backslash */
    bool first;   /* no message of this APPEND has been seen */
    bool sync;
    bool literal8;
    bool utf8; /* a ")" is due behind the message */
    char tag[IMAP_TAG_MAX + 1];
    char name[IMAP_NAME_MAX + 1];
};

void imap_parser_init(struct imap_parser *p);
void imap_parser_fini(struct imap_parser *p);
/* From now on the bounds of an authenticated session hold and APPEND is streamed. */
void imap_parser_set_authenticated(struct imap_parser *p);

/* Add input (copied). The caller takes events until NEED_MORE before it pushes more; that bounds the memory.
 */
void imap_parser_push(struct imap_parser *p, struct slice bytes);
void imap_parser_next(struct imap_parser *p, struct imap_event *event_out);

/* After APPEND: the message is wanted (the caller sends "+ ..." if `sync`), or not: then what belongs to the
 * command is thrown away without further events (unless the client sends too much: BAD with close). */
void imap_parser_accept(struct imap_parser *p);
void imap_parser_refuse(struct imap_parser *p);
/* While an accepted APPEND is under way: the caller has given up (over quota, store failed) and answers the
 * tag itself; the rest is thrown away. */
void imap_parser_abort(struct imap_parser *p);

/* The next thing is a bare line, not a command: reported as LINE, longer than IMAP_LINE_MAX as BAD with
 * close. Between commands only. */
void imap_parser_expect_line(struct imap_parser *p);
/* Input that waits to be looked at: after STARTTLS it must be thrown away (RFC 9051 6.2.1, injection). */
size_t imap_parser_pending(const struct imap_parser *p);
/* Throw all input away; the next byte starts a command. */
void imap_parser_reset(struct imap_parser *p);
/* Nothing is under way and nothing is buffered: a session may be parked. All memory has been given back then.
 */
bool imap_parser_is_idle(const struct imap_parser *p);

#endif
