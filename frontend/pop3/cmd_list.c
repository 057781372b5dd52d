/* SPDX-License-Identifier: Apache-2.0 */
/* STAT LIST UIDL DELE RSET: the view and its marks. */
#include "frontend/pop3/session.h"

static void count(const struct pop3_session *s, size_t *messages_out, uint64_t *size_out)
{
    *messages_out = 0;
    *size_out = 0;
    for (size_t i = 0; i < s->message_count; i++) {
        if (s->messages[i].deleted)
            continue;
        ++*messages_out;
        *size_out += s->messages[i].size;
    }
}

void pop3_cmd_stat(struct pop3_session *s, struct slice args)
{
    size_t messages;
    uint64_t size;
    (void)args;
    count(s, &messages, &size);
    pop3_ok(s, "%zu %llu", messages, (unsigned long long)size);
}

static void add_size(const struct pop3_session *s, const struct pop3_message *m, struct buf *out)
{
    (void)s;
    buf_add_u64(out, m->size);
}

/* Stable for ever: a UID is never reused within its UIDVALIDITY. */
static void add_uid(const struct pop3_session *s, const struct pop3_message *m, struct buf *out)
{
    buf_add_u64(out, s->mailbox.uidvalidity);
    buf_add_byte(out, '.');
    buf_add_u64(out, m->uid);
}

static void add_line(const struct pop3_session *s, size_t index, struct buf *out,
                     void (*add)(const struct pop3_session *s, const struct pop3_message *m, struct buf *out))
{
    buf_add_u64(out, index + 1);
    buf_add_byte(out, ' ');
    add(s, &s->messages[index], out);
    buf_add_str(out, "\r\n");
}

/* LIST and UIDL: of one message, or of all. */
static void list(struct pop3_session *s, struct slice args,
                 void (*add)(const struct pop3_session *s, const struct pop3_message *m, struct buf *out))
{
    struct buf out = { 0 };
    if (args.len > 0) {
        struct pop3_message *m = pop3_drop_find(s, args);
        if (m == NULL)
            return;
        buf_add_str(&out, "+OK ");
        add_line(s, (size_t)(m - s->messages), &out, add);
    } else {
        buf_add_str(&out, "+OK listing follows\r\n");
        for (size_t i = 0; i < s->message_count; i++) {
            if (!s->messages[i].deleted)
                add_line(s, i, &out, add);
        }
        buf_add_str(&out, ".\r\n");
    }
    pop3_send(s, buf_slice(&out));
    buf_fini(&out);
}

void pop3_cmd_list(struct pop3_session *s, struct slice args)
{
    list(s, args, add_size);
}

void pop3_cmd_uidl(struct pop3_session *s, struct slice args)
{
    list(s, args, add_uid);
}

void pop3_cmd_dele(struct pop3_session *s, struct slice args)
{
    struct pop3_message *m = pop3_drop_find(s, args);
    if (m == NULL)
        return;
    m->deleted = true;
    pop3_ok(s, "marked for deletion at QUIT");
}

void pop3_cmd_rset(struct pop3_session *s, struct slice args)
{
    (void)args;
    for (size_t i = 0; i < s->message_count; i++)
        s->messages[i].deleted = false;
    pop3_ok(s, "nothing is marked any more");
}
