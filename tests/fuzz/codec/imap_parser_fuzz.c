/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's bytes through the parser and each command's arguments through the parser of its family.
 * Pushed at once or byte by byte, the events are the same. The first byte chooses: authenticated, UTF-8
 * names, what to do with messages. */
#include <assert.h>

#include "frontend/codec/imap_command.h"
#include "frontend/codec/imap_parser.h"
#include "frontend/codec/imap_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WITH_LOGIN = 1, WITH_UTF8 = 2, REFUSE = 4, ABORT = 8 };

/* Whatever was accepted as a search can be resolved and sent. */
static void check_search(const struct imap_search *s, struct arena *arena)
{
    struct uidmap map = { 0 };
    struct uidset all = { 0 };
    struct buf wire = { 0 };
    struct search_node *tree;
    uidset_add_range(&all, 1, 100);
    uidmap_load(&map, &all);
    struct search_view view = { &map, &all, NULL, 1000000 };
    if (search_resolve(s->tree, &view, arena, &tree) == OK) {
        assert(search_encode(tree, &wire) == OK);
        assert(search_decode(buf_slice(&wire), arena, &tree) == OK);
    }
    buf_fini(&wire);
    uidset_fini(&all);
    uidmap_fini(&map);
}

/* The name under which a section is answered reads back as the same section. */
static void check_fetch(const struct imap_fetch *f, struct arena *arena)
{
    for (unsigned i = 0; i < f->section_count; i++) {
        struct buf b = { 0 };
        struct imap_fetch again;
        if (f->sections[i].kind == IMAP_SECTION_BODY && !f->sections[i].partial) {
            buf_add_str(&b, "1 ");
            imap_write_section(&b, &f->sections[i]);
            struct imap_args args = imap_args_of(buf_slice(&b), arena, false);
            assert(imap_parse_fetch(&args, &again) == OK && again.section_count == 1);
            assert(again.sections[0].part_count == f->sections[i].part_count);
            assert(again.sections[0].text == f->sections[i].text);
        }
        buf_fini(&b);
    }
}

static enum err parse_by_name(const char *name, struct imap_args *args)
{
    union {
        struct imap_login login;
        struct imap_authenticate authenticate;
        struct imap_id id;
        struct imap_select select;
        struct imap_create create;
        struct imap_rename rename;
        struct imap_status status;
        struct imap_list list;
        struct imap_store store;
        struct imap_copy copy;
        struct imap_set set;
        struct imap_search search;
        struct imap_fetch fetch;
        struct slice mailbox;
        uint32_t bits;
    } u;
    enum err err = OK;
    if (strcmp(name, "LOGIN") == 0) {
        err = imap_parse_login(args, &u.login);
    } else if (strcmp(name, "AUTHENTICATE") == 0) {
        err = imap_parse_authenticate(args, &u.authenticate);
    } else if (strcmp(name, "ENABLE") == 0) {
        err = imap_parse_enable(args, &u.bits);
    } else if (strcmp(name, "ID") == 0) {
        err = imap_parse_id(args, &u.id);
    } else if (strcmp(name, "SELECT") == 0) {
        err = imap_parse_select(args, &u.select);
    } else if (strcmp(name, "CREATE") == 0) {
        err = imap_parse_create(args, &u.create);
    } else if (strcmp(name, "RENAME") == 0) {
        err = imap_parse_rename(args, &u.rename);
    } else if (strcmp(name, "DELETE") == 0) {
        err = imap_parse_mailbox(args, &u.mailbox);
    } else if (strcmp(name, "STATUS") == 0) {
        err = imap_parse_status(args, &u.status);
    } else if (strcmp(name, "LIST") == 0) {
        err = imap_parse_list(args, &u.list);
        for (unsigned i = 0; err == OK && i < u.list.pattern_count; i++)
            (void)imap_list_pattern(&u.list, i, args->arena);
    } else if (strcmp(name, "LSUB") == 0) {
        err = imap_parse_lsub(args, &u.list);
    } else if (strcmp(name, "STORE") == 0) {
        err = imap_parse_store(args, &u.store);
    } else if (strcmp(name, "COPY") == 0) {
        err = imap_parse_copy(args, &u.copy);
    } else if (strcmp(name, "EXPUNGE") == 0) {
        err = imap_parse_uid_expunge(args, &u.set);
    } else if (strcmp(name, "SEARCH") == 0) {
        err = imap_parse_search(args, &u.search);
        if (err == OK)
            check_search(&u.search, args->arena);
    } else if (strcmp(name, "FETCH") == 0) {
        err = imap_parse_fetch(args, &u.fetch);
        if (err == OK)
            check_fetch(&u.fetch, args->arena);
    }
    return err;
}

static void check_args(const struct imap_event *e, bool utf8)
{
    struct arena arena = { 0 };
    struct imap_append append;
    struct imap_args args = imap_args_of(e->args, &arena, utf8);
    enum err err = e->type == IMAP_EVENT_APPEND ? imap_parse_append(&args, e->first, &append)
                                                : parse_by_name(e->name, &args);
    if (err == ERR_SYNTAX) {
        struct buf text = { 0 };
        imap_args_explain(&args, &text);
        for (size_t i = 0; i < text.len; i++)
            assert(text.data[i] >= 0x20 && text.data[i] < 0x7f);
        buf_fini(&text);
    }
    assert(arena.used_total < 16 << 20);
    arena_fini(&arena);
}

/* All events, the cuts of message data apart. */
static void add_event(struct buf *trace, const struct imap_event *e)
{
    if (e->type != IMAP_EVENT_APPEND_DATA)
        buf_addf(trace, "\n%d %.*s %s %d %d %llu ", e->type, SLICE_FMT(e->tag), e->name, e->uid, e->close,
                 (unsigned long long)e->size);
    buf_add_slice(trace, e->args);
    buf_add_slice(trace, e->data);
    if (e->text != NULL)
        buf_add_str(trace, e->text);
}

static void run(struct slice input, unsigned mode, size_t step, struct buf *trace)
{
    struct imap_parser p;
    struct imap_event e;
    imap_parser_init(&p);
    if ((mode & WITH_LOGIN) != 0)
        imap_parser_set_authenticated(&p);
    for (size_t at = 0; at < input.len; at += step) {
        imap_parser_push(&p, slice_sub(input, at, at + step));
        while (imap_parser_next(&p, &e), e.type != IMAP_EVENT_NEED_MORE) {
            add_event(trace, &e);
            if (step > 1 && (e.type == IMAP_EVENT_COMMAND || e.type == IMAP_EVENT_APPEND))
                check_args(&e, (mode & WITH_UTF8) != 0);
            if (e.type == IMAP_EVENT_APPEND && (mode & REFUSE) != 0)
                imap_parser_refuse(&p);
            else if (e.type == IMAP_EVENT_APPEND)
                imap_parser_accept(&p);
            if (e.type == IMAP_EVENT_APPEND_END && (mode & ABORT) != 0)
                imap_parser_abort(&p);
            if (e.type == IMAP_EVENT_COMMAND && strcmp(e.name, "IDLE") == 0)
                imap_parser_expect_line(&p);
        }
        assert(imap_parser_pending(&p) <= 1); /* a CR behind a message waits for its LF */
    }
    imap_parser_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = { 0 }, bytewise = { 0 };
    if (size == 0)
        return 0;
    struct slice input = slice_of(data + 1, size - 1);
    run(input, data[0], size, &whole);
    run(input, data[0], 1, &bytewise);
    /* With NUL in a message, the data before it may or may not have been delivered when the message fails. */
    if (memchr(input.data, 0, input.len) == NULL)
        assert(slice_eq(buf_slice(&whole), buf_slice(&bytewise)));
    buf_fini(&whole);
    buf_fini(&bytewise);
    return 0;
}
