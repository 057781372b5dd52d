/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH and UID FETCH (RFC 9051 6.4.5): plan what to ask the store for, write page after page, mark \Seen.
 *
 * \Seen, which BODY[...] implies, is set for the first page before its rows are written, so that the rows of
 * a short FETCH show it; what later pages leave unseen is set by one call at the end and told by the changes
 * behind the command, because a commit a page would cost more than the bodies. */
#include "frontend/imap/changes.h"
#include "frontend/imap/downgrade.h"
#include "frontend/imap/fetch.h"
#include "lib/base/log.h"

enum {
    SEEN_MS = 8000,      /* how long \Seen is tried: a fail-over takes less */
    SEEN_AGAIN_MS = 300, /* after it has failed, until it succeeds once */
};

static uint32_t plan_parts(const struct imap_session *s, const struct imap_fetch *fetch, bool alone)
{
    const uint32_t from_summary = IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE |
                                  IMAP_FETCH_PREVIEW | IMAP_FETCH_PREVIEW_LAZY;
    uint32_t parts = (fetch->items & from_summary) != 0 ? ROW_SUMMARY : 0;

    for (unsigned i = 0; i < fetch->section_count; i++)
        parts |= imap_section_parts(&fetch->sections[i], alone);
    if (parts != 0 || fetch->section_count > 0)
        parts |= imap_downgrade_parts(s);
    if ((parts & ROW_BODY) != 0 &&
        (parts & ROW_HEADER) != 0) /* the body has the header; the summary says where */
        parts = (parts & ~(uint32_t)ROW_HEADER) | ROW_SUMMARY;
    return parts;
}

/* Set \Seen on `unseen`. That it fails is no reason to withhold a message: the next FETCH tries again. Who
 * reads while the partition takes no writes waits for it once, as long as another node may be taking over,
 * and not at each message. */
static bool mark_seen(struct imap_fetching *f, const struct uidset *unseen, struct store_flags_result *result)
{
    struct imap_session *s = f->s;
    const struct store_flags_request request = {
        .account = s->account,
        .mailbox = s->view.mailbox,
        .uids = unseen,
        .mode = STORE_MODE_ADD,
        .flags = MAIL_SEEN,
        .timeout_ms = s->seen_failed ? SEEN_AGAIN_MS : SEEN_MS,
    };
    enum err err = store_flags(s->context->store, &request, &s->arena, result);

    if (err != OK)
        log_info("imap", "cannot mark messages of %s as seen: %s", s->user, err_name(err));
    s->seen_failed = err != OK;
    return err == OK;
}

static void mark_first_page(struct imap_fetching *f, const struct uidset *unseen)
{
    struct store_flags_result result = { 0 };

    if (uidset_is_empty(unseen))
        return;
    if (mark_seen(f, unseen, &result)) {
        uidset_copy(&result.changed, &f->marked);
        f->marked_modseq = result.modseq;
        if (result.one_modseq && imap_view_is_next(&f->s->view, result.before_modseq, result.keyword_count))
            f->known_modseq = result.modseq;
    }
    store_flags_result_fini(&result);
}

static void mark_rest(struct imap_fetching *f)
{
    struct store_flags_result result = { 0 };

    if (uidset_is_empty(&f->unseen))
        return;
    (void)mark_seen(f, &f->unseen, &result);
    store_flags_result_fini(&result);
}

static void find_unseen(struct imap_fetching *f, struct fetch_page page, struct uidset *out)
{
    struct row row;

    if (!f->fetch->sets_seen || f->s->view.read_only)
        return;
    while (fetch_page_next(&page, &row)) { /* `page` is a copy: the caller reads the rows again */
        if ((row.flags & MAIL_SEEN) == 0)
            uidset_add(out, row.uid);
    }
}

/* Rows may carry keywords this session has not heard of: learn their names before they are shown. */
static enum err learn_keywords(struct imap_fetching *f, const struct fetch_page *page)
{
    struct imap_telling how = { .with_uid = f->cmd->uid };

    if (page->keyword_count <= f->s->view.keywords.count)
        return OK;
    return imap_changes_tell(f->s, &how);
}

static enum err write_page(struct imap_fetching *f, struct fetch_page *page, bool first, uint32_t *last_uid)
{
    struct imap_session *s = f->s;
    struct uidset unseen = { 0 };
    struct row row;
    enum err err = learn_keywords(f, page);

    find_unseen(f, *page, &unseen);
    if (first)
        mark_first_page(f, &unseen);
    else
        uidset_add_set(&f->unseen, &unseen);
    uidset_fini(&unseen);
    while (err == OK && !s->broken && fetch_page_next(page, &row)) {
        uint32_t seq = uidmap_seq(&s->view.map, row.uid);

        *last_uid = row.uid;
        if (seq == 0)
            continue;
        err = imap_fetch_write_row(f, &row, seq);
        f->row_count++;
        if (s->out.len >= IMAP_OUTPUT_HIGH)
            imap_session_relieve(s);
    }
    return err;
}

/* Pages until the end, an error, or until the rows need parts that were not asked for: then *last_uid says
 * where to go on. */
static enum err write_pages(struct imap_fetching *f, const struct uidset *uids, bool first,
                            uint32_t *last_uid)
{
    struct imap_session *s = f->s;
    const uint32_t parts = f->parts;
    const struct fetch_options options = {
        .account = s->account,
        .mailbox = s->view.mailbox,
        .uids = uids,
        .items = parts,
        .changed_since = f->fetch->changed_since,
    };
    struct fetch *fetch = fetch_new(s->context->store, &options);
    struct fetch_page page;
    enum err err;

    while ((err = fetch_next(fetch, &page)) == OK) {
        bool more = page.next_uid != 0;

        f->cmd->is_fresh = page.modseq <= s->view.modseq || page.modseq <= f->known_modseq;
        err = write_page(f, &page, first, last_uid);
        fetch_page_fini(&page);
        first = false;
        if (err != OK || s->broken || (more && f->parts != parts))
            break;
    }
    fetch_free(&fetch);
    return err;
}

static enum err write_all(struct imap_fetching *f, const struct uidset *uids)
{
    struct uidset rest = { 0 };
    uint32_t last_uid = 0;
    bool first = true;
    enum err err;

    uidset_copy(uids, &rest);
    do {
        if (last_uid > 0)
            uidset_remove_range(&rest, 1, last_uid);
        err = write_pages(f, &rest, first, &last_uid);
        first = false;
    } while (err == OK && !f->s->broken);
    uidset_fini(&rest);
    return err == ERR_NOT_FOUND ? OK : err; /* the last page was the last */
}

static enum err fetch_uids(struct imap_fetching *f, const struct uidset *uids)
{
    uint64_t wanted = uidset_count(uids);

    f->parts = plan_parts(f->s, f->fetch, wanted == 1);
    TRY(write_all(f, uids));
    mark_rest(f);
    if (!uidset_is_empty(&f->unseen) || (!uidset_is_empty(&f->marked) && f->known_modseq == 0))
        f->cmd->is_fresh = false;
    imap_view_advance(&f->s->view, f->known_modseq); /* its rows have told */
    f->cmd->silent = &f->marked;
    f->cmd->silent_modseq = f->marked_modseq;
    f->cmd->silent_is_told = true;
    if (f->unknown_cte)
        return imap_reply_no(f->cmd, "UNKNOWN-CTE", "A part cannot be decoded");
    /* RFC 5530: the client still counts messages that are gone. */
    if (!f->cmd->uid && !f->fetch->has_changed_since && f->row_count < wanted)
        imap_reply_ok(f->cmd, "EXPUNGEISSUED", "Some of the messages are gone");
    else if (!uidset_is_empty(&f->downgraded)) /* RFC 6858 3 */
        imap_reply_ok(f->cmd, imap_downgrade_code(f), NULL);
    return OK;
}

static enum err check(struct imap_session *s, struct imap_command *cmd, struct imap_fetch *fetch)
{
    if (fetch->vanished)
        return imap_reply_bad(cmd, "QRESYNC is not enabled");
    if (fetch->has_changed_since)
        fetch->items |= IMAP_FETCH_MODSEQ; /* RFC 7162 3.1.4.1 */
    if ((fetch->items & IMAP_FETCH_MODSEQ) != 0)
        imap_condstore_enable(s);
    if (cmd->uid)
        fetch->items |= IMAP_FETCH_UID;
    return OK;
}

enum err imap_cmd_fetch(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_fetch fetch;
    struct uidset uids = { 0 };
    struct imap_fetching f = { .s = s, .cmd = cmd, .fetch = &fetch };
    enum err err;

    TRY(imap_parse_fetch(&cmd->args, &fetch));
    TRY(check(s, cmd, &fetch));
    if (cmd->status == IMAP_REPLY_BAD)
        return OK;
    err = imap_view_resolve(&s->view, &fetch.set, cmd->uid, &s->saved, &uids);
    if (err == ERR_INVALID)
        err = imap_reply_bad(cmd, "No message has that number");
    else if (!uidset_is_empty(&uids))
        err = fetch_uids(&f, &uids);
    if (cmd->silent != NULL) { /* it must outlive this frame */
        struct uidset *marked = ARENA_NEW(&s->arena, struct uidset);

        *marked = uidset_in_arena(&f.marked, &s->arena);
        cmd->silent = marked;
    }
    uidset_fini(&uids);
    uidset_fini(&f.unseen);
    uidset_fini(&f.marked);
    uidset_fini(&f.downgraded);
    imap_message_fini(&f.message);
    buf_fini(&f.scratch);
    return err;
}
