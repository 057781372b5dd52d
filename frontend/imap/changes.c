/* SPDX-License-Identifier: Apache-2.0 */
/* Order on the wire: FETCH lines use the numbers as they were, then EXPUNGE from the highest number down, so
 * that each is right when it is read, then EXISTS, which counts what has come at the end. New messages are
 * gathered over all pages first: a page lists what changed by modseq, so a later page may bring a lower UID,
 * or the end of a new one. */
#include "frontend/imap/changes.h"

#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "lib/base/log.h"

void imap_changes_write_flags(struct imap_session *s, const struct row *row, uint32_t seq, bool with_uid)
{
    struct buf *out = &s->out;

    buf_add_str(out, "* ");
    buf_add_u64(out, seq);
    buf_add_str(out, " FETCH (");
    if (with_uid) {
        buf_add_str(out, "UID ");
        buf_add_u64(out, row->uid);
        buf_add_byte(out, ' ');
    }
    buf_add_str(out, "FLAGS ");
    imap_write_flags(out, (struct mail_flags){ row->flags, row->keywords }, &s->view.keywords,
                     !imap_session_rev2(s) && imap_view_is_recent(&s->view, row->uid));
    if (imap_session_condstore(s)) {
        buf_add_str(out, " MODSEQ (");
        buf_add_u64(out, row->modseq);
        buf_add_byte(out, ')');
    }
    buf_add_str(out, ")\r\n");
}

/* RFC 7162 3.1.3: with .SILENT the flags stay unsaid, but a client that knows modseqs is told the new one. */
static void tell_modseq(struct imap_session *s, const struct row *row, uint32_t seq)
{
    if (!imap_session_condstore(s))
        return;
    buf_addf(&s->out, "* %u FETCH (UID %u MODSEQ (%llu))\r\n", seq, row->uid,
             (unsigned long long)row->modseq);
}

void imap_changes_tell_own(struct imap_session *s, const struct uidset *changed,
                           const struct mail_flags *flags, uint64_t modseq, bool with_uid)
{
    struct row row = { .modseq = modseq };

    if (flags != NULL) {
        row.flags = flags->system;
        row.keywords = flags->keywords;
    }
    for (struct uidset_iter it = uidset_iter(changed); uidset_next(&it, &row.uid);) {
        uint32_t seq = uidmap_seq(&s->view.map, row.uid);

        if (seq != 0 && flags != NULL)
            imap_changes_write_flags(s, &row, seq, with_uid);
        else if (seq != 0)
            tell_modseq(s, &row, seq);
        if (s->out.len > IMAP_OUTPUT_HIGH)
            imap_session_relieve(s);
    }
}

static void tell_row(struct imap_session *s, const struct imap_telling *how, const struct row *row,
                     struct uidset *fresh)
{
    uint32_t seq = uidmap_seq(&s->view.map, row->uid);

    if (seq == 0) {
        if (row->uid >= s->view.uidnext)
            uidset_add(fresh, row->uid);
        return;
    }
    bool silent =
        how->silent != NULL && row->modseq <= how->silent_modseq && uidset_contains(how->silent, row->uid);

    if (!silent)
        imap_changes_write_flags(s, row, seq, how->with_uid);
    else if (!how->silent_is_told)
        tell_modseq(s, row, seq);
}

/* What has vanished: of the view into `gone`, and out of what is new. */
static void note_vanished(struct imap_session *s, const struct uidset *vanished, struct uidset *fresh)
{
    struct uidset kept = { 0 };

    uidset_subtract(fresh, vanished, &kept);
    uidset_fini(fresh);
    *fresh = kept;
    uidset_add_set(&s->view.gone, vanished);
}

void imap_changes_tell_gone(struct imap_session *s)
{
    struct uidset seqs = { 0 };

    if (uidset_is_empty(&s->view.gone))
        return;
    uidmap_expunge_set(&s->view.map, &s->view.gone, &seqs);
    uidset_fini(&s->view.gone);
    for (uint32_t i = seqs.count; i-- > 0;) {
        for (uint32_t seq = seqs.ranges[i].last; seq >= seqs.ranges[i].first; seq--) {
            buf_add_str(&s->out, "* ");
            buf_add_u64(&s->out, seq);
            buf_add_str(&s->out, " EXPUNGE\r\n");
        }
        imap_session_relieve(s);
    }
    uidset_fini(&seqs);
}

static void tell_new(struct imap_session *s, const struct uidset *fresh)
{
    if (uidmap_append_set(&s->view.map, fresh) == 0)
        return;
    buf_addf(&s->out, "* %u EXISTS\r\n", s->view.map.count);
    if (!imap_session_rev2(s))
        buf_addf(&s->out, "* %u RECENT\r\n", imap_view_recent_count(&s->view));
}

/* One page of changes. */
static enum err tell_page(struct imap_session *s, const struct imap_telling *how, struct changes *c,
                          struct uidset *fresh)
{
    struct row row;

    if (c->keywords != NULL && imap_view_set_keywords(&s->view, c->keywords, c->keyword_count))
        imap_select_write_flags(s);
    note_vanished(s, &c->vanished, fresh);
    while (fetch_page_next(&c->page, &row)) {
        tell_row(s, how, &row, fresh);
        if (s->out.len > IMAP_OUTPUT_HIGH)
            imap_session_relieve(s);
    }
    if (c->more && c->modseq <= s->view.modseq) {
        log_error("imap", "changes of mailbox %llu do not get on", (unsigned long long)s->view.mailbox.id);
        return ERR_PROTOCOL;
    }
    s->view.modseq = c->modseq > s->view.modseq ? c->modseq : s->view.modseq;
    return OK;
}

/* Vanished UIDs at or below the mailbox's floor are forgotten: compare with what we have then, what came with
 * the pages before included. */
static enum err ask(struct imap_session *s, const struct uidset *fresh, struct arena *arena,
                    struct changes *out)
{
    struct uidset known = { 0 };
    enum err err =
        store_changes(s->context->store, s->account, s->view.mailbox, s->view.modseq, NULL, arena, out);

    if (err != OK || !out->floor_passed)
        return err;
    changes_fini(out);
    uidmap_uids(&s->view.map, &known);
    uidset_add_set(&known, fresh);
    err = store_changes(s->context->store, s->account, s->view.mailbox, s->view.modseq, &known, arena, out);
    uidset_fini(&known);
    return err;
}

enum err imap_changes_tell(struct imap_session *s, const struct imap_telling *how)
{
    struct arena arena = { 0 };
    struct uidset fresh = { 0 };
    uint32_t uidnext = s->view.uidnext;
    uint64_t modseq = s->view.modseq;
    enum err err;

    for (bool more = true; more;) {
        struct changes changes;

        err = ask(s, &fresh, &arena, &changes);
        if (err != OK)
            break;
        err = tell_page(s, how, &changes, &fresh);
        uidnext = changes.uidnext > uidnext ? changes.uidnext : uidnext;
        more = changes.more;
        changes_fini(&changes);
        arena_clear(&arena);
        if (err != OK)
            break;
    }
    if (how->may_expunge)
        imap_changes_tell_gone(s);
    if (err == OK) {
        tell_new(s, &fresh);
        s->view.uidnext = uidnext;
    } else {
        s->view.modseq = modseq; /* what is new was not told: all of it again next time */
    }
    uidset_fini(&fresh);
    arena_fini(&arena);
    return err;
}
