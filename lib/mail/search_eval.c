/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation in two steps: from the row with three values (yes, no, open), and only where that leaves a node
 * open, with the source's help. */
#include "lib/mail/search.h"

static enum search_verdict verdict(bool match)
{
    return match ? SEARCH_YES : SEARCH_NO;
}

static enum search_verdict eval_sent(const struct search_node *n, const struct search_message *m)
{
    if (!m->has_sent)
        return SEARCH_NO;
    int32_t day = mail_date_day(m->sent);
    switch (n->op) {
    case SEARCH_SENTBEFORE:
        return verdict(day < n->day);
    case SEARCH_SENTON:
        return verdict(day == n->day);
    default:
        return verdict(day >= n->day);
    }
}

/* A node without children. */
static enum search_verdict eval_leaf(const struct search_node *n, const struct search_message *m)
{
    switch (n->op) {
    case SEARCH_ALL:
        return SEARCH_YES;
    case SEARCH_FLAG:
        return verdict((m->flags.system & n->number) == n->number);
    case SEARCH_KEYWORD:
        return verdict((m->flags.keywords & n->number) != 0);
    case SEARCH_UIDS:
        return verdict(uidset_contains(&n->uids, m->uid));
    case SEARCH_BEFORE:
        return verdict(mail_date_day(m->internal_date) < n->day);
    case SEARCH_ON:
        return verdict(mail_date_day(m->internal_date) == n->day);
    case SEARCH_SINCE:
        return verdict(mail_date_day(m->internal_date) >= n->day);
    case SEARCH_SENTBEFORE:
    case SEARCH_SENTON:
    case SEARCH_SENTSINCE:
        return eval_sent(n, m);
    case SEARCH_LARGER:
        return verdict(m->size > n->number);
    case SEARCH_SMALLER:
        return verdict(m->size < n->number);
    case SEARCH_MODSEQ:
        return verdict(m->modseq >= n->number);
    case SEARCH_ARRIVED_FROM:
        return verdict(m->internal_date.seconds >= (int64_t)n->number);
    case SEARCH_ARRIVED_TO:
        return verdict(m->internal_date.seconds <= (int64_t)n->number);
    case SEARCH_EMAILID:
        return verdict(slice_eq(n->text, m->email_id));
    case SEARCH_THREADID:
        return verdict(slice_eq(n->text, m->thread_id));
    case SEARCH_HEADER:
    case SEARCH_BODY:
    case SEARCH_TEXT:
        return SEARCH_OPEN;
    default:
        return SEARCH_NO; /* SEARCH_NONE, and session keys that were not resolved */
    }
}

/* AND is decided by one NO, OR by one YES; else an open child leaves it open. */
static enum search_verdict eval_children(const struct search_node *n, const struct search_message *m)
{
    enum search_verdict decisive = n->op == SEARCH_AND ? SEARCH_NO : SEARCH_YES;
    enum search_verdict result = n->op == SEARCH_AND ? SEARCH_YES : SEARCH_NO;
    for (const struct search_node *c = n->child; c != NULL; c = c->next) {
        enum search_verdict of_child = search_eval_row(c, m);
        if (of_child == decisive)
            return decisive;
        if (of_child == SEARCH_OPEN)
            result = SEARCH_OPEN;
    }
    return result;
}

static enum search_verdict negate(enum search_verdict v)
{
    return v == SEARCH_OPEN ? SEARCH_OPEN : verdict(v == SEARCH_NO);
}

enum search_verdict search_eval_row(const struct search_node *tree, const struct search_message *m)
{
    switch (tree->op) {
    case SEARCH_AND:
    case SEARCH_OR:
        return eval_children(tree, m);
    case SEARCH_NOT:
        return negate(search_eval_row(tree->child, m));
    default:
        return eval_leaf(tree, m);
    }
}

/* A node that the row left open. */
static enum err eval_open(const struct search_node *n, const struct search_message *m, bool *match_out)
{
    switch (n->op) {
    case SEARCH_HEADER:
        return m->source->match_header(m->ctx, n->name, n->text, match_out);
    case SEARCH_BODY:
        return m->source->match_body(m->ctx, n->text, match_out);
    case SEARCH_TEXT:
        return m->source->match_text(m->ctx, n->text, match_out);
    case SEARCH_NOT:
        TRY(search_eval(n->child, m, match_out));
        *match_out = !*match_out;
        return OK;
    default:
        break;
    }
    bool decisive = n->op == SEARCH_OR;
    for (const struct search_node *c = n->child; c != NULL; c = c->next) {
        TRY(search_eval(c, m, match_out));
        if (*match_out == decisive)
            return OK;
    }
    *match_out = !decisive;
    return OK;
}

enum err search_eval(const struct search_node *tree, const struct search_message *m, bool *match_out)
{
    enum search_verdict v = search_eval_row(tree, m);
    if (v == SEARCH_OPEN)
        return eval_open(tree, m, match_out);
    *match_out = v == SEARCH_YES;
    return OK;
}
