/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/search/search_source.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

enum { READ_SIZE = 256 * 1024 };

void search_text_init(struct search_text *t, const struct state *s, struct row_walk *summaries)
{
    *t = (struct search_text){ .state = s, .summaries = summaries };
}

void search_text_fini(struct search_text *t)
{
    for (size_t i = 0; i < t->key_count; i++)
        text_key_free(&t->keys[i].key);
    free(t->keys);
    buf_fini(&t->made);
    buf_fini(&t->header);
}

void search_text_begin(struct search_text *t, uint32_t uid, uint64_t body)
{
    t->uid = uid;
    t->body = body;
    t->opened = false;
    t->whole = false;
    t->reading = false;
}

void search_text_end(struct search_text *t)
{
    if (t->reading)
        body_reader_end(&t->reader);
    t->reading = false;
}

static enum err find_key(struct search_text *t, struct slice text, const struct text_key **out)
{
    for (size_t i = 0; i < t->key_count; i++) {
        if (t->keys[i].text.data == text.data && t->keys[i].text.len == text.len) {
            *out = t->keys[i].key;
            return OK;
        }
    }
    struct text_key *key;
    TRY(text_key_new(text, &key));
    if (t->key_count == t->key_cap) {
        t->key_cap = t->key_cap * 2 + 4;
        t->keys = xrealloc(t->keys, t->key_cap * sizeof *t->keys);
    }
    t->keys[t->key_count++] = (struct search_key){ text, key };
    *out = key;
    return OK;
}

static enum err open_reader(struct search_text *t)
{
    if (t->reading)
        return OK;
    t->reading = true;
    return body_reader_begin(t->state, t->body, &t->reader);
}

/* Scan the whole body: for a summary of another version, or one that had to leave its tree out. */
static enum err make_summary(struct search_text *t)
{
    TRY(open_reader(t));
    struct summary_builder *b = summary_builder_new(SUMMARY_FULL_MAX);
    enum err err = OK;
    for (uint64_t offset = 0; offset < t->reader.row.size && err == OK;) {
        struct slice piece;
        err = body_reader_at(&t->reader, offset, READ_SIZE, &piece);
        if (err != OK)
            break;
        summary_builder_push(b, piece);
        offset += piece.len;
    }
    buf_clear(&t->made);
    if (err == OK)
        summary_builder_finish(b, &t->made);
    summary_builder_free(&b);
    TRY(err);
    t->whole = true;
    return summary_open(buf_slice(&t->made), &t->summary);
}

static enum err open_summary(struct search_text *t)
{
    if (t->opened)
        return OK;
    struct slice value, bytes;
    enum err err = row_walk_to(t->summaries, t->uid, &value);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    if (!summary_row_decode(value, &bytes))
        return ERR_CORRUPT;
    if (summary_open(bytes, &t->summary) != OK)
        TRY(make_summary(t));
    t->opened = true;
    return OK;
}

enum err search_text_summary(struct search_text *t, struct summary *out)
{
    TRY(open_summary(t));
    *out = t->summary;
    return OK;
}

static enum err match_header(void *ctx, struct slice name, struct slice text, bool *match_out)
{
    struct search_text *t = ctx;
    const struct text_key *key;
    TRY(find_key(t, text, &key));
    TRY(open_summary(t));
    buf_clear(&t->header);
    if (!summary_header_fields(&t->summary, &name, 1, &t->header)) {
        TRY(open_reader(t));
        TRY(body_reader_copy(&t->reader, 0, t->summary.header_len, &t->header));
    }
    *match_out = text_key_match_header(key, buf_slice(&t->header), name);
    return OK;
}

static enum err read_body_piece(void *ctx, uint64_t offset, uint64_t len, struct slice *out)
{
    return body_reader_at(&((struct search_text *)ctx)->reader, offset, len, out);
}

static enum err match_scope(struct search_text *t, struct slice text, enum text_scope scope, bool *match_out)
{
    const struct text_key *key;
    TRY(find_key(t, text, &key));
    TRY(open_summary(t));
    TRY(open_reader(t));
    struct text_source source = { t, read_body_piece };
    enum err err = text_search_message(key, &t->summary, scope, &source, match_out);
    if (err != ERR_UNSUPPORTED || t->whole)
        return err;
    TRY(make_summary(t));
    return text_search_message(key, &t->summary, scope, &source, match_out);
}

static enum err match_body(void *ctx, struct slice text, bool *match_out)
{
    return match_scope(ctx, text, TEXT_SCOPE_BODY, match_out);
}

static enum err match_text(void *ctx, struct slice text, bool *match_out)
{
    return match_scope(ctx, text, TEXT_SCOPE_TEXT, match_out);
}

const struct search_source search_text_source = { match_header, match_body, match_text };
