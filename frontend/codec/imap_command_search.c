/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of SEARCH: a table of keys, each with the shape of what follows it. */
#include "frontend/codec/imap_codec_priv.h"
#include "lib/mail/utf8.h"

/* One written key may become a NOT below an AND (NEW): the tree is this much deeper than what was written. */
enum { KEY_DEPTH = 3 };

enum key_shape {
    KEY_BARE,
    KEY_FLAG,   /* the flag `arg` is set */
    KEY_UNFLAG, /* it is not */
    KEY_NEW,
    KEY_OLD,
    KEY_KEYWORD,
    KEY_UNKEYWORD,
    KEY_FIELD, /* a string looked for in the field of the key's own name */
    KEY_HEADER,
    KEY_TEXT,
    KEY_DAY,
    KEY_NUMBER,
    KEY_AGE, /* a number above 0 */
    KEY_UID,
    KEY_MODSEQ,
    KEY_OBJECT,
    KEY_NOT,
    KEY_OR,
};

struct key {
    const char *name;
    enum key_shape shape;
    enum search_op op;
    uint32_t arg;
};

static const struct key keys[] = {
    { "ALL", KEY_BARE, SEARCH_ALL, 0 },
    { "ANSWERED", KEY_FLAG, SEARCH_FLAG, MAIL_ANSWERED },
    { "BCC", KEY_FIELD, SEARCH_HEADER, 0 },
    { "BEFORE", KEY_DAY, SEARCH_BEFORE, 0 },
    { "BODY", KEY_TEXT, SEARCH_BODY, 0 },
    { "CC", KEY_FIELD, SEARCH_HEADER, 0 },
    { "DELETED", KEY_FLAG, SEARCH_FLAG, MAIL_DELETED },
    { "DRAFT", KEY_FLAG, SEARCH_FLAG, MAIL_DRAFT },
    { "EMAILID", KEY_OBJECT, SEARCH_EMAILID, 0 },
    { "FLAGGED", KEY_FLAG, SEARCH_FLAG, MAIL_FLAGGED },
    { "FROM", KEY_FIELD, SEARCH_HEADER, 0 },
    { "HEADER", KEY_HEADER, SEARCH_HEADER, 0 },
    { "KEYWORD", KEY_KEYWORD, SEARCH_KEYWORD, 0 },
    { "LARGER", KEY_NUMBER, SEARCH_LARGER, 0 },
    { "MODSEQ", KEY_MODSEQ, SEARCH_MODSEQ, 0 },
    { "NEW", KEY_NEW, SEARCH_AND, 0 },
    { "NOT", KEY_NOT, SEARCH_NOT, 0 },
    { "OLD", KEY_OLD, SEARCH_NOT, 0 },
    { "OLDER", KEY_AGE, SEARCH_OLDER, 0 },
    { "ON", KEY_DAY, SEARCH_ON, 0 },
    { "OR", KEY_OR, SEARCH_OR, 0 },
    { "RECENT", KEY_BARE, SEARCH_RECENT, 0 },
    { "SEEN", KEY_FLAG, SEARCH_FLAG, MAIL_SEEN },
    { "SENTBEFORE", KEY_DAY, SEARCH_SENTBEFORE, 0 },
    { "SENTON", KEY_DAY, SEARCH_SENTON, 0 },
    { "SENTSINCE", KEY_DAY, SEARCH_SENTSINCE, 0 },
    { "SINCE", KEY_DAY, SEARCH_SINCE, 0 },
    { "SMALLER", KEY_NUMBER, SEARCH_SMALLER, 0 },
    { "SUBJECT", KEY_FIELD, SEARCH_HEADER, 0 },
    { "TEXT", KEY_TEXT, SEARCH_TEXT, 0 },
    { "THREADID", KEY_OBJECT, SEARCH_THREADID, 0 },
    { "TO", KEY_FIELD, SEARCH_HEADER, 0 },
    { "UID", KEY_UID, SEARCH_UID_SEQS, 0 },
    { "UNANSWERED", KEY_UNFLAG, SEARCH_NOT, MAIL_ANSWERED },
    { "UNDELETED", KEY_UNFLAG, SEARCH_NOT, MAIL_DELETED },
    { "UNDRAFT", KEY_UNFLAG, SEARCH_NOT, MAIL_DRAFT },
    { "UNFLAGGED", KEY_UNFLAG, SEARCH_NOT, MAIL_FLAGGED },
    { "UNKEYWORD", KEY_UNKEYWORD, SEARCH_NOT, 0 },
    { "UNSEEN", KEY_UNFLAG, SEARCH_NOT, MAIL_SEEN },
    { "YOUNGER", KEY_AGE, SEARCH_YOUNGER, 0 },
};

struct program {
    struct imap_args *args;
    struct imap_search *out;
    unsigned nodes;
    bool ascii_only; /* CHARSET US-ASCII */
};

static enum err parse_key(struct program *p, unsigned depth, struct search_node **out);

static enum err new_node(struct program *p, enum search_op op, struct search_node **out)
{
    if (p->nodes == SEARCH_NODES_MAX)
        return ERR_TOO_BIG;
    p->nodes++;
    *out = search_node_new(p->args->arena, op);
    return OK;
}

static enum err add_node(struct program *p, struct search_node *parent, enum search_op op,
                         struct search_node **out)
{
    TRY(new_node(p, op, out));
    search_node_add(parent, *out);
    return OK;
}

static enum err parse_text(struct program *p, struct slice *out)
{
    struct imap_args *args = p->args;
    size_t from = args->at;
    TRY(imap_args_astring(args, "a string", out));
    if (out->len > SEARCH_TEXT_MAX)
        return ERR_TOO_BIG;
    bool valid = p->ascii_only ? utf8_is_ascii(*out) : utf8_is_valid(*out);
    if (!valid || (out->len > 0 && memchr(out->data, 0, out->len) != NULL)) {
        args->at = from;
        return imap_args_fail(args, p->ascii_only ? "text in US-ASCII" : "text in UTF-8");
    }
    return OK;
}

static enum err parse_keyword(struct program *p, struct search_node *n)
{
    size_t from = p->args->at;
    TRY(imap_args_atom(p->args, "a keyword", &n->text));
    if (keyword_is_valid(n->text))
        return OK;
    p->args->at = from;
    return imap_args_fail(p->args, "a keyword");
}

static enum err parse_number(struct imap_args *args, uint64_t min, struct search_node *n)
{
    size_t from = args->at;
    TRY(imap_args_number(args, INT64_MAX, "a number", &n->number));
    if (n->number >= min)
        return OK;
    args->at = from;
    return imap_args_fail(args, "a number above 0");
}

/* "MODSEQ" [SP entry-name SP entry-type] SP number: the entry is of no interest to a server with one modseq a
 * message. */
static enum err parse_modseq(struct program *p, struct search_node *n)
{
    struct imap_args *args = p->args;
    struct slice entry;
    p->out->uses_modseq = true;
    if (imap_args_peek(args) == '"') {
        TRY(imap_args_string(args, "a metadata entry", &entry));
        TRY(imap_args_space(args));
        if (!imap_args_skip_word(args, "priv") && !imap_args_skip_word(args, "shared") &&
            !imap_args_skip_word(args, "all"))
            return imap_args_fail(args, "priv, shared or all");
        TRY(imap_args_space(args));
    }
    return parse_number(args, 0, n);
}

static enum err parse_set(struct program *p, enum search_op op, struct search_node *n)
{
    struct imap_set set;
    TRY(imap_codec_set(p->args, &set));
    p->out->uses_saved = p->out->uses_saved || set.saved;
    n->op = set.saved ? SEARCH_SAVED : op;
    n->seqs = set.set;
    return OK;
}

/* RECENT UNSEEN */
static enum err make_new(struct program *p, struct search_node *n)
{
    struct search_node *recent, *unseen, *seen;
    TRY(add_node(p, n, SEARCH_RECENT, &recent));
    TRY(add_node(p, n, SEARCH_NOT, &unseen));
    TRY(add_node(p, unseen, SEARCH_FLAG, &seen));
    seen->number = MAIL_SEEN;
    return OK;
}

/* "OR a OR b c", "OR OR a b c": chains of any length become one node, for clients nest them by the dozen. */
static enum err parse_or(struct program *p, unsigned depth, struct search_node *n)
{
    for (unsigned wanted = 2; wanted > 0;) {
        if (imap_args_skip_word(p->args, "OR")) {
            wanted++; /* two in the place of one */
            TRY(imap_args_space(p->args));
            continue;
        }
        struct search_node *child;
        TRY(parse_key(p, depth + 1, &child));
        search_node_add(n, child);
        if (--wanted > 0)
            TRY(imap_args_space(p->args));
    }
    return OK;
}

/* What follows the key's name and its blank. */
static enum err parse_operand(struct program *p, const struct key *key, unsigned depth, struct search_node *n)
{
    struct imap_args *args = p->args;
    struct search_node *child;
    switch (key->shape) {
    case KEY_KEYWORD:
        return parse_keyword(p, n);
    case KEY_UNKEYWORD:
        TRY(add_node(p, n, SEARCH_KEYWORD, &child));
        return parse_keyword(p, child);
    case KEY_FIELD:
        n->name = slice_str(key->name);
        return parse_text(p, &n->text);
    case KEY_HEADER:
        TRY(parse_text(p, &n->name));
        TRY(imap_args_space(args));
        return parse_text(p, &n->text);
    case KEY_TEXT:
        return parse_text(p, &n->text);
    case KEY_DAY:
        return imap_args_day(args, &n->day);
    case KEY_NUMBER:
        return parse_number(args, 0, n);
    case KEY_AGE:
        return parse_number(args, 1, n);
    case KEY_UID:
        return parse_set(p, SEARCH_UID_SEQS, n);
    case KEY_MODSEQ:
        return parse_modseq(p, n);
    case KEY_OBJECT:
        return imap_args_atom(args, "an object id", &n->text);
    case KEY_OR:
        return parse_or(p, depth, n);
    case KEY_NOT:
        TRY(parse_key(p, depth + 1, &child));
        search_node_add(n, child);
        return OK;
    default:
        return ERR_INTERNAL;
    }
}

static enum err parse_named(struct program *p, const struct key *key, unsigned depth, struct search_node *n)
{
    struct search_node *child;
    switch (key->shape) {
    case KEY_BARE:
        return OK;
    case KEY_FLAG:
        n->number = key->arg;
        return OK;
    case KEY_UNFLAG:
        TRY(add_node(p, n, SEARCH_FLAG, &child));
        child->number = key->arg;
        return OK;
    case KEY_NEW:
        return make_new(p, n);
    case KEY_OLD:
        return add_node(p, n, SEARCH_RECENT, &child);
    default:
        TRY(imap_args_space(p->args));
        return parse_operand(p, key, depth, n);
    }
}

/* key *(SP key): what all of them select. */
static enum err parse_keys(struct program *p, unsigned depth, struct search_node **out)
{
    struct search_node *all, *key;
    TRY(new_node(p, SEARCH_AND, &all));
    struct search_node **end = &all->child;
    do {
        TRY(parse_key(p, depth + 1, &key));
        *end = key;
        end = &key->next;
    } while (imap_args_skip(p->args, ' '));
    *out = all->child->next == NULL ? all->child : all;
    return OK;
}

static enum err parse_key(struct program *p, unsigned depth, struct search_node **out)
{
    struct imap_args *args = p->args;
    uint8_t c = imap_args_peek(args);
    if (depth > SEARCH_DEPTH_MAX - KEY_DEPTH)
        return ERR_TOO_BIG;
    if (imap_args_skip(args, '(')) {
        TRY(parse_keys(p, depth, out));
        return imap_args_char(args, ')', "a space or a closing parenthesis");
    }
    if (c == '$' || c == '*' || (c >= '0' && c <= '9')) {
        TRY(new_node(p, SEARCH_SEQS, out));
        return parse_set(p, SEARCH_SEQS, *out);
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (imap_args_skip_word(args, keys[i].name)) {
            TRY(new_node(p, keys[i].op, out));
            return parse_named(p, &keys[i], depth, *out);
        }
    }
    return imap_args_fail(args, "a search key");
}

/* "RETURN (" [option *(SP option)] ")" SP */
static enum err parse_return(struct imap_args *args, struct imap_search *out)
{
    static const struct imap_codec_name names[] = {
        { "MIN", IMAP_SEARCH_MIN },     { "MAX", IMAP_SEARCH_MAX },   { "ALL", IMAP_SEARCH_ALL },
        { "COUNT", IMAP_SEARCH_COUNT }, { "SAVE", IMAP_SEARCH_SAVE }, { NULL, 0 },
    };
    out->has_return = true;
    TRY(imap_args_space(args));
    TRY(imap_args_char(args, '(', "a list of return options"));
    while (!imap_args_skip(args, ')')) {
        if (out->returns != 0)
            TRY(imap_args_space(args));
        if (!imap_codec_skip_name(args, names, &out->returns))
            return imap_args_fail(args, "MIN, MAX, ALL, COUNT or SAVE");
    }
    if (out->returns == 0)
        out->returns = IMAP_SEARCH_ALL;
    return imap_args_space(args);
}

static enum err parse_charset(struct program *p)
{
    struct slice name;
    TRY(imap_args_space(p->args));
    TRY(imap_args_astring(p->args, "a charset", &name));
    TRY(imap_args_space(p->args));
    p->ascii_only = slice_eq_nocase_str(name, "US-ASCII") || slice_eq_nocase_str(name, "ASCII");
    return p->ascii_only || slice_eq_nocase_str(name, "UTF-8") ? OK : ERR_UNSUPPORTED;
}

enum err imap_parse_search(struct imap_args *args, struct imap_search *out)
{
    struct program p = { .args = args, .out = out };
    *out = (struct imap_search){ 0 };
    if (imap_args_skip_word(args, "RETURN"))
        TRY(parse_return(args, out));
    out->has_charset = imap_args_skip_word(args, "CHARSET");
    if (out->has_charset)
        TRY(parse_charset(&p));
    TRY(parse_keys(&p, 0, &out->tree));
    return imap_args_end(args);
}
