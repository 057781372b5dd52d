/* SPDX-License-Identifier: Apache-2.0 */
/* A command is gathered octet by octet until its line ends. If the line ends in "{n}", a literal follows:
 * kept in the command, or (the message of an APPEND) streamed to the caller. When something is wrong, the
 * rest of the command is swallowed first, LITERAL+ literals included, so that the next line is the next
 * command; only then BAD is reported. */
#include <assert.h>

#include "frontend/codec/imap_parser_priv.h"

void imap_parser_init(struct imap_parser *p)
{
    *p = (struct imap_parser){ .first = true };
}

void imap_parser_fini(struct imap_parser *p)
{
    buf_fini(&p->in);
    buf_fini(&p->command);
}

void imap_parser_set_authenticated(struct imap_parser *p)
{
    p->authenticated = true;
}

static size_t text_max(const struct imap_parser *p)
{
    return p->authenticated ? IMAP_TEXT_MAX : IMAP_TEXT_MAX_BEFORE_AUTH;
}

static size_t command_max(const struct imap_parser *p)
{
    return p->authenticated ? IMAP_COMMAND_MAX : IMAP_TEXT_MAX_BEFORE_AUTH;
}

/* Forget the text gathered so far, not the command. */
void imap_parser_clear_text(struct imap_parser *p)
{
    buf_clear(&p->command);
    p->args_at = p->text_at = 0;
    p->literal_octets = 0;
    p->literal_count = 0;
    p->quoted = p->escaped = false;
}

static void start_command(struct imap_parser *p)
{
    imap_parser_clear_text(p);
    p->state = IMAP_PARSER_COMMAND;
    p->head_read = p->reported = p->uid = p->utf8 = false;
    p->first = true;
    p->tag[0] = p->name[0] = '\0';
    p->bad_text = NULL;
    p->swallowed_text = p->swallowed_literal = 0;
    p->tail_len = 0;
}

void imap_parser_reset(struct imap_parser *p)
{
    buf_fini(&p->in);
    buf_fini(&p->command);
    p->at = 0;
    start_command(p);
}

void imap_parser_push(struct imap_parser *p, struct slice bytes)
{
    if (p->at > 0) {
        buf_consume(&p->in, p->at);
        p->at = 0;
    }
    if (p->state != IMAP_PARSER_DEAD)
        buf_add_slice(&p->in, bytes);
}

size_t imap_parser_pending(const struct imap_parser *p)
{
    return p->in.len - p->at;
}

bool imap_parser_is_idle(const struct imap_parser *p)
{
    bool waits = p->state == IMAP_PARSER_COMMAND || p->state == IMAP_PARSER_LINE;
    return waits && p->in.cap == 0 && p->command.cap == 0;
}

struct imap_event imap_parser_event(const struct imap_parser *p, enum imap_event_type type)
{
    return (struct imap_event){ .type = type, .tag = slice_str(p->tag), .name = p->name, .uid = p->uid };
}

static void give_memory_back(struct imap_parser *p)
{
    if (imap_parser_pending(p) > 0)
        return;
    buf_fini(&p->in);
    p->at = 0;
    if (p->command.len == 0)
        buf_fini(&p->command);
}

static bool is_append(const struct imap_parser *p)
{
    return p->authenticated && !p->uid && strcmp(p->name, "APPEND") == 0;
}

/* --- the end of a line --- */

static bool fail_after_line(struct imap_parser *p, struct imap_literal l, enum imap_bad_reason reason,
                            const char *text, struct imap_event *out)
{
    imap_parser_note_bad(p, reason, text);
    return imap_parser_swallow_after_line(p, l, out);
}

/* The literal becomes part of the command. */
static bool start_literal(struct imap_parser *p, struct imap_literal l, struct imap_event *out)
{
    if (l.size > command_max(p) || p->command.len + l.size > command_max(p) ||
        ++p->literal_count > IMAP_LITERALS_MAX)
        return fail_after_line(p, l, IMAP_BAD_TOO_LONG, "Literal too large", out);
    buf_add_str(&p->command, "\r\n");
    p->state = IMAP_PARSER_LITERAL;
    p->left = l.size;
    p->quoted = p->escaped = false;
    if (!l.sync)
        return false;
    *out = imap_parser_event(p, IMAP_EVENT_CONTINUE);
    return true;
}

/* Take `word` off the end of `s` if it ends so (ASCII case does not matter). */
static bool strip_end(struct slice *s, const char *word)
{
    size_t len = strlen(word);
    if (s->len < len || !slice_eq_nocase_str(slice_sub(*s, s->len - len, s->len), word))
        return false;
    s->len -= len;
    return true;
}

/* A message literal: the caller decides what happens to it. `head` is what stands before it. */
static bool start_message(struct imap_parser *p, struct imap_literal l, struct slice head,
                          struct imap_event *out)
{
    p->utf8 = l.literal8 && strip_end(&head, "UTF8 (");
    if (head.len > 0 && !strip_end(&head, " "))
        return fail_after_line(p, l, IMAP_BAD_SYNTAX, "Expected a space before the message literal", out);
    *out = imap_parser_event(p, IMAP_EVENT_APPEND);
    out->args = head;
    out->size = l.size;
    out->first = p->first;
    out->sync = p->sync = l.sync;
    out->literal8 = p->literal8 = l.literal8;
    out->utf8 = p->utf8;
    p->first = false;
    p->left = l.size;
    p->state = IMAP_PARSER_DECIDE;
    return true;
}

/* `command` holds the text of the line that has just ended. */
static bool end_line(struct imap_parser *p, struct imap_event *out)
{
    struct slice line = buf_slice(&p->command);
    struct imap_literal l = { 0 };
    if (!p->quoted) {
        l = imap_literal_find(slice_sub(line, p->text_at, line.len));
        l.at += p->text_at;
    }
    if (!p->head_read) {
        const char *wrong = imap_parser_read_head(p);
        if (wrong != NULL)
            return fail_after_line(p, l, IMAP_BAD_SYNTAX, wrong, out);
    }
    struct slice args = slice_sub(line, p->args_at, line.len);
    if (l.found && l.at < p->args_at)
        return fail_after_line(p, l, IMAP_BAD_SYNTAX, "Unexpected literal", out);
    /* The first literal of APPEND is its mailbox if nothing stands before it. */
    if (l.found && is_append(p) && (!p->first || l.at > p->args_at))
        return start_message(p, l, slice_sub(line, p->args_at, l.at), out);
    if (l.found)
        return start_literal(p, l, out);
    if (is_append(p))
        return fail_after_line(p, l, IMAP_BAD_SYNTAX, "Expected a message literal", out);
    *out = imap_parser_event(p, IMAP_EVENT_COMMAND);
    out->args = args;
    p->reported = true;
    return true;
}

/* --- states --- */

static void fail_in_line(struct imap_parser *p, enum imap_bad_reason reason, const char *text)
{
    /* The tag is worth reading even from a line that never ends: the client can match the answer. */
    if (!p->head_read && slice_find(buf_slice(&p->command), ' ') > 0)
        (void)imap_parser_read_tag(p, buf_slice(&p->command));
    imap_parser_note_bad(p, reason, text);
    imap_parser_swallow_line(p);
}

static void track_quotes(struct imap_parser *p, uint8_t c)
{
    if (p->escaped)
        p->escaped = false;
    else if (p->quoted && c == '\\')
        p->escaped = true;
    else if (c == '"')
        p->quoted = !p->quoted;
}

static bool step_command(struct imap_parser *p, struct imap_event *out)
{
    while (p->at < p->in.len) {
        uint8_t c = p->in.data[p->at++];
        if (c == '\n') {
            if (p->command.len > p->text_at && p->command.data[p->command.len - 1] == '\r')
                p->command.len--;
            return end_line(p, out);
        }
        buf_add_byte(&p->command, c);
        track_quotes(p, c);
        if (c == '\0') {
            fail_in_line(p, IMAP_BAD_SYNTAX, "NUL in command");
            return false;
        }
        if (p->command.len - p->literal_octets > text_max(p)) {
            fail_in_line(p, IMAP_BAD_TOO_LONG, "Command line too long");
            return false;
        }
    }
    return false;
}

/* The next piece of the current literal, at most `left` octets; empty if there is no input. */
static struct slice take_literal(struct imap_parser *p)
{
    size_t have = imap_parser_pending(p);
    size_t len = p->left < have ? (size_t)p->left : have;
    if (len == 0)
        return SLICE_NULL;
    struct slice piece = slice_of(p->in.data + p->at, len);
    p->at += len;
    p->left -= len;
    return piece;
}

/* RFC 9051 CHAR8: a literal that is no literal8 holds no NUL. */
static bool has_nul(struct slice piece)
{
    return piece.len > 0 && memchr(piece.data, 0, piece.len) != NULL;
}

static bool step_literal(struct imap_parser *p, struct imap_event *out)
{
    struct slice piece = take_literal(p);
    if (has_nul(piece)) {
        imap_parser_note_bad(p, IMAP_BAD_NUL, "NUL in literal");
        imap_parser_swallow_literal(p, p->left);
        return false;
    }
    buf_add_slice(&p->command, piece);
    p->literal_octets += piece.len;
    if (p->left == 0) {
        p->text_at = p->command.len;
        p->state = IMAP_PARSER_COMMAND;
    }
    return false;
}

static bool step_message(struct imap_parser *p, struct imap_event *out)
{
    if (p->left == 0) {
        *out = imap_parser_event(p, IMAP_EVENT_APPEND_END);
        p->state = IMAP_PARSER_MESSAGE_TAIL;
        return true;
    }
    struct slice piece = take_literal(p);
    if (piece.len == 0)
        return false;
    if (!p->literal8 && has_nul(piece)) {
        imap_parser_note_bad(p, IMAP_BAD_NUL, "NUL in a message needs a literal8");
        imap_parser_swallow_literal(p, p->left);
        return false;
    }
    *out = imap_parser_event(p, IMAP_EVENT_APPEND_DATA);
    out->data = piece;
    return true;
}

static bool step_message_tail(struct imap_parser *p, struct imap_event *out)
{
    if (imap_parser_pending(p) == 0)
        return false;
    struct slice rest = slice_of(p->in.data + p->at, imap_parser_pending(p));
    if (rest.len == 1 && rest.data[0] == '\r')
        return false;
    bool crlf = rest.data[0] == '\r' && rest.data[1] == '\n';
    if (p->utf8 && rest.data[0] == ')') {
        p->utf8 = false;
        p->at++;
    } else if (!p->utf8 && rest.data[0] == ' ') {
        p->at++;
        imap_parser_clear_text(p);
        p->state = IMAP_PARSER_COMMAND;
    } else if (!p->utf8 && (crlf || rest.data[0] == '\n')) {
        p->at += crlf ? 2 : 1;
        *out = imap_parser_event(p, IMAP_EVENT_APPEND_DONE);
        p->state = IMAP_PARSER_COMMAND;
        p->reported = true;
        return true;
    } else {
        imap_parser_clear_text(p);
        fail_in_line(p, IMAP_BAD_SYNTAX, "Expected another message or the end of the line");
    }
    return false;
}

static bool step_line(struct imap_parser *p, struct imap_event *out)
{
    while (p->at < p->in.len) {
        uint8_t c = p->in.data[p->at++];
        if (c != '\n') {
            buf_add_byte(&p->command, c);
            if (p->command.len > IMAP_LINE_MAX)
                return imap_parser_close(p, "Line too long", out);
            continue;
        }
        if (p->command.len > 0 && p->command.data[p->command.len - 1] == '\r')
            p->command.len--;
        *out = imap_parser_event(p, IMAP_EVENT_LINE);
        out->data = buf_slice(&p->command);
        p->state = IMAP_PARSER_COMMAND;
        p->reported = true;
        return true;
    }
    return false;
}

/* Move on in the current state; true if an event is out. */
static bool step(struct imap_parser *p, struct imap_event *out)
{
    switch (p->state) {
    case IMAP_PARSER_COMMAND:
        return step_command(p, out);
    case IMAP_PARSER_LITERAL:
        return step_literal(p, out);
    case IMAP_PARSER_LINE:
        return step_line(p, out);
    case IMAP_PARSER_MESSAGE:
        return step_message(p, out);
    case IMAP_PARSER_MESSAGE_TAIL:
        return step_message_tail(p, out);
    case IMAP_PARSER_SWALLOW_LINE:
        return imap_parser_step_swallow_line(p, out);
    case IMAP_PARSER_SWALLOW_LITERAL:
        return imap_parser_step_swallow_literal(p, out);
    case IMAP_PARSER_DECIDE:
    case IMAP_PARSER_DEAD:
        break;
    }
    return false;
}

void imap_parser_next(struct imap_parser *p, struct imap_event *event_out)
{
    assert(p->state != IMAP_PARSER_DECIDE); /* accept or refuse first */
    if (p->reported)
        start_command(p);
    while (true) {
        enum imap_parser_state before = p->state;
        size_t at = p->at;
        if (step(p, event_out))
            return;
        if (p->reported)
            start_command(p); /* swallowed without a word */
        else if (p->state == before && p->at == at)
            break; /* nothing moved: the input is used up */
    }
    give_memory_back(p);
    *event_out = (struct imap_event){ .type = IMAP_EVENT_NEED_MORE, .name = "" };
}

void imap_parser_accept(struct imap_parser *p)
{
    assert(p->state == IMAP_PARSER_DECIDE);
    imap_parser_clear_text(p);
    p->state = IMAP_PARSER_MESSAGE;
}

void imap_parser_refuse(struct imap_parser *p)
{
    assert(p->state == IMAP_PARSER_DECIDE);
    if (p->sync)
        start_command(p); /* the client waited for "+" and sends nothing more of this command */
    else
        imap_parser_swallow_literal(p, p->left);
}

void imap_parser_abort(struct imap_parser *p)
{
    switch (p->state) {
    case IMAP_PARSER_DECIDE:
        imap_parser_refuse(p);
        return;
    case IMAP_PARSER_MESSAGE:
        imap_parser_swallow_literal(p, p->left);
        return;
    case IMAP_PARSER_MESSAGE_TAIL:
        imap_parser_clear_text(p);
        imap_parser_swallow_line(p);
        return;
    case IMAP_PARSER_COMMAND:
        if (!p->first && !p->reported)
            imap_parser_swallow_line(p);
        return;
    default:
        return;
    }
}

void imap_parser_expect_line(struct imap_parser *p)
{
    if (p->reported)
        start_command(p);
    assert(p->state == IMAP_PARSER_COMMAND && p->command.len == 0);
    p->state = IMAP_PARSER_LINE;
}
