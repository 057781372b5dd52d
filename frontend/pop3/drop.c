/* SPDX-License-Identifier: Apache-2.0 */
/* The maildrop: INBOX, locked against other POP3 sessions, as it was at login. */
#include <stdlib.h>
#include <string.h>

#include "frontend/pop3/session.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"

static struct slice token(const struct pop3_session *s)
{
    return slice_of(s->lock_token, sizeof s->lock_token);
}

static void add_message(struct pop3_session *s, const struct row *row)
{
    if (s->message_count == s->message_cap) {
        s->message_cap = s->message_cap == 0 ? 64 : s->message_cap * 2;
        s->messages = xrealloc(s->messages, s->message_cap * sizeof *s->messages);
    }
    s->messages[s->message_count++] = (struct pop3_message){ .uid = row->uid, .size = row->size };
}

/* The view: UID and size of every message. */
static enum err read_messages(struct pop3_session *s, const struct uidset *uids)
{
    struct fetch_options options = { .account = s->account.ref, .mailbox = s->mailbox, .uids = uids };
    struct fetch *fetch = fetch_new(s->context->store, &options);
    struct fetch_page page;
    enum err err;
    while ((err = fetch_next(fetch, &page)) == OK) {
        struct row row;
        while (s->message_count < POP3_MESSAGES_MAX && fetch_page_next(&page, &row))
            add_message(s, &row);
        fetch_page_fini(&page);
    }
    fetch_free(&fetch);
    return err == ERR_NOT_FOUND ? OK : err;
}

static enum err open_inbox(struct pop3_session *s)
{
    struct mailbox inbox;
    struct uidset uids = { 0 };
    uint32_t first_unseen;
    s->message_count = 0; /* an earlier try may have got half way */
    enum err err = store_mailbox_open(s->context->store, s->account.ref, SLICE_LIT("INBOX"), &s->arena,
                                      &inbox, &uids, &first_unseen);
    if (err == OK) {
        s->mailbox = (struct mailbox_ref){ inbox.id, inbox.uidvalidity };
        err = read_messages(s, &uids);
    }
    uidset_fini(&uids);
    return err;
}

enum err pop3_drop_open(struct pop3_session *s)
{
    rand_bytes(s->lock_token, sizeof s->lock_token);
    TRY(store_lock(s->context->store, s->account.ref, token(s)));
    s->locked = true;
    s->lock_renew_ms = loop_deadline_ms(POP3_LOCK_RENEW_MS);
    enum err err = open_inbox(s);
    if (err != OK)
        pop3_drop_close(s);
    return err;
}

enum err pop3_drop_keep(struct pop3_session *s)
{
    if (loop_now_ms() < s->lock_renew_ms)
        return OK;
    enum err err = store_lock(s->context->store, s->account.ref, token(s));
    if (err == OK)
        s->lock_renew_ms = loop_deadline_ms(POP3_LOCK_RENEW_MS);
    return err;
}

/* ---- renewing beside the session, which may end meanwhile */

struct pop3_renewal {
    struct pop3_session *session; /* NULL: it has ended */
    struct store *store;
    struct account_ref account;
    uint8_t token[POP3_LOCK_TOKEN_SIZE];
};

static void renew(void *arg)
{
    struct pop3_renewal *r = arg;
    struct slice its_token = slice_of(r->token, sizeof r->token);
    enum err err = store_lock(r->store, r->account, its_token);
    struct pop3_session *s = r->session;
    if (s != NULL) {
        s->renewal = NULL;
        if (err == OK)
            s->lock_renew_ms = loop_deadline_ms(POP3_LOCK_RENEW_MS);
    } else if (err == OK) {
        store_unlock(r->store, r->account, its_token); /* perhaps it was let go before we took it again */
    }
    free(r);
}

static void renew_in_time(void *arg)
{
    struct pop3_session *s = arg;
    struct loop *loop = s->context->loop;
    timer_start(loop, &s->lock_timer, loop_deadline_ms(POP3_LOCK_RENEW_MS), renew_in_time, s);
    if (s->renewal != NULL)
        return;
    struct pop3_renewal *r = NEW(struct pop3_renewal);
    *r = (struct pop3_renewal){ .session = s, .store = s->context->store, .account = s->account.ref };
    memcpy(r->token, s->lock_token, sizeof r->token);
    if (fiber_spawn(loop, "pop3-lock", renew, r) == OK)
        s->renewal = r;
    else
        free(r);
}

void pop3_drop_keep_sending(struct pop3_session *s, bool on)
{
    if (on)
        timer_start(s->context->loop, &s->lock_timer, s->lock_renew_ms, renew_in_time, s);
    else
        timer_stop(&s->lock_timer);
}

/* ---- the end */

enum err pop3_drop_commit(struct pop3_session *s)
{
    struct uidset deleted = { 0 }, vanished = { 0 };
    uint64_t modseq;
    enum err err = OK;
    for (size_t i = 0; i < s->message_count; i++) {
        if (s->messages[i].deleted)
            uidset_add(&deleted, s->messages[i].uid);
    }
    if (!uidset_is_empty(&deleted))
        err = store_expunge(s->context->store, s->account.ref, s->mailbox, &deleted, false, NULL, &vanished,
                            &modseq);
    uidset_fini(&deleted);
    uidset_fini(&vanished);
    return err;
}

void pop3_drop_close(struct pop3_session *s)
{
    timer_stop(&s->lock_timer);
    if (s->renewal != NULL)
        s->renewal->session = NULL;
    s->renewal = NULL;
    if (s->locked)
        store_unlock(s->context->store, s->account.ref, token(s));
    s->locked = false;
}

struct pop3_message *pop3_drop_find(struct pop3_session *s, struct slice text)
{
    uint64_t number;
    if (!slice_parse_u64(slice_trim(text), UINT32_MAX, &number) || number == 0) {
        pop3_err(s, "a message number is needed");
        return NULL;
    }
    if (number > s->message_count || s->messages[number - 1].deleted) {
        pop3_err(s, "no such message");
        return NULL;
    }
    return &s->messages[number - 1];
}
