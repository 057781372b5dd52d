/* SPDX-License-Identifier: Apache-2.0 */
/* LIST (RFC 9051 6.3.9, 5258, 5819, 6154), LSUB (RFC 3501 6.3.9), NAMESPACE (RFC 2342). */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "frontend/imap/list_names.h"

static uint32_t attributes_of(const struct imap_list *list, const struct imap_list_name *n)
{
    uint32_t attributes = n->has_children ? IMAP_ATTR_HASCHILDREN : IMAP_ATTR_HASNOCHILDREN;

    if (n->mailbox == NULL)
        attributes |= IMAP_ATTR_NONEXISTENT;
    else if (n->mailbox->noselect)
        attributes |= IMAP_ATTR_NOSELECT;
    if (n->subscribed &&
        ((list->select & IMAP_LIST_SUBSCRIBED) != 0 || (list->returns & IMAP_LIST_RETURN_SUBSCRIBED) != 0))
        attributes |= IMAP_ATTR_SUBSCRIBED;
    return attributes;
}

/* Whether a name that matches a pattern is chosen by the selection options; *below_out: what it is for is to
 * say that there are subscribed names below it (RECURSIVEMATCH). */
static bool is_chosen(const struct imap_list *list, const struct imap_list_name *n, bool *below_out)
{
    bool recursive = (list->select & IMAP_LIST_RECURSIVEMATCH) != 0;
    uint32_t use = n->mailbox == NULL ? 0 : n->mailbox->special_use;

    *below_out = recursive && (n->subscribed ? n->subscribed_below : n->hidden_below);
    if ((list->select & IMAP_LIST_SPECIAL_USE) != 0 && use == 0)
        return false;
    if ((list->select & IMAP_LIST_SUBSCRIBED) != 0)
        return n->subscribed || *below_out;
    return n->mailbox != NULL;
}

static enum err list_one(struct imap_session *s, const struct imap_list *list, const struct imap_list_name *n)
{
    struct imap_list_row row = { .name = n->name, .attributes = attributes_of(list, n) };

    if (!n->matches || !is_chosen(list, n, &row.childinfo_subscribed))
        return OK;
    if (n->mailbox != NULL)
        row.use = n->mailbox->special_use;
    imap_write_list(&s->out, &row, imap_session_utf8(s));
    if ((list->returns & IMAP_LIST_RETURN_STATUS) != 0 && n->mailbox != NULL && !n->mailbox->noselect)
        TRY(imap_status_write(s, n->mailbox, list->status_items));
    return OK;
}

/* RFC 3501 6.3.9: a name that is not subscribed itself is told with \Noselect where '%' hides subscribed ones
 * below. */
static void lsub_one(struct imap_session *s, const struct imap_list_name *n)
{
    struct imap_list_row row = { .lsub = true, .name = n->name };

    if (!n->matches || (!n->subscribed && !n->hidden_below))
        return;
    if (!n->subscribed)
        row.attributes = IMAP_ATTR_NOSELECT;
    imap_write_list(&s->out, &row, imap_session_utf8(s));
}

/* The patterns with the reference before them; empty ones are answered here: they ask for the separator. */
static struct slice *patterns_of(struct imap_session *s, const struct imap_list *list, bool lsub,
                                 size_t *count_out)
{
    struct slice *patterns = ARENA_ARRAY(&s->arena, struct slice, list->pattern_count);
    size_t count = 0;

    for (unsigned i = 0; i < list->pattern_count; i++) {
        if (list->patterns[i].len == 0) {
            struct imap_list_row row = { .lsub = lsub, .attributes = IMAP_ATTR_NOSELECT };

            imap_write_list(&s->out, &row, imap_session_utf8(s));
        } else
            patterns[count++] = imap_list_pattern(list, i, &s->arena);
    }
    *count_out = count;
    return patterns;
}

static enum err answer(struct imap_session *s, const struct imap_list *list, bool lsub)
{
    struct mailbox_list mailboxes;
    size_t pattern_count;
    struct slice *patterns = patterns_of(s, list, lsub, &pattern_count);

    if (pattern_count == 0)
        return OK;
    TRY(store_mailbox_list(s->context->store, s->account, &s->arena, &mailboxes));
    struct imap_list_names all = imap_list_names_of(&mailboxes, patterns, pattern_count, &s->arena);

    for (size_t i = 0; i < all.count; i++) {
        if (lsub)
            lsub_one(s, &all.names[i]);
        else
            TRY(list_one(s, list, &all.names[i]));
        imap_session_relieve(s);
    }
    return OK;
}

enum err imap_cmd_list(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_list list;

    TRY(imap_parse_list(&cmd->args, &list));
    if ((list.returns & IMAP_LIST_RETURN_STATUS) != 0 && (list.status_items & IMAP_STATUS_HIGHESTMODSEQ) != 0)
        imap_condstore_enable(s);
    return answer(s, &list, false);
}

enum err imap_cmd_lsub(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_list list;

    TRY(imap_parse_lsub(&cmd->args, &list));
    return answer(s, &list, true);
}

enum err imap_cmd_namespace(struct imap_session *s, struct imap_command *cmd)
{
    TRY(imap_parse_none(&cmd->args));
    buf_add_str(&s->out, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return OK;
}
