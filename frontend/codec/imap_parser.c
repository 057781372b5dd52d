/* SPDX-License-Identifier: Apache-2.0 */
/* A command is gathered octet by octet until its line ends. If the line ends in "{n}", a literal follows:
 * kept in the command, or (the message of an APPEND) streamed to the caller. When something is wrong, the
 * rest of the command is swallowed first, LITERAL+ literals included, so that the next line is the next
 * command; only then BAD is reported. */
#include "frontend/codec/imap_parser.h"

#include <assert.h>

#include "lib/base/ascii.h"

/* "{n}" at the end of a line. */
struct literal {
    bool found;
    size_t at; /* where in the line it starts, its '~' included */
    bool sync;
    bool literal8;
    uint64_t size; /* UINT64_MAX if it is beyond 64 bits */
};

/* RFC 9051 literal, RFC 7888 literal+, RFC 3516 literal8. */
static struct literal find_literal(struct slice line)
{
    struct literal l = { .sync = true };
    size_t i = line.len;
    if (i == 0 || line.data[--i] != '}')
        return l;
    if (i > 0 && line.data[i - 1] == '+') {
        l.sync = false;
        i--;
    }
    size_t end = i;
    while (i > 0 && ascii_is_digit(line.data[i - 1]))
        i--;
    if (i == end || i == 0 || line.data[i - 1] != '{')
        return l;
    if (!slice_parse_u64(slice_sub(line, i, end), INT64_MAX, &l.size))
        l.size = UINT64_MAX;
    l.at = i - 1;
    l.literal8 = l.at > 0 && line.data[l.at - 1] == '~';
    l.at -= l.literal8;
    l.found = true;
    return l;
}

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

static uint64_t swallow_literal_max(const struct imap_parser *p)
{
    return p->authenticated ? IMAP_SWALLOW_LITERAL_MAX : IMAP_SWALLOW_LITERAL_MAX_BEFORE_AUTH;
}

/* Forget the text gathered so far, not the command. */
static void clear_text(struct imap_parser *p)
{
    buf_clear(&p->command);
    p->args_at = p->text_at = 0;
    p->literal_octets = 0;
    p->literal_count = 0;
    p->quoted = p->escaped = false;
}

static void start_command(struct imap_parser *p)
{
    clear_text(p);
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

static void give_memory_back(struct imap_parser *p)
{
    if (imap_parser_pending(p) > 0)
        return;
    buf_fini(&p->in);
    p->at = 0;
    if (p->command.len == 0)
        buf_fini(&p->command);
}

static struct imap_event event_of(const struct imap_parser *p, enum imap_event_type type)
{
    return (struct imap_event){ .type = type, .tag = slice_str(p->tag), .name = p->name, .uid = p->uid };
}

/* --- failure --- */

static bool report_close(struct imap_parser *p, const char *text, struct imap_event *out)
{
    *out = event_of(p, IMAP_EVENT_BAD);
    out->reason = IMAP_BAD_TOO_LONG;
    out->text = text;
    out->close = true;
    p->state = IMAP_PARSER_DEAD;
    buf_fini(&p->in);
    buf_fini(&p->command);
    p->at = 0;
    return true;
}

/* The rest of the command is gone; true if there is something to report. */
static bool end_swallowing(struct imap_parser *p, struct imap_event *out)
{
    p->state = IMAP_PARSER_COMMAND;
    p->reported = true;
    if (p->bad_text == NULL)
        return false;
    *out = event_of(p, IMAP_EVENT_BAD);
    out->reason = p->bad_reason;
    out->text = p->bad_text;
    return true;
}

static void note_bad(struct imap_parser *p, enum imap_bad_reason reason, const char *text)
{
    p->bad_reason = reason;
    p->bad_text = text;
}

/* Swallow the rest of the line whose start may be in `command`. */
static void swallow_line(struct imap_parser *p)
{
    struct slice gathered = slice_sub(buf_slice(&p->command), p->text_at, p->command.len);
    size_t keep = gathered.len < sizeof p->tail ? gathered.len : sizeof p->tail;
    if (keep > 0)
        memcpy(p->tail, gathered.data + gathered.len - keep, keep);
    p->tail_len = (uint8_t)keep;
    clear_text(p);
    p->state = IMAP_PARSER_SWALLOW_LINE;
}

static void swallow_literal(struct imap_parser *p, uint64_t size)
{
    clear_text(p);
    p->left = size;
    p->state = IMAP_PARSER_SWALLOW_LITERAL;
}

/* The line has ended, perhaps with a literal that will not be taken: a client that waits for "+" sends
 * nothing more. */
static bool swallow_after_line(struct imap_parser *p, struct literal l, struct imap_event *out)
{
    if (!l.found || l.sync)
        return end_swallowing(p, out);
    swallow_literal(p, l.size);
    return false;
}

static void keep_tail(struct imap_parser *p, uint8_t c)
{
    if (p->tail_len == sizeof p->tail) {
        memmove(p->tail, p->tail + 1, sizeof p->tail - 1);
        p->tail_len--;
    }
    p->tail[p->tail_len++] = c;
}

static bool step_swallow_line(struct imap_parser *p, struct imap_event *out)
{
    while (p->at < p->in.len) {
        uint8_t c = p->in.data[p->at++];
        if (++p->swallowed_text > IMAP_SWALLOW_TEXT_MAX)
            return report_close(p, "Command line too long", out);
        if (c != '\n') {
            keep_tail(p, c);
            continue;
        }
        struct slice line = slice_of(p->tail, p->tail_len);
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        p->tail_len = 0;
        return swallow_after_line(p, find_literal(line), out);
    }
    return false;
}

static bool step_swallow_literal(struct imap_parser *p, struct imap_event *out)
{
    if (p->left > swallow_literal_max(p) - p->swallowed_literal)
        return report_close(p, "Literal too large", out);
    size_t have = imap_parser_pending(p);
    size_t take = p->left < have ? (size_t)p->left : have;
    p->at += take;
    p->left -= take;
    p->swallowed_literal += take;
    if (p->left == 0)
        swallow_line(p);
    return false;
}

/* --- the head of a command --- */

/* tag = 1*<any ASTRING-CHAR except "+">; atom-specials are those of RFC 9051. */
static bool is_tag_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("(){%*\"\\+", c) == NULL;
}

static size_t word_length(struct slice s)
{
    ptrdiff_t blank = slice_find(s, ' ');
    return blank < 0 ? s.len : (size_t)blank;
}

static const char *read_tag(struct imap_parser *p, struct slice line)
{
    size_t len = word_length(line);
    if (line.len == 0)
        return "Empty command line";
    if (len == 0 || len > IMAP_TAG_MAX)
        return "Invalid tag";
    for (size_t i = 0; i < len; i++) {
        if (!is_tag_char(line.data[i]))
            return "Invalid tag";
    }
    memcpy(p->tag, line.data, len);
    p->tag[len] = '\0';
    return NULL;
}

/* One word of the name, in capitals; what is behind it and its blank starts at *at_out. */
static const char *read_name(struct imap_parser *p, struct slice line, size_t *at_out)
{
    struct slice rest = slice_sub(line, *at_out, line.len);
    size_t len = word_length(rest);
    if (len == 0)
        return "Missing command";
    if (len > IMAP_NAME_MAX)
        return "Unknown command";
    for (size_t i = 0; i < len; i++) {
        if (!is_tag_char(rest.data[i]))
            return "Invalid command name";
        p->name[i] = (char)ascii_upper(rest.data[i]);
    }
    p->name[len] = '\0';
    *at_out += len < rest.len ? len + 1 : len;
    return NULL;
}

/* Returns NULL, or what is wrong. */
static const char *read_head(struct imap_parser *p)
{
    struct slice line = buf_slice(&p->command);
    p->head_read = true;
    const char *wrong = read_tag(p, line);
    if (wrong != NULL)
        return wrong;
    size_t at = strlen(p->tag);
    if (at == line.len)
        return "Missing command";
    at++;
    wrong = read_name(p, line, &at);
    if (wrong == NULL && strcmp(p->name, "UID") == 0) {
        p->uid = true;
        wrong = read_name(p, line, &at);
    }
    p->args_at = at;
    return wrong;
}

static bool is_append(const struct imap_parser *p)
{
    return p->authenticated && !p->uid && strcmp(p->name, "APPEND") == 0;
}

/* --- the end of a line --- */

static bool fail_after_line(struct imap_parser *p, struct literal l, enum imap_bad_reason reason,
                            const char *text, struct imap_event *out)
{
    note_bad(p, reason, text);
    return swallow_after_line(p, l, out);
}

/* The literal becomes part of the command. */
static bool start_literal(struct imap_parser *p, struct literal l, struct imap_event *out)
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
    *out = event_of(p, IMAP_EVENT_CONTINUE);
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
static bool start_message(struct imap_parser *p, struct literal l, struct slice head, struct imap_event *out)
{
    p->utf8 = l.literal8 && strip_end(&head, "UTF8 (");
    if (head.len > 0 && !strip_end(&head, " "))
        return fail_after_line(p, l, IMAP_BAD_SYNTAX, "Expected a space before the message literal", out);
    *out = event_of(p, IMAP_EVENT_APPEND);
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
    struct literal l = { 0 };
    if (!p->quoted) {
        l = find_literal(slice_sub(line, p->text_at, line.len));
        l.at += p->text_at;
    }
    if (!p->head_read) {
        const char *wrong = read_head(p);
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
    *out = event_of(p, IMAP_EVENT_COMMAND);
    out->args = args;
    p->reported = true;
    return true;
}

/* --- states --- */

static void fail_in_line(struct imap_parser *p, enum imap_bad_reason reason, const char *text)
{
    /* The tag is worth reading even from a line that never ends: the client can match the answer. */
    if (!p->head_read && slice_find(buf_slice(&p->command), ' ') > 0)
        (void)read_tag(p, buf_slice(&p->command));
    note_bad(p, reason, text);
    swallow_line(p);
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
        note_bad(p, IMAP_BAD_NUL, "NUL in literal");
        swallow_literal(p, p->left);
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
        *out = event_of(p, IMAP_EVENT_APPEND_END);
        p->state = IMAP_PARSER_MESSAGE_TAIL;
        return true;
    }
    struct slice piece = take_literal(p);
    if (piece.len == 0)
        return false;
    if (!p->literal8 && has_nul(piece)) {
        note_bad(p, IMAP_BAD_NUL, "NUL in a message needs a literal8");
        swallow_literal(p, p->left);
        return false;
    }
    *out = event_of(p, IMAP_EVENT_APPEND_DATA);
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
        clear_text(p);
        p->state = IMAP_PARSER_COMMAND;
    } else if (!p->utf8 && (crlf || rest.data[0] == '\n')) {
        p->at += crlf ? 2 : 1;
        *out = event_of(p, IMAP_EVENT_APPEND_DONE);
        p->state = IMAP_PARSER_COMMAND;
        p->reported = true;
        return true;
    } else {
        clear_text(p);
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
                return report_close(p, "Line too long", out);
            continue;
        }
        if (p->command.len > 0 && p->command.data[p->command.len - 1] == '\r')
            p->command.len--;
        *out = event_of(p, IMAP_EVENT_LINE);
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
        return step_swallow_line(p, out);
    case IMAP_PARSER_SWALLOW_LITERAL:
        return step_swallow_literal(p, out);
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
    clear_text(p);
    p->state = IMAP_PARSER_MESSAGE;
}

void imap_parser_refuse(struct imap_parser *p)
{
    assert(p->state == IMAP_PARSER_DECIDE);
    if (p->sync)
        start_command(p); /* the client waited for "+" and sends nothing more of this command */
    else
        swallow_literal(p, p->left);
}

void imap_parser_abort(struct imap_parser *p)
{
    switch (p->state) {
    case IMAP_PARSER_DECIDE:
        imap_parser_refuse(p);
        return;
    case IMAP_PARSER_MESSAGE:
        swallow_literal(p, p->left);
        return;
    case IMAP_PARSER_MESSAGE_TAIL:
        clear_text(p);
        swallow_line(p);
        return;
    case IMAP_PARSER_COMMAND:
        if (!p->first && !p->reported)
            swallow_line(p);
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
