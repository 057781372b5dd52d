/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH and UID SEARCH (RFC 9051 6.4.4; ESEARCH RFC 4731, SEARCHRES RFC 5182, WITHIN RFC 5032, MODSEQ RFC
 * 7162). What only the session knows (numbers, "$", \Recent, now) is resolved here; the storage node looks.
 */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "lib/base/clock.h"

struct searching {
    struct imap_session *s;
    struct imap_command *cmd;
    const struct imap_search *search;
    struct uidset found; /* UIDs */
    uint64_t modseq;     /* highest of the found ones, as far as it is to be told */
};

/* The view's messages above its \Recent floor. */
static void recent_uids(const struct imap_view *v, struct uidset *out)
{
    uidmap_uids(&v->map, out);
    if (v->recent_floor > 0)
        uidset_remove_range(out, 1, v->recent_floor);
}

static enum err run(struct searching *g)
{
    struct imap_session *s = g->s;
    struct uidset view = { 0 }, recent = { 0 };
    struct search_node *resolved;
    struct buf program = { 0 };
    enum err err;

    recent_uids(&s->view, &recent);
    const struct search_view known = {
        .map = &s->view.map,
        .saved = &s->saved,
        .recent = imap_session_rev2(s) ? NULL : &recent,
        .now = (int64_t)(clock_real_ms() / 1000),
    };

    TRY_GOTO(search_resolve(g->search->tree, &known, &s->arena, &resolved), out);
    if (s->view.map.count == 0)
        goto out; /* an empty view would mean: all */
    TRY_GOTO(search_encode(resolved, &program), out);
    uidmap_uids(&s->view.map, &view);
    err = store_search(s->context->store, s->account, s->view.mailbox, buf_slice(&program), &view, &g->found,
                       &g->modseq);
out:
    buf_fini(&program);
    uidset_fini(&view);
    uidset_fini(&recent);
    return err;
}

/* RFC 5182 2.1: with MIN or MAX (and neither ALL nor COUNT) only those are saved. */
static void ends_of(const struct uidset *found, uint32_t returns, struct uidset *out)
{
    uidset_clear(out);
    if (uidset_is_empty(found))
        return;
    if ((returns & IMAP_SEARCH_MIN) != 0)
        uidset_add(out, uidset_min(found));
    if ((returns & IMAP_SEARCH_MAX) != 0 && uidset_max(found) != uidset_max(out))
        uidset_add(out, uidset_max(found));
}

static bool wants_only_ends(uint32_t returns)
{
    return (returns & (IMAP_SEARCH_MIN | IMAP_SEARCH_MAX)) != 0 &&
           (returns & (IMAP_SEARCH_ALL | IMAP_SEARCH_COUNT)) == 0;
}

static void save(struct searching *g)
{
    if (wants_only_ends(g->search->returns))
        ends_of(&g->found, g->search->returns, &g->s->saved);
    else
        uidset_copy(&g->found, &g->s->saved);
}

/* RFC 7162 3.1.5: with MIN or MAX alone, MODSEQ is the highest of those two. */
static enum err modseq_of_ends(struct searching *g)
{
    struct imap_session *s = g->s;
    struct uidset ends = { 0 };
    struct fetch_page page;
    struct row row;
    enum err err;

    ends_of(&g->found, g->search->returns, &ends);
    const struct fetch_options options = { .account = s->account, .mailbox = s->view.mailbox, .uids = &ends };
    struct fetch *fetch = fetch_new(s->context->store, &options);

    g->modseq = 0;
    while ((err = fetch_next(fetch, &page)) == OK) {
        while (fetch_page_next(&page, &row))
            g->modseq = row.modseq > g->modseq ? row.modseq : g->modseq;
        fetch_page_fini(&page);
    }
    fetch_free(&fetch);
    uidset_fini(&ends);
    return err == ERR_NOT_FOUND ? OK : err;
}

static void write_result(struct searching *g)
{
    struct imap_session *s = g->s;
    const struct imap_search *search = g->search;
    struct uidset seqs = { 0 };
    const struct uidset *shown = &g->found;
    uint64_t modseq = uidset_is_empty(&g->found) ? 0 : g->modseq;

    if (!g->cmd->uid) {
        uidmap_seqs_of(&s->view.map, &g->found, &seqs);
        shown = &seqs;
    }
    if (!search->has_return && !imap_session_rev2(s))
        imap_write_search(&s->out, shown, modseq);
    else if (!search->has_return || (search->returns & ~(uint32_t)IMAP_SEARCH_SAVE) != 0)
        imap_write_esearch(&s->out, g->cmd->tag, g->cmd->uid,
                           search->has_return ? search->returns : IMAP_SEARCH_ALL, shown, modseq);
    uidset_fini(&seqs);
}

static enum err answer(struct searching *g)
{
    TRY(run(g));
    if (!g->search->uses_modseq)
        g->modseq = 0;
    else if (wants_only_ends(g->search->returns) && !uidset_is_empty(&g->found))
        TRY(modseq_of_ends(g));
    if ((g->search->returns & IMAP_SEARCH_SAVE) != 0)
        save(g);
    write_result(g);
    return OK;
}

enum err imap_cmd_search(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_search search;
    struct searching g = { .s = s, .cmd = cmd, .search = &search };
    enum err err = imap_parse_search(&cmd->args, &search);

    if (search.has_charset && (s->enabled & IMAP_ENABLE_UTF8_ACCEPT) != 0) /* RFC 6855 3 */
        return imap_reply_bad(cmd, "No CHARSET after UTF8=ACCEPT was enabled");
    if (err == ERR_UNSUPPORTED)
        return imap_reply_no(cmd, "BADCHARSET (US-ASCII UTF-8)", "Charset is not known here");
    if (err == ERR_TOO_BIG)
        return imap_reply_no(cmd, "LIMIT", "Too many or too long search keys");
    TRY(err);
    if (search.uses_modseq)
        imap_condstore_enable(s);
    err = answer(&g);
    if (err == ERR_INVALID)
        err = imap_reply_bad(cmd, "No message has that number");
    else if (err != OK && (search.returns & IMAP_SEARCH_SAVE) != 0)
        uidset_clear(&s->saved); /* RFC 5182 2.1: a SEARCH that fails with NO empties it */
    uidset_fini(&g.found);
    return err;
}
