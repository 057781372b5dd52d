/* SPDX-License-Identifier: Apache-2.0 */
/* STORE and UID STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).
 *
 * Everything up to the view's modseq has been told to the client, so a .SILENT store first changes, on that
 * condition, what nobody else has touched since: these changes stay unsaid. What others did touch is changed
 * after that, and told with all its flags, or the client would never hear what they did.
 *
 * Mostly nobody else touches anything: the store says so, and if what the change made is known too (.SILENT,
 * or the store says that it made the same of all), it is told without asking for it. */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/changes.h"
#include "frontend/imap/progress.h"

struct storing {
    struct imap_session *s;
    struct imap_command *cmd;
    const struct imap_store *store;
    struct uidset changed, modified;
    uint64_t modseq; /* of the last change */
    unsigned calls;  /* of the store */
    bool one_flags;  /* what the last call changed carries the flags that follow */
    struct mail_flags flags;
    bool is_whole; /* the last call: nobody else came between its parts */
    bool found;    /* one of the messages at least, be it unchanged */
    bool is_next;  /* the one call: nobody else had changed anything, and all has one modseq */
};

static enum store_mode mode_of(enum imap_store_mode mode)
{
    switch (mode) {
    case IMAP_STORE_REPLACE:
        return STORE_MODE_REPLACE;
    case IMAP_STORE_ADD:
        return STORE_MODE_ADD;
    case IMAP_STORE_REMOVE:
        return STORE_MODE_REMOVE;
    }
    return STORE_MODE_ADD;
}

/* One store call; what it changed is added to `changed`, what it refused replaces `modified`. */
static enum err change(struct storing *st, const struct uidset *uids, const uint64_t *unchanged_since)
{
    struct imap_session *s = st->s;
    struct imap_progress progress;

    imap_progress_init(&progress, s, st->cmd);
    const struct store_flags_request request = {
        .account = s->account,
        .mailbox = s->view.mailbox,
        .uids = uids,
        .mode = mode_of(st->store->mode),
        .flags = st->store->flags.system,
        .keywords = st->store->flags.keywords,
        .keyword_count = st->store->flags.keyword_count,
        .unchanged_since = unchanged_since,
        .progress = &progress.progress,
    };
    struct store_flags_result result = { 0 };
    enum err err = store_flags(s->context->store, &request, &s->arena, &result);

    uidset_add_set(&st->changed, &result.changed);
    uidset_copy(&result.modified, &st->modified);
    st->modseq = result.modseq;
    st->one_flags = result.one_flags;
    st->flags = (struct mail_flags){ result.flags, result.keyword_mask };
    st->is_whole = result.parts <= 1 || result.before_modseq != 0;
    st->is_next = st->calls++ == 0 && err == OK && (result.one_modseq || result.modseq == 0) &&
                  imap_view_is_next(&s->view, result.before_modseq, result.keyword_count);
    store_flags_result_fini(&result);
    return err;
}

/* Of what was changed. Where somebody else came between the parts of a large change, it is told: what they
 * did may be among it. */
static void keep_silent(struct storing *st)
{
    struct uidset *silent = ARENA_NEW(&st->s->arena, struct uidset);

    *silent = uidset_in_arena(&st->changed, &st->s->arena);
    st->cmd->silent = silent;
    st->cmd->silent_modseq = st->is_whole ? st->modseq : 0;
}

static enum err change_silently(struct storing *st, const struct uidset *uids)
{
    struct uidset others = { 0 };
    uint64_t since = st->s->view.modseq;
    enum err err = change(st, uids, &since);

    keep_silent(st);
    if (err != OK || uidset_is_empty(&st->modified))
        return err;
    uidset_copy(&st->modified, &others);
    err = change(st, &others, NULL);
    uidset_fini(&others);
    return err;
}

/* RFC 9051 6.4.6: the new value is told also where it is the old one. Those that did change are told by the
 * changes behind every command. */
static enum err tell_unchanged(struct storing *st, const struct uidset *uids)
{
    struct imap_session *s = st->s;
    struct uidset same = { 0 }, rest = { 0 };
    struct fetch_page page;
    struct row row;
    enum err err = OK;

    uidset_subtract(uids, &st->changed, &rest);
    uidset_subtract(&rest, &st->modified, &same);
    if (!uidset_is_empty(&same)) {
        struct fetch_options options = { .account = s->account, .mailbox = s->view.mailbox, .uids = &same };
        struct fetch *fetch = fetch_new(s->context->store, &options);

        while ((err = fetch_next(fetch, &page)) == OK) {
            while (fetch_page_next(&page, &row)) {
                uint32_t seq = uidmap_seq(&s->view.map, row.uid);

                st->found = true;
                if (seq != 0 && row.modseq <= s->view.modseq)
                    imap_changes_write_flags(s, &row, seq, st->cmd->uid);
            }
            fetch_page_fini(&page);
            imap_session_relieve(s);
        }
        fetch_free(&fetch);
    }
    uidset_fini(&same);
    uidset_fini(&rest);
    return err == ERR_NOT_FOUND ? OK : err;
}

/* RFC 7162 3.1.3: MODIFIED holds what was asked with: UIDs or sequence numbers. */
static enum err answer_modified(struct storing *st)
{
    struct imap_session *s = st->s;
    struct uidset shown = { 0 };
    struct buf code = { 0 };

    if (st->cmd->uid)
        uidset_copy(&st->modified, &shown);
    else
        uidmap_seqs_of(&s->view.map, &st->modified, &shown);
    imap_write_modified(&code, &shown);
    imap_reply_ok(st->cmd, arena_strdup(&s->arena, buf_slice(&code)), "Conditional STORE failed for some");
    buf_fini(&code);
    uidset_fini(&shown);
    return OK;
}

static enum err store_uids(struct storing *st, const struct uidset *uids)
{
    if (uidset_is_empty(uids))
        return OK;
    if (st->store->has_unchanged_since) {
        TRY(change(st, uids, &st->store->unchanged_since));
        if (st->store->silent)
            keep_silent(st);
        return uidset_is_empty(&st->modified) ? OK : answer_modified(st);
    }
    if (st->store->silent)
        return change_silently(st, uids);
    TRY(change(st, uids, NULL));
    TRY(tell_unchanged(st, uids));
    /* RFC 2180 4.2.2: the client still counts them, but has no answer for any. */
    if (!st->cmd->uid && !st->found && uidset_is_empty(&st->changed))
        return imap_reply_no(st->cmd, "EXPUNGEISSUED", "The messages are gone");
    return OK;
}

/* If all that happened is known, tell it now and spare the question behind the command. */
static void tell_known(struct storing *st)
{
    struct imap_session *s = st->s;

    if (!st->is_next)
        return;
    if (st->store->silent) {
        imap_changes_tell_own(s, &st->changed, NULL, st->modseq, st->cmd->uid);
    } else if (!uidset_is_empty(&st->changed)) {
        if (!st->one_flags)
            return;
        imap_changes_tell_own(s, &st->changed, &st->flags, st->modseq, st->cmd->uid);
    }
    imap_view_advance(&s->view, st->modseq);
    st->cmd->is_fresh = true;
}

enum err imap_cmd_store(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_store store;
    struct storing st = { .s = s, .cmd = cmd, .store = &store };
    struct uidset uids = { 0 };
    enum err err;

    TRY(imap_parse_store(&cmd->args, &store));
    if (s->view.read_only)
        return imap_reply_no(cmd, "READ-ONLY", "Mailbox was opened read-only");
    if (store.has_unchanged_since)
        imap_condstore_enable(s);
    err = imap_view_resolve(&s->view, &store.set, cmd->uid, &s->saved, &uids);
    if (err == ERR_INVALID)
        imap_reply_bad(cmd, "No message has that number");
    else
        err = store_uids(&st, &uids);
    if (err == OK)
        tell_known(&st);
    uidset_fini(&uids);
    uidset_fini(&st.changed);
    uidset_fini(&st.modified);
    return cmd->status == IMAP_REPLY_BAD ? OK : err;
}
