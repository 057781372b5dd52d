/* SPDX-License-Identifier: Apache-2.0 */
/* MAIL and RCPT: who sends, and who of us receives. */
#include <stdlib.h>

#include "frontend/queue/queue.h"
#include "frontend/smtp/known.h"
#include "frontend/smtp/patience.h"
#include "frontend/smtp/session.h"
#include "lib/base/clock.h"
#include "lib/mail/address.h"

/* ---- MAIL */

static void reject_mail_syntax(struct smtp_session *s, enum err err)
{
    if (err == ERR_UNSUPPORTED)
        smtp_reject(s, 555, "5.5.4", "parameter not known");
    else if (err == ERR_INVALID)
        smtp_reject(s, 501, "5.5.4", "parameter has a wrong value");
    else
        smtp_reject(s, 501, "5.1.7", "syntax: MAIL FROM:<address>");
}

/* An address as RFC 5321 and 6531 allow it in this transaction. */
static enum err read_address(struct smtp_session *s, struct slice path, struct address *out)
{
    if (path.len + 2 > ADDRESS_PATH_MAX)
        return ERR_TOO_BIG;
    TRY(address_parse(path, &s->mail_arena, out));
    return out->is_utf8 && !s->mail.smtputf8 ? ERR_UNSUPPORTED : OK;
}

static bool read_sender(struct smtp_session *s)
{
    struct address address;
    if (s->mail.path.len == 0) /* the null sender of a bounce */
        return true;
    enum err err = read_address(s, s->mail.path, &address);
    if (err == OK) {
        s->sender = address.canonical;
        return true;
    }
    if (err == ERR_UNSUPPORTED)
        smtp_reject(s, 553, "5.6.7", "this address needs SMTPUTF8");
    else
        smtp_reject(s, 501, "5.1.7", "sender address is malformed");
    return false;
}

void smtp_cmd_mail(struct smtp_session *s, struct slice args)
{
    uint64_t size_max = s->context->settings->message_size_max;
    if (s->state != SMTP_GREETED) {
        smtp_reject(s, 503, "5.5.1", "a mail transaction is under way");
        return;
    }
    if (s->kind == SMTP_SUBMISSION && !s->authenticated) {
        smtp_reject(s, 530, "5.7.0", "authentication required");
        return;
    }
    /* The line goes away with the next read: keep what is parsed from it. */
    enum err err = smtp_mail_parse(arena_slice(&s->mail_arena, args), &s->mail);
    if (err != OK) {
        reject_mail_syntax(s, err);
    } else if (s->mail.has_size && s->mail.size > size_max) {
        smtp_reject(s, 552, "5.3.4", "message is larger than %llu octets", (unsigned long long)size_max);
    } else if (read_sender(s)) {
        smtp_set_state(s, SMTP_MAIL);
        smtp_reply(s, 250, "2.1.0", "sender OK");
        return;
    }
    smtp_reset(s);
}

/* ---- RCPT */

static bool is_full(const struct smtp_session *s, const struct account *account)
{
    uint64_t quota = account->quota_bytes, used = account->used_bytes;
    return quota != 0 && (used >= quota || s->mail.size > quota - used);
}

static void add_recipient(struct smtp_session *s, struct slice path, const struct store_targets *targets)
{
    if (s->recipient_count == s->recipient_cap) {
        size_t cap = s->recipient_cap == 0 ? 8 : s->recipient_cap * 2;
        struct recipient *grown = ARENA_ARRAY(&s->mail_arena, struct recipient, cap);
        if (s->recipient_count > 0)
            memcpy(grown, s->recipients, s->recipient_count * sizeof *grown);
        s->recipients = grown;
        s->recipient_cap = cap;
    }
    s->recipients[s->recipient_count++] = (struct recipient){
        .path = path,
        .accounts = targets->accounts,
        .account_count = targets->account_count,
    };
    smtp_set_state(s, SMTP_RCPT);
}

static void reject_recipient(struct smtp_session *s, enum err err)
{
    switch (err) {
    case ERR_NOT_FOUND:
        smtp_reject(s, 550, "5.1.1", "no such user here");
        break;
    case ERR_NO_DOMAIN:
        if (s->authenticated)
            smtp_reject(s, 550, "5.7.1", "sending to other hosts is not available here");
        else
            smtp_reject(s, 550, "5.7.1", "relaying denied");
        break;
    case ERR_LIMIT:
        smtp_reject(s, 550, "5.4.6", "alias loops or is too large");
        break;
    default:
        smtp_reply_err(s, err, "recipient");
    }
}

/* Who an address stands for. While its partition does not answer, what is known from before will do: the
 * message goes to the queue then. Yields. */
static enum err find_targets(struct smtp_session *s, struct slice canonical, struct store_targets *out)
{
    struct context *c = s->context;
    struct store_targets known;
    uint32_t partition;
    TRY(store_partition_of(c->store, canonical, &partition));
    bool is_known = known_find(c->known, canonical, clock_mono_ms(), &s->mail_arena, &known);
    bool is_away = queue_home_is_away(c->queue, partition);
    if (is_known && is_away) {
        *out = known;
        return OK;
    }
    uint32_t wait_ms = is_away ? QUEUE_HOME_WAIT_AWAY_MS : is_known ? patience_wait_ms(c->patience) : 0;
    enum err err = store_address_resolve(c->store, canonical, wait_ms, &s->mail_arena, out);
    if (err == OK)
        known_learn(c->known, canonical, out, clock_mono_ms());
    else if (err == ERR_NOT_FOUND)
        known_forget(c->known, canonical);
    if (!is_known || err == OK || err_class(err) == ERR_CLASS_CALLER)
        return err;
    if (known.account_count == 1 && known.accounts[0].ref.home == partition) /* no other was asked */
        queue_home_suspect(c->queue, partition);
    *out = known;
    return OK;
}

/* The targets of an address; refused and answered if false. Yields. */
static bool resolve(struct smtp_session *s, struct slice canonical, struct store_targets *out)
{
    enum err err = find_targets(s, canonical, out);
    /* What an alias forwards to other hosts would have to be queued, so such an alias cannot be served as a
     * whole yet. */
    if (err == OK && out->remote_count > 0)
        err = ERR_NO_DOMAIN;
    if (err != OK) {
        reject_recipient(s, err);
        return false;
    }
    for (size_t i = 0; i < out->account_count; i++) {
        if (is_full(s, &out->accounts[i])) {
            smtp_reply(s, 452, "4.2.2", "mailbox is full");
            return false;
        }
    }
    return true;
}

void smtp_cmd_rcpt(struct smtp_session *s, struct slice args)
{
    struct slice path;
    struct address address;
    struct store_targets targets;
    if (s->state != SMTP_MAIL && s->state != SMTP_RCPT) {
        smtp_reject(s, 503, "5.5.1", "MAIL first");
        return;
    }
    if (s->recipient_count >= s->context->settings->smtp_recipients_max) {
        smtp_reply(s, 452, "4.5.3", "too many recipients");
        return;
    }
    enum err err = smtp_rcpt_parse(arena_slice(&s->mail_arena, args), &path);
    if (err == ERR_UNSUPPORTED) {
        smtp_reject(s, 555, "5.5.4", "parameter not known");
        return;
    }
    if (err == OK &&
        slice_eq_nocase_str(path, "postmaster")) /* RFC 5321 4.5.1: without a domain it is ours */
        path = slice_str(arena_printf(&s->mail_arena, "postmaster@%s", s->context->settings->hostname));
    if (err == OK)
        err = read_address(s, path, &address);
    if (err == ERR_UNSUPPORTED) {
        smtp_reject(s, 553, "5.6.7", "this address needs SMTPUTF8");
    } else if (err != OK) {
        smtp_reject(s, 501, "5.1.3", "recipient address is malformed");
    } else if (resolve(s, address.canonical, &targets)) {
        add_recipient(s, path, &targets);
        smtp_reply(s, 250, "2.1.5", "recipient OK");
    }
}
