/* SPDX-License-Identifier: Apache-2.0 */
/* Where SEARCH finds a message's text: in its summary, else in its header or body. Only for this folder. */
#ifndef STORAGE_NODE_MAILBOX_SEARCH_SEARCH_SOURCE_H
#define STORAGE_NODE_MAILBOX_SEARCH_SEARCH_SOURCE_H

#include "lib/mail/search.h"
#include "lib/mail/summary.h"
#include "lib/mail/text_search.h"
#include "storage-node/mailbox/message/body_reader.h"
#include "storage-node/mailbox/rows/row_walk.h"

/* A key made once for all messages; known by where its text stands in the program. */
struct search_key {
    struct slice text;
    struct text_key *key;
};

struct search_text {
    const struct state *state;
    struct row_walk *summaries;
    struct search_key *keys;
    size_t key_count, key_cap;
    /* of the current message */
    uint32_t uid;
    uint64_t body;
    bool opened;  /* `summary` is set */
    bool whole;   /* `summary` was made anew from the body */
    bool reading; /* `reader` is open */
    struct buf made;
    struct summary summary;
    struct body_reader reader;
    struct buf header;
};

/* The functions to hand to search_eval, with a struct search_text as context. */
extern const struct search_source search_text_source;

void search_text_init(struct search_text *t, const struct state *s, struct row_walk *summaries);
void search_text_fini(struct search_text *t);
/* One message; nothing is read before it is asked for. */
void search_text_begin(struct search_text *t, uint32_t uid, uint64_t body);
void search_text_end(struct search_text *t);
/* Its summary as stored, or made anew if that is of another version. */
MUST_CHECK enum err search_text_summary(struct search_text *t, struct summary *out);

#endif
