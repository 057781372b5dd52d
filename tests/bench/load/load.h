/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_LOAD_LOAD_H
#define TESTS_BENCH_LOAD_LOAD_H
/*
 * A load client for line protocols: many sessions in one thread over epoll, lock-step (no pipelining), so
 * that it costs the measured server little. The engine (engine.c) owns sockets, lines, work and times; a
 * protocol is a few functions that say what to send next.
 *
 * A unit of work is what is counted and timed: a message for SMTP, a whole session for IMAP and POP3.
 *
 * Without a rate each session begins its next unit when it is done with one. With a rate units fall due at
 * even distances, whatever the server does; a session that has none waits for one, and a unit's time runs
 * from when it was due, so that a server that falls behind shows.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

struct protocol {
    const char *name;
    /* One whole line from the server, without its CRLF, terminated by NUL. The first is the greeting. */
    void (*on_line)(struct session *session, const char *line, size_t size);
    /* A unit is all of a connection, from connecting to closing; else units are taken with session_take. */
    bool unit_is_connection;
    /* The session that session_take told to wait may take a unit now. NULL: no rate with this protocol. */
    void (*on_due)(struct session *session);
};

extern const struct protocol protocol_smtp, protocol_imap, protocol_pop3;

struct message {
    char *bytes; /* dot-stuffed, with the final dot line */
    size_t size;
};

struct options {
    const struct protocol *protocol;
    uint16_t port;
    unsigned connections;
    long units;     /* at most so many; 0: as many as fit into `seconds` */
    double seconds; /* no unit starts later than this; 0: no such end */
    double rate;    /* units that fall due a second; 0: as many as are done */
    unsigned users;
    const char *user_format; /* printf format with one %u: an address */
    const char *password;
    struct message *messages; /* SMTP */
    unsigned message_count;
    unsigned retrieve; /* POP3: messages read in a session */
};

/* Where a protocol is in its conversation. */
struct session {
    int state;
    unsigned step; /* within the state: messages read so far */
    long unit;     /* -1: none */
    bool failed;   /* the unit will be counted as failed */
    /* the engine's own */
    int fd;
    double started;
    struct session *next_waiting;
    char *out;
    size_t out_size, out_sent, out_room;
    size_t in_size;
    char in[8192]; /* bounds a line of the server */
};

extern struct options options;

/* Queue bytes for the server; sent when the protocol's function returns. */
void session_send(struct session *session, const void *bytes, size_t size);
__attribute__((format(printf, 2, 3))) void session_sendf(struct session *session, const char *format, ...);

enum take {
    TAKE_NOW,   /* the next unit is this session's */
    TAKE_LATER, /* none is due: on_due follows */
    TAKE_NONE   /* there is no more work */
};

enum take session_take(struct session *session);

/* The unit is done; it succeeded unless session->failed. */
void session_finish(struct session *session);

/* The server did not do what was asked: the unit fails; the first few are reported on stderr. */
void session_fail(struct session *session, const char *line);

/* The user of a unit, as options.user_format writes it: in turn, so that two sessions seldom share one. */
const char *session_user(const struct session *session);

/* Run until there is no more work and all sessions have ended. False: the server stalled. */
bool engine_run(void);

/* One line of JSON: units, failed, seconds, percentiles of the time of a unit, CPU of this program. */
void engine_report(void);

#endif
