/* SPDX-License-Identifier: Apache-2.0 */
/* One IMAP session: its states, its reading and writing, its parking.
 *
 * The life of a session: imap_serve makes it, says hello and runs it in the listener's fiber. It takes events
 * from the parser and hands commands to the dispatcher, one after the other, so that pipelined commands are
 * answered in order and the ambiguities of RFC 9051 5.5 cannot arise. When the client has been silent for
 * IMAP_LINGER_MS (in IDLE: at once) the stream is parked and the fiber ends: what remains is this struct, the
 * view's run-length uidmap and the watch. Input, a change of the mailbox (the watch), a timeout or a drain
 * wakes the stream, and a new fiber goes on. */
#ifndef FRONTEND_IMAP_SESSION_H
#define FRONTEND_IMAP_SESSION_H

#include "frontend/codec/imap_command.h"
#include "frontend/codec/imap_parser.h"
#include "frontend/common/context.h"
#include "frontend/imap/view.h"
#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/store/message.h"

enum {
    IMAP_LINGER_MS = 50,                       /* how long a silent client keeps its fiber */
    IMAP_IDLE_RETRY_MS = 1000,                 /* until changes that could not be told are asked for again */
    IMAP_COMMAND_TIMEOUT_MS = 5 * 60 * 1000,   /* a command that was begun must be complete by then */
    IMAP_APPEND_STALL_MS = 2 * 60 * 1000,      /* an APPEND must bring some bytes in this time ... */
    IMAP_APPEND_TIMEOUT_MS = 60 * 60 * 1000,   /* ... and be complete in this */
    IMAP_IDLE_TIMEOUT_MIN_MS = 30 * 60 * 1000, /* RFC 9051 5.4: an authenticated client's autologout timer */
    IMAP_BYE_LINGER_MS = 2000,                 /* for the client to take our last words */
    IMAP_OUTPUT_HIGH = 64 * 1024,              /* waiting output beyond this is sent before more is made */
    IMAP_BODY_DIRECT_MIN = 32 * 1024, /* message bytes from here on are not copied into the output buffer */
    IMAP_APPEND_MESSAGES_MAX = 500,   /* of one MULTIAPPEND: one entry of the log takes no more */
    IMAP_BAD_MAX = 20,                /* refused commands in a row (before login: in all), then BYE */
};

enum imap_state {
    IMAP_STATE_NOT_AUTHENTICATED,
    IMAP_STATE_AUTHENTICATED,
    IMAP_STATE_SELECTED,
    IMAP_STATE_LOGOUT, /* BYE was said; the connection closes */
};

/* An IDLE under way (RFC 2177). */
struct imap_idle {
    bool active;
    bool changed;      /* the watch has called since the last report */
    uint64_t retry_ms; /* when to ask again what could not be told; 0: all was */
    char *tag;         /* owned */
    struct watch *watch;
};

struct imap_session {
    struct stream *stream;
    struct context *context;
    enum imap_state state;
    uint32_t enabled; /* of enum imap_enable */
    bool broken;      /* the client cannot be written to, or is out of step: close without a word */
    bool input_due;   /* the stream woke for input, or its end, which has not been read yet */
    unsigned bad_count;
    unsigned auth_failures;
    uint64_t deadline_ms;         /* of the next command */
    uint64_t command_deadline_ms; /* of the command that has begun to arrive; 0: none has */
    bool seen_failed;             /* the last try to mark what was read as \Seen did not succeed */
    struct account_ref account;
    char *user;            /* address, for logs; owned */
    struct imap_view view; /* valid in IMAP_STATE_SELECTED */
    struct uidset saved;   /* "$" (RFC 5182), UIDs of the view */
    struct imap_idle idle;
    struct imap_parser parser;
    struct arena arena; /* the command's */
    struct buf out;     /* not yet given to the stream */
};

/* The one setter of the state; checks the move. Leaving SELECTED forgets the view and "$"; entering it is
 * imap_session_select. */
void imap_session_set_state(struct imap_session *s, enum imap_state state);
/* From AUTHENTICATED into SELECTED with this view, which is taken over (*view is empty afterwards). */
void imap_session_select(struct imap_session *s, struct imap_view *view);
/* The client has proved who it is: into AUTHENTICATED. */
void imap_session_login(struct imap_session *s, const struct account *account);

/* The client enabled UTF8=ACCEPT or IMAP4rev2 / IMAP4rev2 / CONDSTORE. */
static inline bool imap_session_utf8(const struct imap_session *s)
{
    return (s->enabled & (IMAP_ENABLE_UTF8_ACCEPT | IMAP_ENABLE_REV2)) != 0;
}
static inline bool imap_session_rev2(const struct imap_session *s)
{
    return (s->enabled & IMAP_ENABLE_REV2) != 0;
}
static inline bool imap_session_condstore(const struct imap_session *s)
{
    return (s->enabled & (IMAP_ENABLE_CONDSTORE | IMAP_ENABLE_QRESYNC)) != 0;
}

/* The next event of the parser that is not NEED_MORE, for handlers that read more than a command line
 * (APPEND, SASL); waiting output is flushed first. ERR_TIMEOUT at deadline_ms, or what stream_fill says; the
 * connection is of no further use then. Yields. */
MUST_CHECK enum err imap_session_event(struct imap_session *s, uint64_t deadline_ms,
                                       struct imap_event *event_out);

/* Give s->out to the stream if much waits; on failure the session is broken, which the handlers need not look
 * at: what they write then is dropped. Yields. */
void imap_session_relieve(struct imap_session *s);
/* Send everything now. Yields. */
void imap_session_flush(struct imap_session *s);
/* Large bytes behind what waits, straight from the caller's memory. Yields. */
void imap_session_write_direct(struct imap_session *s, struct slice bytes);

/* Say "* BYE [code] text" (code may be NULL) and end the session after this command. */
void imap_session_bye(struct imap_session *s, const char *code, const char *text);

/* Count a BAD; too many end the session. */
void imap_session_count_bad(struct imap_session *s);

#endif
