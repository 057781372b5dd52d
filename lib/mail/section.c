/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/section.h"

/* The tree is walked in preorder; `part` is where the walk stands, its children come next. */
struct walk {
    struct summary_parts it;
    struct summary_part part;
};

static enum err step(struct walk *w)
{
    return summary_parts_next(&w->it, &w->part) ? OK : ERR_CORRUPT;
}

/* From a multipart to its child `number`, from 1. */
static enum err go_to_child(struct walk *w, uint32_t number)
{
    if (number == 0 || number > w->part.child_count)
        return ERR_NOT_FOUND;
    TRY(step(w));
    for (uint32_t i = 1; i < number; i++) {
        uint64_t pending = w->part.child_count;
        for (; pending > 0; pending--) {
            TRY(step(w));
            pending += w->part.child_count;
        }
        TRY(step(w));
    }
    return OK;
}

/* From the root of a message to its part `number`: a message that is no multipart has one part, its body (RFC
 * 9051 6.4.5.1: "every message has at least one part number"). */
static enum err go_from_root(struct walk *w, uint32_t number)
{
    if (w->part.kind == MIME_MULTIPART)
        return go_to_child(w, number);
    return number == 1 ? OK : ERR_NOT_FOUND;
}

static enum err go_to_part(struct walk *w, const uint32_t *path, size_t depth)
{
    for (size_t i = 0; i < depth; i++) {
        if (i == 0) {
            TRY(go_from_root(w, path[i]));
        } else if (w->part.kind == MIME_MULTIPART) {
            TRY(go_to_child(w, path[i]));
        } else if (w->part.kind == MIME_MESSAGE) {
            TRY(step(w));
            TRY(go_from_root(w, path[i]));
        } else {
            return ERR_NOT_FOUND;
        }
    }
    return OK;
}

static struct section header_of(const struct summary_part *part)
{
    return (struct section){ .offset = part->header_offset, .len = part->header_len };
}

static struct section body_of(const struct summary_part *part)
{
    return (struct section){ .offset = part->header_offset + part->header_len, .len = part->body_len };
}

static enum err section_of_message(const struct summary *s, enum section_kind kind, struct section *out)
{
    switch (kind) {
    case SECTION_BODY:
        *out = (struct section){ .offset = 0, .len = s->size };
        return OK;
    case SECTION_HEADER:
    case SECTION_HEADER_FIELDS:
    case SECTION_HEADER_FIELDS_NOT:
        *out = (struct section){ .offset = 0, .len = s->header_len };
        return OK;
    case SECTION_TEXT:
        *out = (struct section){ .offset = s->header_len, .len = s->size - s->header_len };
        return OK;
    case SECTION_MIME:
        break;
    }
    return ERR_NOT_FOUND;
}

static enum err section_of_part(struct walk *w, enum section_kind kind, struct section *out)
{
    if (kind == SECTION_MIME) {
        *out = header_of(&w->part);
        return OK;
    }
    if (kind == SECTION_BODY) {
        *out = body_of(&w->part);
        if (w->part.kind == MIME_LEAF)
            out->encoding = decode_kind_of(w->part.encoding);
        return OK;
    }
    if (w->part.kind != MIME_MESSAGE)
        return ERR_NOT_FOUND;
    TRY(step(w));
    *out = kind == SECTION_TEXT ? body_of(&w->part) : header_of(&w->part);
    return OK;
}

enum err section_resolve(const struct summary *s, const uint32_t *path, size_t depth, enum section_kind kind,
                         struct section *out)
{
    *out = (struct section){ 0 };
    if (depth == 0)
        return section_of_message(s, kind, out);
    struct walk w;
    if (summary_parts_start(s, &w.it) != OK)
        return ERR_UNSUPPORTED;
    TRY(step(&w));
    TRY(go_to_part(&w, path, depth));
    TRY(section_of_part(&w, kind, out));
    if (out->offset > s->size || out->len > s->size - out->offset)
        return ERR_CORRUPT;
    return OK;
}
