/* SPDX-License-Identifier: Apache-2.0 */
/* A search program from the wire: what is decoded can be evaluated and gives the same bytes again. */
#include <assert.h>

#include "lib/mail/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err match_header(void *ctx, struct slice name, struct slice text, bool *match_out)
{
    *match_out = text.len % 2 == 0;
    return OK;
}

static enum err match_body(void *ctx, struct slice text, bool *match_out)
{
    *match_out = text.len % 3 == 0;
    return OK;
}

static void check(struct search_node *tree, struct arena *arena)
{
    static const struct search_source source = { match_header, match_body, match_body };
    struct search_message m = {
        .uid = 7, .modseq = 9, .size = 100, .flags = { 5, 1 }, .has_sent = true, .source = &source
    };
    struct keyword_table none = { 0 };
    struct buf first = { 0 }, second = { 0 };
    struct search_node *again;
    struct uidset bound;
    bool match;
    search_bind(tree, &none);
    assert(search_eval(tree, &m, &match) == OK);
    enum search_verdict v = search_eval_row(tree, &m);
    assert(v == SEARCH_OPEN || (v == SEARCH_YES) == match);
    if (search_uids_bound(tree, &bound) && !uidset_contains(&bound, m.uid))
        assert(!match);
    assert(search_encode(tree, &first) == OK);
    assert(search_decode(buf_slice(&first), arena, &again) == OK);
    assert(search_encode(again, &second) == OK);
    assert(slice_eq(buf_slice(&first), buf_slice(&second)));
    buf_fini(&first);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    struct search_node *tree;
    if (search_decode(slice_of(data, size), &arena, &tree) == OK)
        check(tree, &arena);
    arena_fini(&arena);
    return 0;
}
