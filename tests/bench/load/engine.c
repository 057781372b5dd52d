/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, REPORTED_FAILURES_MAX = 3, STALL_SECONDS = 60 };

struct options options = {
    .connections = 1, .users = 1, .user_format = "user%u@example.test", .password = ""
};

static struct {
    int epoll;
    unsigned open; /* sessions with a socket */
    long started, finished, failed;
    double begin, end;
    double *times; /* of each finished unit, in seconds */
    long times_room;
    struct session *waiting, *waiting_last; /* for a unit to fall due, in turn */
} run;

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        perror("bench_load");
        exit(1);
    }
    return memory;
}

/* ---- work */

static volatile sig_atomic_t is_told_to_end; /* units under way are finished */

static void on_interrupt(int number)
{
    (void)number;
    is_told_to_end = 1;
}

static void waiting_add(struct session *session)
{
    session->next_waiting = NULL;
    if (run.waiting == NULL)
        run.waiting = session;
    else
        run.waiting_last->next_waiting = session;
    run.waiting_last = session;
}

static void waiting_remove(const struct session *session)
{
    struct session *list = run.waiting;
    run.waiting = NULL;
    for (struct session *next; list != NULL; list = next) {
        next = list->next_waiting;
        if (list != session)
            waiting_add(list);
    }
}

/* When the next unit may begin. */
static double due_seconds(void)
{
    return options.rate == 0 ? now_seconds() : run.begin + (double)run.started / options.rate;
}

static bool work_left(void)
{
    return !is_told_to_end && (options.units == 0 || run.started < options.units) &&
           (options.seconds == 0 || due_seconds() - run.begin < options.seconds);
}

enum take session_take(struct session *session)
{
    double due = due_seconds();
    if (!work_left())
        return TAKE_NONE;
    if (due > now_seconds()) {
        waiting_add(session);
        return TAKE_LATER;
    }
    session->unit = run.started++;
    session->failed = false;
    session->started = due;
    return TAKE_NOW;
}

void session_finish(struct session *session)
{
    if (session->failed) {
        run.failed++;
    } else {
        if (run.finished == run.times_room) {
            run.times_room = run.times_room == 0 ? 4096 : run.times_room * 2;
            run.times = must(realloc(run.times, (size_t)run.times_room * sizeof *run.times));
        }
        run.times[run.finished++] = now_seconds() - session->started;
    }
    session->unit = -1;
}

void session_fail(struct session *session, const char *line)
{
    if (!session->failed && run.failed < REPORTED_FAILURES_MAX)
        fprintf(stderr, "bench_load: %s, unit %ld, state %d: %s\n", options.protocol->name, session->unit,
                session->state, line);
    session->failed = true;
}

const char *session_user(const struct session *session)
{
    static char user[256];
    unsigned number = 1 + (unsigned)(session->unit % options.users);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(user, sizeof user, options.user_format, number);
#pragma GCC diagnostic pop
    return user;
}

/* ---- sockets */

static void watch(struct session *session, int operation)
{
    struct epoll_event event = { .events = EPOLLIN | (session->out_size > 0 ? EPOLLOUT : 0),
                                 .data.ptr = session };
    epoll_ctl(run.epoll, operation, session->fd, &event);
}

static void session_open(struct session *session)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(options.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    session->state = 0;
    session->step = 0;
    session->in_size = session->out_size = session->out_sent = 0;
    if (session->fd < 0 || connect(session->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("bench_load: connect");
        exit(1);
    }
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(session->fd, F_SETFL, O_NONBLOCK);
    watch(session, EPOLL_CTL_ADD);
    run.open++;
}

static void session_start(struct session *session)
{
    session->unit = -1;
    if (options.protocol->unit_is_connection ? session_take(session) == TAKE_NOW : work_left())
        session_open(session);
}

/* The server has closed: the end of the unit if it spans the connection, else the end of one that was not
 * done. */
static void session_closed(struct session *session)
{
    close(session->fd);
    run.open--;
    waiting_remove(session);
    if (session->unit >= 0) {
        if (!options.protocol->unit_is_connection || session->state >= 0)
            session_fail(session, "(connection closed)");
        session_finish(session);
    }
    session_start(session);
}

void session_send(struct session *session, const void *bytes, size_t size)
{
    if (session->out_size + size > session->out_room) {
        session->out_room = (session->out_size + size) * 2;
        session->out = must(realloc(session->out, session->out_room));
    }
    memcpy(session->out + session->out_size, bytes, size);
    session->out_size += size;
}

void session_sendf(struct session *session, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    session_send(session, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

static void session_flush(struct session *session)
{
    bool was_partial = session->out_sent > 0;
    while (session->out_sent < session->out_size) {
        ssize_t sent =
            write(session->fd, session->out + session->out_sent, session->out_size - session->out_sent);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) /* the next read says that the server has closed */
            session->out_sent = session->out_size;
        else
            session->out_sent += (size_t)sent;
    }
    bool is_partial = session->out_sent < session->out_size;
    if (!is_partial)
        session->out_size = session->out_sent = 0;
    if (is_partial || was_partial)
        watch(session, EPOLL_CTL_MOD);
}

/* Hand whole lines to the protocol and keep the rest. */
static void session_lines(struct session *session)
{
    char *line = session->in, *stop = session->in + session->in_size, *end;
    while ((end = memchr(line, '\n', (size_t)(stop - line))) != NULL) {
        size_t size = (size_t)(end - line);
        if (size > 0 && line[size - 1] == '\r')
            size--;
        line[size] = '\0';
        options.protocol->on_line(session, line, size);
        line = end + 1;
    }
    session->in_size = (size_t)(stop - line);
    memmove(session->in, line, session->in_size);
}

static void session_readable(struct session *session)
{
    ssize_t got =
        read(session->fd, session->in + session->in_size, sizeof session->in - 1 - session->in_size);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        session_closed(session);
        return;
    }
    session->in_size += (size_t)got;
    session_lines(session);
    if (session->in_size == sizeof session->in - 1)
        session->in_size = 0; /* a line beyond our bound is nothing we look at */
    session_flush(session);
}

/* ---- all of it */

/* Those that wait for a unit: one each that is due, and all of them if there is no more work. */
static void serve_waiting(void)
{
    while (run.waiting != NULL && (!work_left() || due_seconds() <= now_seconds())) {
        struct session *session = run.waiting;
        run.waiting = session->next_waiting;
        options.protocol->on_due(session);
        session_flush(session);
    }
}

/* Until something comes from the server, or a unit falls due. */
static int wait_for_events(struct epoll_event *events)
{
    double left = run.waiting == NULL ? STALL_SECONDS : due_seconds() - now_seconds();
    left = left < 0 ? 0 : left;
    struct timespec timeout = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };
    return epoll_pwait2(run.epoll, events, EVENTS_MAX, &timeout, NULL);
}

bool engine_run(void)
{
    struct epoll_event events[EVENTS_MAX];
    struct session *sessions = must(calloc(options.connections, sizeof *sessions));
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGINT, on_interrupt);
    run.begin = now_seconds();
    for (unsigned i = 0; i < options.connections; i++)
        session_start(&sessions[i]);
    bool is_alive = true;
    while (run.open > 0 && is_alive) {
        int count = wait_for_events(events);
        is_alive = count != 0 || run.waiting != NULL; /* an interrupt is a sign of life */
        for (int i = 0; i < count; i++) {
            struct session *session = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                session_flush(session);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                session_readable(session);
        }
        serve_waiting();
    }
    run.end = now_seconds();
    for (unsigned i = 0; i < options.connections; i++)
        free(sessions[i].out);
    free(sessions);
    close(run.epoll);
    if (!is_alive)
        fprintf(stderr, "bench_load: nothing from the server for %d s\n", STALL_SECONDS);
    return is_alive;
}

static int compare_times(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile_ms(double fraction)
{
    return run.finished == 0 ? 0 : run.times[(long)(fraction * (double)(run.finished - 1))] * 1e3;
}

void engine_report(void)
{
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    if (run.finished > 0)
        qsort(run.times, (size_t)run.finished, sizeof *run.times, compare_times);
    printf("{\"units\": %ld, \"failed\": %ld, \"seconds\": %.4f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"client_cpu_s\": %.3f}\n",
           run.finished, run.failed, run.end - run.begin, percentile_ms(0.50), percentile_ms(0.99),
           (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
               (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6);
    free(run.times);
}
