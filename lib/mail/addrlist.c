/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the field. Words are gathered into `text` (quoting removed, one blank where there were any),
 * then the character that follows tells what they were:
 *
 *   words "<"   a display name, the address follows        words ":"   the name of a group
 *   words "@"   a local part, the domain follows           words "," ";" or the end: a local part without
 * domain
 *
 * All strings go into one block of the arena (taking quotes and folding out never makes them longer than the
 * field), comments into another one, so that words around a comment stay together. */
#include "lib/mail/addrlist.h"

#include <assert.h>

struct parser {
    struct arena *arena;
    struct addrlist *list;
    const uint8_t *at, *end;
    uint8_t *out, *out_end; /* where strings are put */
    uint8_t *comment_out, *comment_end;
    struct slice comment; /* the last one seen in this element */
    bool in_group;
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void put(struct parser *p, uint8_t c)
{
    assert(p->out < p->out_end);
    *p->out++ = c == '\0' ? '?' : c;
}

/* What was put since `from`, or SLICE_NULL if that is nothing. */
static struct slice taken(const struct parser *p, const uint8_t *from)
{
    return p->out == from ? SLICE_NULL : slice_of(from, (size_t)(p->out - from));
}

/* A comment, nested ones inside it; its text without the outer parentheses. */
static void parse_comment(struct parser *p)
{
    uint8_t *from = p->comment_out;
    unsigned depth = 0;
    for (; p->at < p->end; p->at++) {
        uint8_t c = *p->at;
        if (c == '(' && depth < ADDRLIST_COMMENT_DEPTH) {
            if (depth++ == 0)
                continue;
        } else if (c == ')' && --depth == 0) {
            p->at++;
            break;
        } else if (c == '\\' && p->at + 1 < p->end) {
            c = *++p->at;
        }
        assert(p->comment_out < p->comment_end);
        if (c != '\r' && c != '\n')
            *p->comment_out++ = c == '\0' ? '?' : c;
    }
    struct slice text = slice_trim(slice_of(from, (size_t)(p->comment_out - from)));
    if (text.len > 0)
        p->comment = text;
}

/* Blanks and comments; true if there were any. */
static bool skip_cfws(struct parser *p)
{
    const uint8_t *from = p->at;
    while (p->at < p->end) {
        if (*p->at == '(')
            parse_comment(p);
        else if (is_blank(*p->at))
            p->at++;
        else
            break;
    }
    return p->at > from;
}

static void parse_quoted(struct parser *p)
{
    p->at++;
    while (p->at < p->end && *p->at != '"') {
        if (*p->at == '\\' && p->at + 1 < p->end)
            p->at++;
        if (*p->at != '\r' && *p->at != '\n')
            put(p, *p->at);
        p->at++;
    }
    if (p->at < p->end)
        p->at++;
}

/* Length of an encoded word (RFC 2047 2) at the cursor, 0 if there is none: mail has raw commas inside of
 * them. */
static size_t encoded_word_len(const struct parser *p)
{
    unsigned marks = 0;
    if (p->end - p->at < 2 || p->at[0] != '=' || p->at[1] != '?')
        return 0;
    for (const uint8_t *c = p->at + 2; c + 1 < p->end && !is_blank(*c); c++) {
        if (*c == '?' && marks++ >= 2)
            return c[1] == '=' ? (size_t)(c + 2 - p->at) : 0;
    }
    return 0;
}

static bool ends_word(uint8_t c)
{
    return is_blank(c) || strchr("<>@,;:\"(", c) != NULL;
}

static void parse_atom(struct parser *p)
{
    for (size_t len = encoded_word_len(p); len > 0; len--)
        put(p, *p->at++);
    while (p->at < p->end && (*p->at == '\0' || !ends_word(*p->at)))
        put(p, *p->at++);
}

/* Words up to a special character; SLICE_NULL if there are none. */
static struct slice parse_words(struct parser *p)
{
    uint8_t *from = p->out;
    while (p->at < p->end) {
        bool blank = skip_cfws(p);
        if (p->at == p->end || (*p->at != '\0' && *p->at != '"' && ends_word(*p->at)))
            break;
        if (blank && p->out > from)
            put(p, ' ');
        if (*p->at == '"')
            parse_quoted(p);
        else
            parse_atom(p);
    }
    return taken(p, from);
}

/* Obsolete blanks around the dots of a local part (RFC 5322 4.4) are no part of it. */
static struct slice local_part(struct slice words)
{
    uint8_t *data = (uint8_t *)words.data; /* ours: it is in the arena's block */
    size_t len = 0;
    for (size_t i = 0; i < words.len; i++) {
        bool beside_dot = (len > 0 && data[len - 1] == '.') || (i + 1 < words.len && data[i + 1] == '.');
        if (data[i] != ' ' || !beside_dot)
            data[len++] = data[i];
    }
    return slice_of(words.data == NULL ? (const uint8_t *)"" : words.data, len);
}

/* After "@": atoms, dots and a literal, without blanks and comments. Outside of angle brackets blanks end it
 * unless a dot is near. */
static struct slice parse_domain(struct parser *p, bool angle)
{
    uint8_t *from = p->out;
    do {
        while (p->at < p->end && (*p->at == '\0' || !ends_word(*p->at)))
            put(p, *p->at++);
        if (!skip_cfws(p) || p->at == p->end || ends_word(*p->at))
            break;
    } while (angle || *p->at == '.' || p->out == from || p->out[-1] == '.');
    return slice_of(from, (size_t)(p->out - from));
}

static void add(struct parser *p, struct mail_addr addr)
{
    struct addrlist *list = p->list;
    if (list->count >= ADDRLIST_MAX)
        return;
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 4 : list->cap * 2;
        struct mail_addr *items = ARENA_ARRAY(p->arena, struct mail_addr, cap);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = addr;
}

/* "@a,@b:" of an obsolete route. */
static struct slice parse_route(struct parser *p)
{
    uint8_t *from = p->out;
    while (p->at < p->end && *p->at != ':' && *p->at != '>') {
        if (!is_blank(*p->at))
            put(p, *p->at);
        p->at++;
    }
    if (p->at < p->end && *p->at == ':')
        p->at++;
    return taken(p, from);
}

/* "<...>": lenient about everything in it; ends behind ">" or where the next address seems to begin. */
static void parse_angle(struct parser *p, struct mail_addr *addr)
{
    p->at++;
    skip_cfws(p);
    if (p->at < p->end && *p->at == '@')
        addr->route = parse_route(p);
    addr->mailbox = local_part(parse_words(p));
    addr->host = SLICE_LIT("");
    if (p->at < p->end && *p->at == '@') {
        p->at++;
        addr->host = parse_domain(p, true);
    }
    while (p->at < p->end && *p->at != '>' && *p->at != ',' && *p->at != ';')
        p->at++;
    if (p->at < p->end && *p->at == '>')
        p->at++;
}

/* "local@domain" without angle brackets, which may turn out to be the name before some. */
static void parse_bare(struct parser *p, struct slice words)
{
    struct mail_addr addr = { .mailbox = local_part(words), .host = SLICE_LIT("") };
    if (p->at < p->end && *p->at == '@') {
        p->at++;
        addr.host = parse_domain(p, false);
    }
    skip_cfws(p);
    if (p->at < p->end && *p->at == '<' && addr.mailbox.len > 0) {
        uint8_t *from = p->out;
        for (size_t i = 0; i < addr.mailbox.len; i++)
            put(p, addr.mailbox.data[i]);
        put(p, '@');
        for (size_t i = 0; i < addr.host.len; i++)
            put(p, addr.host.data[i]);
        addr.name = taken(p, from);
        parse_angle(p, &addr);
        add(p, addr);
        return;
    }
    if (addr.mailbox.len == 0 && addr.host.len == 0)
        return;
    addr.name = p->comment;
    add(p, addr);
}

static void end_group(struct parser *p)
{
    if (p->in_group)
        add(p, (struct mail_addr){ 0 });
    p->in_group = false;
}

static void parse_element(struct parser *p)
{
    struct slice words = parse_words(p);
    uint8_t next = p->at < p->end ? *p->at : '\0';
    if (next == '<') {
        struct mail_addr addr = { .name = words };
        parse_angle(p, &addr);
        skip_cfws(p);
        if (addr.name.data == NULL)
            addr.name = p->comment;
        add(p, addr);
    } else if (next == ':') {
        p->at++;
        end_group(p);
        add(p, (struct mail_addr){ .mailbox = words.data == NULL ? SLICE_LIT("") : words });
        p->in_group = true;
    } else {
        parse_bare(p, words);
    }
}

void addrlist_parse(struct arena *arena, struct slice value, struct addrlist *list)
{
    struct parser p = { .arena = arena, .list = list, .at = value.data, .end = value.data + value.len };
    size_t room = value.len * 2 + 1; /* a bare address may be copied to be a name */
    p.out = arena_alloc(arena, room + value.len);
    p.out_end = p.comment_out = p.out + room;
    p.comment_end = p.comment_out + value.len;
    while (p.at < p.end) {
        if (skip_cfws(&p))
            continue;
        if (*p.at == ',' || *p.at == '>') {
            p.at++;
        } else if (*p.at == ';') {
            p.at++;
            end_group(&p);
        } else {
            parse_element(&p);
            p.comment = SLICE_NULL;
        }
    }
    end_group(&p);
}
