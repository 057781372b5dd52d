/* SPDX-License-Identifier: Apache-2.0 */
/* The wire form of a search tree: a version byte, then nodes in prefix order: the op's byte and what belongs
 * to it. */
#include "lib/mail/search.h"

enum { SEARCH_WIRE_VERSION = 1 };

/* What follows a node's op. */
enum shape {
    SHAPE_INVALID, /* never on the wire */
    SHAPE_BARE,
    SHAPE_MANY,   /* varint count, children */
    SHAPE_ONE,    /* one child */
    SHAPE_NUMBER, /* varint */
    SHAPE_MOMENT, /* 64 bits */
    SHAPE_DAY,    /* 32 bits */
    SHAPE_TEXT,
    SHAPE_NAME_TEXT,
    SHAPE_UIDS,
};

static enum shape shape_of(unsigned op)
{
    static const uint8_t shapes[] = {
        [SEARCH_ALL] = SHAPE_BARE,
        [SEARCH_NONE] = SHAPE_BARE,
        [SEARCH_AND] = SHAPE_MANY,
        [SEARCH_OR] = SHAPE_MANY,
        [SEARCH_NOT] = SHAPE_ONE,
        [SEARCH_FLAG] = SHAPE_NUMBER,
        [SEARCH_KEYWORD] = SHAPE_TEXT,
        [SEARCH_UIDS] = SHAPE_UIDS,
        [SEARCH_BEFORE] = SHAPE_DAY,
        [SEARCH_ON] = SHAPE_DAY,
        [SEARCH_SINCE] = SHAPE_DAY,
        [SEARCH_SENTBEFORE] = SHAPE_DAY,
        [SEARCH_SENTON] = SHAPE_DAY,
        [SEARCH_SENTSINCE] = SHAPE_DAY,
        [SEARCH_LARGER] = SHAPE_NUMBER,
        [SEARCH_SMALLER] = SHAPE_NUMBER,
        [SEARCH_MODSEQ] = SHAPE_NUMBER,
        [SEARCH_HEADER] = SHAPE_NAME_TEXT,
        [SEARCH_BODY] = SHAPE_TEXT,
        [SEARCH_TEXT] = SHAPE_TEXT,
        [SEARCH_ARRIVED_FROM] = SHAPE_MOMENT,
        [SEARCH_ARRIVED_TO] = SHAPE_MOMENT,
        [SEARCH_EMAILID] = SHAPE_TEXT,
        [SEARCH_THREADID] = SHAPE_TEXT,
    };
    return op < sizeof shapes ? shapes[op] : SHAPE_INVALID;
}

/* What is left of the bounds while a tree is read or written. */
struct budget {
    unsigned depth;
    unsigned nodes;
};

static enum err spend(struct budget *b, unsigned depth)
{
    if (depth > b->depth || b->nodes == 0)
        return ERR_TOO_BIG;
    b->nodes--;
    return OK;
}

static unsigned count_children(const struct search_node *n)
{
    unsigned count = 0;
    for (const struct search_node *c = n->child; c != NULL; c = c->next)
        count++;
    return count;
}

static enum err encode_text(struct slice text, struct buf *out)
{
    if (text.len > SEARCH_TEXT_MAX)
        return ERR_TOO_BIG;
    buf_add_varbytes(out, text);
    return OK;
}

static enum err encode(const struct search_node *n, unsigned depth, struct budget *b, struct buf *out)
{
    enum shape shape = shape_of(n->op);
    TRY(spend(b, depth));
    buf_add_byte(out, (uint8_t)n->op);
    switch (shape) {
    case SHAPE_INVALID:
        return ERR_INVALID;
    case SHAPE_BARE:
        return OK;
    case SHAPE_MANY:
        buf_add_varint(out, count_children(n));
        break;
    case SHAPE_ONE:
        if (count_children(n) != 1)
            return ERR_INVALID;
        break;
    case SHAPE_NUMBER:
        buf_add_varint(out, n->number);
        return OK;
    case SHAPE_MOMENT:
        buf_add_be64(out, n->number);
        return OK;
    case SHAPE_DAY:
        buf_add_be32(out, (uint32_t)n->day);
        return OK;
    case SHAPE_NAME_TEXT:
        TRY(encode_text(n->name, out));
        return encode_text(n->text, out);
    case SHAPE_TEXT:
        return encode_text(n->text, out);
    case SHAPE_UIDS:
        if (n->uids.count > UIDSET_RANGES_MAX)
            return ERR_TOO_BIG;
        uidset_encode(&n->uids, out);
        return OK;
    }
    for (const struct search_node *c = n->child; c != NULL; c = c->next)
        TRY(encode(c, depth + 1, b, out));
    return OK;
}

enum err search_encode(const struct search_node *tree, struct buf *out)
{
    struct budget b = { SEARCH_DEPTH_MAX, SEARCH_NODES_MAX };
    size_t before = out->len;
    buf_add_byte(out, SEARCH_WIRE_VERSION);
    enum err err = encode(tree, 1, &b, out);
    if (err == OK && out->len - before > SEARCH_ENCODED_MAX)
        err = ERR_TOO_BIG;
    if (err != OK)
        out->len = before;
    return err;
}

static enum err decode_text(struct cursor *c, struct slice *out)
{
    *out = cursor_varbytes(c);
    if (c->bad)
        return ERR_CORRUPT;
    return out->len > SEARCH_TEXT_MAX ? ERR_TOO_BIG : OK;
}

static enum err decode_uids(struct cursor *c, struct arena *arena, struct uidset *out)
{
    struct uidset uids = { 0 };
    enum err err = uidset_decode(c, &uids);
    if (err == OK)
        *out = uidset_in_arena(&uids, arena);
    uidset_fini(&uids);
    return err;
}

static enum err decode(struct cursor *c, unsigned depth, struct budget *b, struct arena *arena,
                       struct search_node **out);

static enum err decode_children(struct cursor *c, uint64_t count, unsigned depth, struct budget *b,
                                struct arena *arena, struct search_node *parent)
{
    struct search_node **end = &parent->child;
    if (count > SEARCH_NODES_MAX)
        return ERR_TOO_BIG;
    for (uint64_t i = 0; i < count; i++) {
        TRY(decode(c, depth, b, arena, end));
        end = &(*end)->next;
    }
    return OK;
}

/* What follows the op; shortage is seen by the caller in c->bad. */
static enum err decode_content(struct cursor *c, unsigned depth, struct budget *b, struct arena *arena,
                               struct search_node *n)
{
    switch (shape_of(n->op)) {
    case SHAPE_INVALID:
        return ERR_CORRUPT;
    case SHAPE_BARE:
        return OK;
    case SHAPE_MANY:
        return decode_children(c, cursor_varint(c), depth + 1, b, arena, n);
    case SHAPE_ONE:
        return decode_children(c, 1, depth + 1, b, arena, n);
    case SHAPE_NUMBER:
        n->number = cursor_varint(c);
        return OK;
    case SHAPE_MOMENT:
        n->number = cursor_be64(c);
        return OK;
    case SHAPE_DAY:
        n->day = (int32_t)cursor_be32(c);
        return OK;
    case SHAPE_NAME_TEXT:
        TRY(decode_text(c, &n->name));
        return decode_text(c, &n->text);
    case SHAPE_TEXT:
        return decode_text(c, &n->text);
    case SHAPE_UIDS:
        return decode_uids(c, arena, &n->uids);
    }
    return ERR_CORRUPT;
}

static enum err decode(struct cursor *c, unsigned depth, struct budget *b, struct arena *arena,
                       struct search_node **out)
{
    TRY(spend(b, depth));
    uint8_t op = cursor_u8(c);
    if (c->bad)
        return ERR_CORRUPT;
    struct search_node *n = search_node_new(arena, (enum search_op)op);
    TRY(decode_content(c, depth, b, arena, n));
    if (c->bad)
        return ERR_CORRUPT;
    *out = n;
    return OK;
}

enum err search_decode(struct slice bytes, struct arena *arena, struct search_node **out)
{
    struct budget b = { SEARCH_DEPTH_MAX, SEARCH_NODES_MAX };
    struct cursor c = cursor_of(bytes);
    struct search_node *tree = NULL;
    if (bytes.len > SEARCH_ENCODED_MAX)
        return ERR_TOO_BIG;
    if (cursor_u8(&c) != SEARCH_WIRE_VERSION)
        return ERR_CORRUPT;
    TRY(decode(&c, 1, &b, arena, &tree));
    if (!cursor_done(&c))
        return ERR_CORRUPT;
    search_order(tree);
    *out = tree;
    return OK;
}
