/* SPDX-License-Identifier: Apache-2.0 */
/* A command that failed: its rest is thrown away, LITERAL+ literals included, within bounds; then BAD is
 * reported. */
#include "frontend/codec/imap_parser_priv.h"

static uint64_t swallow_literal_max(const struct imap_parser *p)
{
    return p->authenticated ? IMAP_SWALLOW_LITERAL_MAX : IMAP_SWALLOW_LITERAL_MAX_BEFORE_AUTH;
}

bool imap_parser_close(struct imap_parser *p, const char *text, struct imap_event *out)
{
    *out = imap_parser_event(p, IMAP_EVENT_BAD);
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
    *out = imap_parser_event(p, IMAP_EVENT_BAD);
    out->reason = p->bad_reason;
    out->text = p->bad_text;
    return true;
}

void imap_parser_note_bad(struct imap_parser *p, enum imap_bad_reason reason, const char *text)
{
    p->bad_reason = reason;
    p->bad_text = text;
}

/* Swallow the rest of the line whose start may be in `command`. */
void imap_parser_swallow_line(struct imap_parser *p)
{
    struct slice gathered = slice_sub(buf_slice(&p->command), p->text_at, p->command.len);
    size_t keep = gathered.len < sizeof p->tail ? gathered.len : sizeof p->tail;
    if (keep > 0)
        memcpy(p->tail, gathered.data + gathered.len - keep, keep);
    p->tail_len = (uint8_t)keep;
    imap_parser_clear_text(p);
    p->state = IMAP_PARSER_SWALLOW_LINE;
}

void imap_parser_swallow_literal(struct imap_parser *p, uint64_t size)
{
    imap_parser_clear_text(p);
    p->left = size;
    p->state = IMAP_PARSER_SWALLOW_LITERAL;
}

/* The line has ended, perhaps with a literal that will not be taken: a client that waits for "+" sends
 * nothing more. */
bool imap_parser_swallow_after_line(struct imap_parser *p, struct imap_literal l, struct imap_event *out)
{
    if (!l.found || l.sync)
        return end_swallowing(p, out);
    imap_parser_swallow_literal(p, l.size);
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

bool imap_parser_step_swallow_line(struct imap_parser *p, struct imap_event *out)
{
    while (p->at < p->in.len) {
        uint8_t c = p->in.data[p->at++];
        if (++p->swallowed_text > IMAP_SWALLOW_TEXT_MAX)
            return imap_parser_close(p, "Command line too long", out);
        if (c != '\n') {
            keep_tail(p, c);
            continue;
        }
        struct slice line = slice_of(p->tail, p->tail_len);
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        p->tail_len = 0;
        return imap_parser_swallow_after_line(p, imap_literal_find(line), out);
    }
    return false;
}

bool imap_parser_step_swallow_literal(struct imap_parser *p, struct imap_event *out)
{
    if (p->left > swallow_literal_max(p) - p->swallowed_literal)
        return imap_parser_close(p, "Literal too large", out);
    size_t have = imap_parser_pending(p);
    size_t take = p->left < have ? (size_t)p->left : have;
    p->at += take;
    p->left -= take;
    p->swallowed_literal += take;
    if (p->left == 0)
        imap_parser_swallow_line(p);
    return false;
}
