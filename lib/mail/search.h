/* SPDX-License-Identifier: Apache-2.0 */
/* The search program of IMAP (RFC 9051 6.4.4, RFC 3501, 5032, 7162, 8474) as a tree: the codec builds it, the
 * session resolves what only it knows (sequence numbers, '$', \Recent, now), the storage node decodes, binds
 * and evaluates it.
 *
 *   front-end:     parse -> search_resolve -> search_encode
 *   storage node:  search_decode -> search_bind -> search_eval for each message
 *
 * Nodes live in an arena and are never freed alone. */
#ifndef LIB_MAIL_SEARCH_H
#define LIB_MAIL_SEARCH_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/mail/date.h"
#include "lib/mail/flags.h"
#include "lib/mail/seqset.h"
#include "lib/mail/uidmap.h"

enum {
    SEARCH_DEPTH_MAX = 32,   /* of nested keys */
    SEARCH_NODES_MAX = 2000, /* keys in one program */
    SEARCH_TEXT_MAX = 4096,  /* octets of one string */
    SEARCH_ENCODED_MAX = 1 << 20,
};

/* Numbers travel on the wire: append only, never reorder. */
enum search_op {
    SEARCH_ALL = 1,
    SEARCH_NONE,       /* matches nothing */
    SEARCH_AND,        /* every child */
    SEARCH_OR,         /* any child */
    SEARCH_NOT,        /* its one child does not match */
    SEARCH_FLAG,       /* all system flags of `number` are set */
    SEARCH_KEYWORD,    /* keyword `text` is set; `number` is its mask once bound */
    SEARCH_UIDS,       /* UID in `uids` */
    SEARCH_BEFORE,     /* internal date's day below `day` */
    SEARCH_ON,         /* ... equal */
    SEARCH_SINCE,      /* ... equal or above */
    SEARCH_SENTBEFORE, /* the same of the Date: field; a message without one matches none of the three */
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_LARGER,  /* size above `number` octets */
    SEARCH_SMALLER, /* size below `number` octets */
    SEARCH_MODSEQ,  /* modseq at least `number` */
    SEARCH_HEADER,  /* field `name` has `text` in it (FROM, TO, CC, BCC, SUBJECT too); empty text: the field
                       exists */
    SEARCH_BODY,    /* `text` in the body's text parts */
    SEARCH_TEXT,    /* `text` in header or body */
    SEARCH_ARRIVED_FROM, /* internal date at or after `number` (int64 seconds): YOUNGER, resolved */
    SEARCH_ARRIVED_TO,   /* internal date at or before `number`: OLDER, resolved */
    SEARCH_EMAILID,      /* object id equals `text` (RFC 8474) */
    SEARCH_THREADID,
    /* The rest exists only until search_resolve and is never encoded. */
    SEARCH_SEQS,     /* sequence number in `seqs` */
    SEARCH_UID_SEQS, /* UID in `seqs` ('*' not yet known) */
    SEARCH_SAVED,    /* "$" (RFC 5182) */
    SEARCH_RECENT,   /* \Recent */
    SEARCH_OLDER,    /* internal date at least `number` seconds ago */
    SEARCH_YOUNGER,  /* ... at most */
};

struct search_node {
    enum search_op op;
    struct search_node *child; /* AND, OR, NOT: the first */
    struct search_node *next;  /* sibling */
    uint64_t number;
    int32_t day;        /* days since 1970-01-01 */
    struct slice name;  /* HEADER: the field's name as written */
    struct slice text;  /* UTF-8 */
    struct uidset uids; /* borrowed from the arena */
    struct seqset seqs;
};

/* A node in the arena, and a child added at the end of AND, OR or NOT. */
struct search_node *search_node_new(struct arena *arena, enum search_op op);
void search_node_add(struct search_node *parent, struct search_node *child);

/* What a session knows and a storage node does not. */
struct search_view {
    const struct uidmap *map;
    const struct uidset *saved;  /* UIDs of '$'; NULL is empty */
    const struct uidset *recent; /* UIDs that are \Recent in this session; NULL is none */
    int64_t now;                 /* seconds since 1970 */
};

/* Turn the session's keys into others, in place; sets go to the arena. Returns ERR_INVALID if a sequence
 * number is beyond the view. */
MUST_CHECK enum err search_resolve(struct search_node *tree, const struct search_view *view,
                                   struct arena *arena, struct search_node **out);

/* Append the wire form of a resolved tree. Returns ERR_TOO_BIG beyond the bounds (nothing is appended),
 * ERR_INVALID if it is not resolved. */
MUST_CHECK enum err search_encode(const struct search_node *tree, struct buf *out);
/* The tree of exactly these bytes, in the arena; texts borrow from `bytes`. Children of AND and OR are put in
 * order of cost. Returns ERR_CORRUPT or ERR_TOO_BIG. */
MUST_CHECK enum err search_decode(struct slice bytes, struct arena *arena, struct search_node **out);

/* Put children in order of cost, cheapest first, order kept among equals (decoding has done it). */
void search_order(struct search_node *tree);
/* Look up keywords in the mailbox's table; unknown ones match nothing. Needed before evaluation. */
void search_bind(struct search_node *tree, const struct keyword_table *table);

/* What the dearest key of a tree needs. */
enum search_cost { SEARCH_COST_ROW, SEARCH_COST_HEADER, SEARCH_COST_BODY };
enum search_cost search_cost_of(const struct search_node *tree);

/* How the dear keys are answered for one message; each is asked only when the cheaper keys left the question
 * open. An error ends the evaluation. */
struct search_source {
    enum err (*match_header)(void *ctx, struct slice name, struct slice text, bool *match_out);
    enum err (*match_body)(void *ctx, struct slice text, bool *match_out); /* BODY */
    enum err (*match_text)(void *ctx, struct slice text, bool *match_out); /* TEXT: header and body */
};

struct search_message {
    uint32_t uid;
    uint64_t modseq;
    uint64_t size;
    struct mail_flags flags;
    struct mail_date internal_date;
    struct mail_date sent; /* Date: field */
    bool has_sent;
    struct slice email_id;
    struct slice thread_id;
    const struct search_source *source;
    void *ctx; /* handed to the source's functions */
};

/* Whether one message matches a resolved and bound tree. Returns what a source function returned if it
 * failed. */
MUST_CHECK enum err search_eval(const struct search_node *tree, const struct search_message *m,
                                bool *match_out);

/* The same from the row alone: source is not used. */
enum search_verdict { SEARCH_NO, SEARCH_YES, SEARCH_OPEN };
enum search_verdict search_eval_row(const struct search_node *tree, const struct search_message *m);

/* The UIDs a matching message must be among, if the tree says so at its top (UID set and the like): lets a
 * scan skip. True and *uids_out (borrowed) if there is one. */
bool search_uids_bound(const struct search_node *tree, struct uidset *uids_out);

#endif
