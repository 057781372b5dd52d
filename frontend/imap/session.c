/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/session.h"

#include <assert.h>
#include <stdlib.h>

#include "frontend/codec/imap_write.h"
#include "frontend/imap/changes.h"
#include "frontend/imap/command.h"
#include "frontend/imap/imap.h"
#include "frontend/imap/metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"

/* --- states --- */

static bool move_is_legal(enum imap_state from, enum imap_state to)
{
    switch (to) {
    case IMAP_STATE_NOT_AUTHENTICATED:
        return false;
    case IMAP_STATE_AUTHENTICATED:
        return from == IMAP_STATE_NOT_AUTHENTICATED || from == IMAP_STATE_SELECTED;
    case IMAP_STATE_SELECTED:
        return from == IMAP_STATE_AUTHENTICATED;
    case IMAP_STATE_LOGOUT:
        return true;
    }
    return false;
}

/* The next session's \Recent starts above what this one has shown (design 10: asynchronous, nobody waits). */
static void leave_selected(struct imap_session *s)
{
    uint32_t shown = s->view.uidnext - 1;

    if (!s->view.read_only && !imap_session_rev2(s) && shown > s->view.recent_told)
        store_recent_advance(s->context->store, s->account, s->view.mailbox, shown);
    imap_view_fini(&s->view);
    uidset_fini(&s->saved);
}

void imap_session_set_state(struct imap_session *s, enum imap_state state)
{
    assert(move_is_legal(s->state, state));
    if (s->state == IMAP_STATE_SELECTED)
        leave_selected(s);
    s->state = state;
}

void imap_session_select(struct imap_session *s, struct imap_view *view)
{
    imap_session_set_state(s, IMAP_STATE_SELECTED);
    s->view = *view;
    *view = (struct imap_view){ 0 };
    uint32_t shown = s->view.uidnext - 1;

    if (!s->view.read_only && !imap_session_rev2(s) && shown > s->view.recent_told) {
        store_recent_advance(s->context->store, s->account, s->view.mailbox, shown);
        s->view.recent_told = shown;
    }
}

void imap_session_login(struct imap_session *s, const struct account *account)
{
    s->account = account->ref;
    s->user = slice_dup(account->address);
    s->bad_count = 0;
    imap_parser_set_authenticated(&s->parser);
    imap_session_set_state(s, IMAP_STATE_AUTHENTICATED);
    log_info("imap", "login user=%s peer=%s tls=%s", s->user, addr_format(stream_peer(s->stream)).text,
             stream_is_tls(s->stream) ? stream_tls_version(s->stream) : "no");
}

void imap_session_bye(struct imap_session *s, const char *code, const char *text)
{
    if (s->state == IMAP_STATE_LOGOUT)
        return;
    imap_write_status_line(&s->out, SLICE_LIT("*"), "BYE", code, text);
    imap_session_set_state(s, IMAP_STATE_LOGOUT);
}

void imap_session_count_bad(struct imap_session *s)
{
    if (++s->bad_count >= IMAP_BAD_MAX)
        imap_session_bye(s, NULL, "Too many bad commands");
}

/* --- writing --- */

static void note_write(struct imap_session *s, enum err err)
{
    if (err != OK)
        s->broken = true;
}

static void send_waiting(struct imap_session *s)
{
    if (!s->broken && s->out.len > 0)
        note_write(s, stream_write(s->stream, buf_slice(&s->out)));
    buf_clear(&s->out);
}

void imap_session_relieve(struct imap_session *s)
{
    if (s->out.len >= IMAP_OUTPUT_HIGH)
        send_waiting(s);
}

void imap_session_write_direct(struct imap_session *s, struct slice bytes)
{
    send_waiting(s);
    if (!s->broken)
        note_write(s, stream_write(s->stream, bytes));
}

void imap_session_flush(struct imap_session *s)
{
    send_waiting(s);
    if (!s->broken && stream_output_pending(s->stream) > 0)
        note_write(s, stream_flush(s->stream));
}

/* --- reading --- */

static void push_input(struct imap_session *s)
{
    struct slice input = stream_input(s->stream);

    imap_parser_push(&s->parser, input);
    stream_consume(s->stream, input.len);
}

enum err imap_session_event(struct imap_session *s, uint64_t deadline_ms, struct imap_event *event_out)
{
    for (;;) {
        imap_parser_next(&s->parser, event_out);
        if (event_out->type != IMAP_EVENT_NEED_MORE)
            return OK;
        if (!stream_has_input(s->stream)) {
            imap_session_flush(s);
            if (s->broken)
                return ERR_CLOSED;
            TRY(stream_fill(s->stream, deadline_ms));
        }
        push_input(s);
    }
}

/* --- the life of a session --- */

static void session_free(struct imap_session *s)
{
    imap_idle_drop(s);
    if (s->state != IMAP_STATE_LOGOUT)
        imap_session_set_state(s, IMAP_STATE_LOGOUT);
    imap_parser_fini(&s->parser);
    arena_fini(&s->arena);
    buf_fini(&s->out);
    stream_close(&s->stream);
    imap_metrics_session(-1);
    free(s->user);
    free(s);
}

static void session_end(struct imap_session *s)
{
    imap_session_flush(s);
    if (!s->broken)
        stream_shutdown(s->stream, loop_deadline_ms(IMAP_BYE_LINGER_MS));
    session_free(s);
}

/* Reading has ended: say why, where somebody may still listen. */
static void input_ended(struct imap_session *s, enum err err)
{
    if (err == ERR_CANCELLED)
        imap_session_bye(s, "UNAVAILABLE", "Server is shutting down, connect again");
    else if (err == ERR_TIMEOUT)
        imap_session_bye(s, NULL, "Autologout; idle for too long");
    else
        s->broken = true;
}

static void handle_bad(struct imap_session *s, const struct imap_event *event)
{
    struct slice tag = event->tag.len > 0 ? event->tag : SLICE_LIT("*");
    bool is_long = event->reason == IMAP_BAD_TOO_LONG;

    imap_write_status_line(&s->out, tag, is_long ? "NO" : "BAD", is_long ? "LIMIT" : NULL, event->text);
    imap_metrics_command(NULL, IMAP_REPLY_BAD);
    if (event->close)
        imap_session_bye(s, NULL, "Cannot find the next command");
    else
        imap_session_count_bad(s);
}

static void handle_event(struct imap_session *s, const struct imap_event *event)
{
    switch (event->type) {
    case IMAP_EVENT_COMMAND:
    case IMAP_EVENT_APPEND:
        if (s->context->draining)
            imap_session_bye(s, "UNAVAILABLE", "Server is shutting down, connect again");
        else
            imap_command_run(s, event);
        arena_clear(&s->arena);
        break;
    case IMAP_EVENT_CONTINUE:
        buf_add_str(&s->out, "+ Go on\r\n");
        break;
    case IMAP_EVENT_LINE:
        imap_idle_line(s, event->data);
        break;
    case IMAP_EVENT_BAD:
        handle_bad(s, event);
        break;
    case IMAP_EVENT_NEED_MORE:
    case IMAP_EVENT_APPEND_DATA: /* the handler of APPEND takes these */
    case IMAP_EVENT_APPEND_END:
    case IMAP_EVENT_APPEND_DONE:
        break;
    }
    imap_session_relieve(s);
}

/* When the client must have said something: a whole command once it has begun, else its next word. */
static uint64_t next_deadline(struct imap_session *s, bool is_idle)
{
    if (is_idle) {
        s->command_deadline_ms = 0;
        return s->deadline_ms;
    }
    if (s->command_deadline_ms == 0)
        s->command_deadline_ms = loop_deadline_ms(IMAP_COMMAND_TIMEOUT_MS);
    return s->command_deadline_ms < s->deadline_ms ? s->command_deadline_ms : s->deadline_ms;
}

static void session_wake(struct stream *stream, enum stream_wake why, void *arg);

/* Until when a silent client's session keeps its fiber; 0: not at all. */
static uint64_t linger_until(const struct imap_session *s)
{
    return s->idle.active ? s->idle.retry_ms : loop_deadline_ms(IMAP_LINGER_MS);
}

/* Wait for input, in the fiber at first, then parked. After WAIT_PARKED the session may be gone: it must not
 * be touched. WAIT_FAILED: *err_out says how reading has ended. */
enum wait_end { WAIT_INPUT, WAIT_PARKED, WAIT_FAILED };

static enum wait_end wait_input(struct imap_session *s, enum err *err_out)
{
    bool is_idle = imap_parser_is_idle(&s->parser);
    uint64_t deadline_ms = next_deadline(s, is_idle), linger_ms;

    imap_session_flush(s);
    if (s->broken) {
        *err_out = ERR_CLOSED;
        return WAIT_FAILED;
    }
    linger_ms = linger_until(s);
    if (is_idle && linger_ms != 0 && !s->input_due) {
        *err_out = stream_fill(s->stream, linger_ms < deadline_ms ? linger_ms : deadline_ms);
        if (*err_out == OK)
            return WAIT_INPUT;
        if (*err_out != ERR_TIMEOUT)
            return WAIT_FAILED;
        s->idle.changed = s->idle.changed || s->idle.retry_ms != 0;
    }
    if (is_idle && !s->input_due && loop_now_ms() < deadline_ms) {
        if (s->idle.changed)
            return WAIT_INPUT;
        buf_fini(&s->out);
        arena_fini(&s->arena);
        stream_park(s->stream, deadline_ms, session_wake, s);
        return WAIT_PARKED;
    }
    s->input_due = false;
    *err_out = stream_fill(s->stream, deadline_ms);
    return *err_out == OK ? WAIT_INPUT : WAIT_FAILED;
}

static void renew_deadline(struct imap_session *s)
{
    uint64_t timeout_ms = s->context->settings->imap_idle_timeout_ms;

    if (s->state == IMAP_STATE_NOT_AUTHENTICATED)
        return; /* the whole of the login has one deadline */
    if (timeout_ms < IMAP_IDLE_TIMEOUT_MIN_MS)
        timeout_ms = IMAP_IDLE_TIMEOUT_MIN_MS;
    s->deadline_ms = loop_deadline_ms(timeout_ms);
}

/* The loop of every session. Ends with the session freed or parked. */
static void session_run(void *arg)
{
    struct imap_session *s = arg;

    while (s->state != IMAP_STATE_LOGOUT && !s->broken) {
        struct imap_event event;
        enum err err;

        if (s->idle.active && s->idle.changed) {
            imap_idle_tell(s); /* which may end it */
            continue;
        }
        imap_parser_next(&s->parser, &event);
        if (event.type != IMAP_EVENT_NEED_MORE) {
            handle_event(s, &event);
            s->command_deadline_ms = 0;
            renew_deadline(s);
            continue;
        }
        if (!stream_has_input(s->stream)) {
            switch (wait_input(s, &err)) {
            case WAIT_PARKED:
                return;
            case WAIT_FAILED:
                input_ended(s, err);
                continue;
            case WAIT_INPUT:
                break;
            }
        }
        push_input(s);
    }
    session_end(s);
}

/* On the loop, outside fibers: go on in a new one. */
static void session_wake(struct stream *stream, enum stream_wake why, void *arg)
{
    struct imap_session *s = arg;

    s->input_due = why != STREAM_WAKE_UNPARK;
    if (fiber_spawn(stream_loop(stream), "imap", session_run, s) == OK)
        return;
    /* The bound on fibers is met. Waiting for its turn would need a queue of sessions; the client comes
     * again. */
    log_warn("imap", "no fiber for a session of %s, closed", s->user == NULL ? "-" : s->user);
    s->broken = true;
    session_free(s);
}

void imap_serve(struct stream *stream, void *arg)
{
    struct imap_session *s = NEW(struct imap_session);

    s->stream = stream;
    s->context = context_self();
    s->state = IMAP_STATE_NOT_AUTHENTICATED;
    s->deadline_ms = loop_deadline_ms(s->context->settings->login_timeout_ms);
    imap_parser_init(&s->parser);
    imap_metrics_session(1);
    buf_add_str(&s->out, "* OK [");
    imap_capability_write(s, &s->out);
    buf_addf(&s->out, "] %s Tern IMAP ready\r\n", s->context->settings->hostname);
    session_run(s);
}
