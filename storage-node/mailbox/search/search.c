/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH: a page of matching UIDs. What segments know (\Seen, sets of UIDs) is taken from them first. Flags,
 * dates and sizes come from the message's row; headers from the summary where it has them; only what is left
 * reads bodies. */
#include "lib/mail/search.h"

#include "lib/base/clock.h"
#include "lib/mail/row.h"
#include "storage-node/mailbox/method.h"
#include "storage-node/mailbox/rows/row_walk.h"
#include "storage-node/mailbox/search/search_segments.h"
#include "storage-node/mailbox/search/search_source.h"

enum {
    WORK_MS_DEFAULT = 100,
    WORK_MS_MAX = 2000,
    ROWS_BETWEEN_CLOCKS = 256, /* messages that need nothing but their row between two looks at the clock */
};

struct search {
    struct read_ctx *r;
    const Tern__SearchRequest *request;
    struct search_node *tree;
    bool wants_sent; /* some key asks for the Date: field */
    bool exact;      /* the candidates are what is sought */
    struct row_walk messages, summaries;
    struct recovered_row recovered;
    struct search_text text;
    uint64_t deadline_ms;
    struct uidset found;
    uint64_t max_modseq;
};

enum err check_search(const Tern__SearchRequest *request, size_t body_len)
{
    return request->program.len == 0 ? ERR_INVALID : OK;
}

static bool uses_sent(const struct search_node *n)
{
    if (n->op == SEARCH_SENTBEFORE || n->op == SEARCH_SENTON || n->op == SEARCH_SENTSINCE)
        return true;
    for (const struct search_node *child = n->child; child != NULL; child = child->next) {
        if (uses_sent(child))
            return true;
    }
    return false;
}

/* Decode the program and look up its keywords. */
static enum err load_program(struct search *s, uint64_t mailbox)
{
    struct arena *arena = s->r->state.arena;
    enum err err = search_decode(slice_of_binary(s->request->program), arena, &s->tree);
    TRY(err == ERR_CORRUPT ? ERR_INVALID : err);
    s->wants_sent = uses_sent(s->tree);
    struct keywords_row *row = ARENA_NEW(arena, struct keywords_row);
    TRY(state_keywords(&s->r->state, s->request->account, mailbox, row));
    struct keyword_table table = { .names = ARENA_ARRAY(arena, char *, row->count), .count = row->count };
    for (uint8_t i = 0; i < row->count; i++)
        table.names[i] = arena_strdup(arena, row->names[i]);
    search_bind(s->tree, &table);
    return OK;
}

/* The messages to look at: of the session's view, from the page's start on, among those the program names. */
static enum err find_candidates(struct search *s, const struct mailbox_row *mailbox, struct uidset *out)
{
    struct uidset view = { 0 }, narrowed = { 0 }, bound;
    enum err err = uids_of_request(s->request->view_uids, &view);
    if (err == OK && s->request->view_uids.len == 0)
        uidset_add_range(&view, 1, UID_LAST);
    if (err == OK && s->request->from_uid > 1)
        uidset_remove_range(&view, 1, s->request->from_uid - 1);
    if (err == OK && search_uids_bound(s->tree, &bound)) {
        uidset_intersect(&view, &bound, &narrowed);
        uidset_copy(&narrowed, &view);
    }
    if (err == OK)
        err = state_uids_among(&s->r->state, s->request->account, mailbox, &view, out);
    if (err == OK)
        err = search_segments(&s->r->state, s->request->account, mailbox, s->tree, out, &s->exact);
    uidset_fini(&view);
    uidset_fini(&narrowed);
    return err;
}

static enum err load_sent(struct search *s, struct search_message *m)
{
    struct summary summary;
    TRY(search_text_summary(&s->text, &summary));
    m->has_sent = (summary.has & SUMMARY_HAS_DATE) != 0;
    m->sent = summary.sent;
    return OK;
}

static enum err look_at(struct search *s, uint32_t uid)
{
    struct message_row row;
    TRY(row_walk_message(&s->messages, uid, &row));
    search_text_begin(&s->text, uid, row.body);
    struct row_email_id email_id = row_email_id(recovered_body_number(&s->recovered, row.body));
    struct search_message m = {
        .uid = uid,
        .modseq = row.modseq,
        .size = row.size,
        .flags = { row.flags, row.keywords },
        .internal_date = { (int64_t)(row.internaldate_ms / 1000), (int16_t)row.internaldate_zone },
        .email_id = slice_str(email_id.text),
        .source = &search_text_source,
        .ctx = &s->text,
    };
    bool match = false;
    enum err err = s->wants_sent ? load_sent(s, &m) : OK;
    if (err == OK)
        err = search_eval(s->tree, &m, &match);
    search_text_end(&s->text);
    TRY(err);
    if (!match)
        return OK;
    uidset_add(&s->found, uid);
    if (row.modseq > s->max_modseq)
        s->max_modseq = row.modseq;
    return OK;
}

static enum err look_at_all(struct search *s, const struct uidset *uids, uint32_t *next_uid_out)
{
    unsigned between = search_cost_of(s->tree) == SEARCH_COST_ROW && !s->wants_sent ? ROWS_BETWEEN_CLOCKS : 1;
    unsigned count = 0;
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(uids); uidset_next(&it, &uid); count++) {
        /* At least one message a page, or a slow one would stop the search for ever. */
        if (count > 0 && count % between == 0 && clock_mono_ms() >= s->deadline_ms) {
            *next_uid_out = uid;
            return OK;
        }
        TRY(look_at(s, uid));
    }
    return OK;
}

static enum err run(struct search *s, const struct mailbox_row *mailbox, Tern__SearchResponse *response)
{
    struct uidset uids = { 0 };
    enum err err = find_candidates(s, mailbox, &uids);
    if (err == OK && s->exact)
        uidset_copy(&uids, &s->found);
    else if (err == OK && !uidset_is_empty(&uids)) {
        const struct state *state = &s->r->state;
        uint32_t first = uidset_min(&uids), last = uidset_max(&uids);
        row_walk_begin(&s->messages, state, s->request->account, KEY_MESSAGE, mailbox->id, first, last);
        row_walk_begin(&s->summaries, state, s->request->account, KEY_SUMMARY, mailbox->id, first, last);
        search_text_init(&s->text, state, &s->summaries);
        err = look_at_all(s, &uids, &response->next_uid);
        search_text_fini(&s->text);
        row_walk_end(&s->messages);
        row_walk_end(&s->summaries);
    }
    uidset_fini(&uids);
    response->uids = uids_for_response(&s->found, s->r->state.arena);
    response->max_modseq = s->max_modseq;
    uidset_fini(&s->found);
    return err;
}

enum err read_search(struct read_ctx *r, const Tern__SearchRequest *request)
{
    struct counters_row counters;
    struct mailbox_row mailbox;
    TRY(state_counters(&r->state, request->account, &counters));
    TRY(state_mailbox_open(&r->state, request->account, request->mailbox, request->uidvalidity, &mailbox));
    struct search *s = ARENA_NEW(r->state.arena, struct search);
    s->r = r;
    s->request = request;
    uint32_t work_ms = request->work_ms == 0 ? WORK_MS_DEFAULT : request->work_ms;
    s->deadline_ms = clock_mono_ms() + (work_ms > WORK_MS_MAX ? WORK_MS_MAX : work_ms);
    TRY(state_recovered(&r->state, &s->recovered));
    TRY(load_program(s, mailbox.id));
    Tern__SearchResponse response = TERN__SEARCH_RESPONSE__INIT;
    TRY(run(s, &mailbox, &response));
    read_respond(r, &response.base);
    return OK;
}
