/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/imap/fake_store.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/credential.h"
#include "lib/mail/mailbox_name.h"
#include "lib/mail/search.h"
#include "lib/mail/summary.h"
#include "lib/store/mailbox.h"

enum { MAILBOXES_MAX = 64, MESSAGES_MAX = 512, FAKE_SUBSCRIBED_MAX = 32, WATCHES_MAX = 8 };

struct fake_message {
    uint32_t uid;
    uint64_t modseq, keywords, body_id;
    uint32_t flags;
    uint64_t date_ms;
    int32_t zone;
    struct buf body, summary;
    bool gone; /* expunged at modseq */
};

struct fake_mailbox {
    struct mailbox m;
    char *name;
    struct keyword_table keywords;
    struct fake_message messages[MESSAGES_MAX];
    size_t count;
};

struct watch {
    uint64_t mailbox, modseq;
    watch_fn *fn;
    void *arg;
};

struct store {
    struct fake_mailbox *mailboxes[MAILBOXES_MAX];
    size_t count;
    char *subscribed[FAKE_SUBSCRIBED_MAX];
    size_t subscribed_count;
    struct watch *watches[WATCHES_MAX];
    uint64_t modseq, next_id, next_body;
    uint32_t page_rows;
    uint64_t page_body_max;
    enum err fail;
    unsigned body_reads;
    struct slice shown_keywords[KEYWORDS_MAX];
};

static struct store world;

struct store *fake_store(void)
{
    return &world;
}

/* --- the world --- */

static struct fake_mailbox *by_id(uint64_t id)
{
    for (size_t i = 0; i < world.count; i++) {
        if (world.mailboxes[i]->m.id == id)
            return world.mailboxes[i];
    }
    return NULL;
}

static struct fake_mailbox *by_name(struct slice name)
{
    for (size_t i = 0; i < world.count; i++) {
        if (slice_eq_str(name, world.mailboxes[i]->name))
            return world.mailboxes[i];
    }
    return NULL;
}

static struct fake_message *by_uid(struct fake_mailbox *b, uint32_t uid)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->messages[i].uid == uid && !b->messages[i].gone)
            return &b->messages[i];
    }
    return NULL;
}

static void changed(struct fake_mailbox *b)
{
    b->m.modseq = world.modseq;
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *w = world.watches[i];

        if (w != NULL && w->mailbox == b->m.id && w->modseq < world.modseq) {
            w->modseq = world.modseq;
            w->fn(world.modseq, w->arg);
        }
    }
}

static struct fake_mailbox *make(const char *name, uint32_t use)
{
    struct fake_mailbox *b = NEW(struct fake_mailbox);

    assert(world.count < MAILBOXES_MAX);
    b->name = xstrdup(name);
    b->m.id = ++world.next_id;
    b->m.uidvalidity = 1000 + (uint32_t)b->m.id;
    b->m.uidnext = 1;
    b->m.special_use = use;
    b->m.modseq = ++world.modseq;
    world.mailboxes[world.count++] = b;
    return b;
}

static void drop(size_t i)
{
    struct fake_mailbox *b = world.mailboxes[i];

    for (size_t m = 0; m < b->count; m++) {
        buf_fini(&b->messages[m].body);
        buf_fini(&b->messages[m].summary);
    }
    keyword_table_fini(&b->keywords);
    free(b->name);
    free(b);
    world.mailboxes[i] = world.mailboxes[--world.count];
}

void fake_store_free(void)
{
    while (world.count > 0)
        drop(0);
    while (world.subscribed_count > 0)
        free(world.subscribed[--world.subscribed_count]);
    world = (struct store){ 0 };
}

void fake_store_reset(void)
{
    fake_store_free();
    world.page_rows = 3;
    world.page_body_max = 1 << 20;
    make("INBOX", 0);
    make("Drafts", USE_DRAFTS);
    make("Sent", USE_SENT);
    make("Trash", USE_TRASH);
}

void fake_set_page(uint32_t rows, uint64_t body_bytes_max)
{
    world.page_rows = rows;
    world.page_body_max = body_bytes_max;
}

void fake_fail_next_write(enum err err)
{
    world.fail = err;
}

static enum err failure(void)
{
    enum err err = world.fail;

    world.fail = OK;
    return err;
}

unsigned fake_body_reads(void)
{
    return world.body_reads;
}

static struct fake_message *add(struct fake_mailbox *b, struct slice body, struct slice summary)
{
    struct fake_message *m = &b->messages[b->count++];

    assert(b->count <= MESSAGES_MAX);
    *m = (struct fake_message){ .uid = b->m.uidnext++,
                                .modseq = ++world.modseq,
                                .body_id = ++world.next_body };
    buf_add_slice(&m->body, body);
    buf_add_slice(&m->summary, summary);
    return m;
}

uint32_t fake_deliver(const char *mailbox, const char *message)
{
    struct fake_mailbox *b = by_name(slice_str(mailbox));
    struct summary_builder *builder = summary_builder_new(SUMMARY_STORED_MAX);
    struct buf summary = { 0 };

    summary_builder_push(builder, slice_str(message));
    summary_builder_finish(builder, &summary);
    summary_builder_free(&builder);
    struct fake_message *m = add(b, slice_str(message), buf_slice(&summary));

    buf_fini(&summary);
    m->date_ms = UINT64_C(1700000000000);
    changed(b);
    return m->uid;
}

void fake_flag(const char *mailbox, uint32_t uid, uint32_t flags)
{
    struct fake_mailbox *b = by_name(slice_str(mailbox));
    struct fake_message *m = by_uid(b, uid);

    m->flags = flags;
    m->modseq = ++world.modseq;
    changed(b);
}

static void expunge(struct fake_message *m)
{
    m->gone = true;
    m->modseq = world.modseq;
}

void fake_expunge(const char *mailbox, uint32_t uid)
{
    struct fake_mailbox *b = by_name(slice_str(mailbox));

    world.modseq++;
    expunge(by_uid(b, uid));
    changed(b);
}

uint32_t fake_flags_of(const char *mailbox, uint32_t uid)
{
    return by_uid(by_name(slice_str(mailbox)), uid)->flags;
}

/* --- accounts --- */

struct slice store_cluster_id(const struct store *store)
{
    (void)store;
    return SLICE_LIT("a cluster of one");
}

enum err store_address_lookup(struct store *store, struct slice address, struct arena *arena,
                              struct address_row *out)
{
    static const char salt[] = "0123456789abcdef";
    struct scram_keys keys;

    *out = (struct address_row){ .address = address };
    if (!slice_eq_str(address, "alice@example.test"))
        return ERR_NOT_FOUND;
    enum err err = scram_make_keys(SLICE_LIT("secret"), slice_str(salt), 4096, &keys);

    assert(err == OK);
    out->account = ARENA_NEW(arena, struct account);
    out->account->ref = (struct account_ref){ .id = 7, .home = 1 };
    out->account->address = arena_slice(arena, address);
    out->account->credential = (struct account_credential){
        .scheme = CREDENTIAL_SCRAM_SHA_256,
        .salt = slice_str(salt),
        .iterations = 4096,
        .stored_key = slice_of(arena_memdup(arena, keys.stored_key, 32), 32),
        .server_key = slice_of(arena_memdup(arena, keys.server_key, 32), 32),
        .version = 1,
    };
    return OK;
}

/* --- mailboxes --- */

static struct mailbox show(struct fake_mailbox *b, struct arena *arena)
{
    struct mailbox m = b->m;

    m.name = arena_slice(arena, slice_str(b->name));
    m.messages = m.unseen = m.deleted = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct fake_message *f = &b->messages[i];

        if (f->gone)
            continue;
        m.messages++;
        m.unseen += (f->flags & MAIL_SEEN) == 0;
        m.deleted += (f->flags & MAIL_DELETED) != 0;
        m.size += f->body.len;
    }
    m.keyword_count = b->keywords.count;
    m.keywords = ARENA_ARRAY(arena, struct slice, KEYWORDS_MAX);
    for (unsigned i = 0; i < b->keywords.count; i++)
        m.keywords[i] = slice_str(b->keywords.names[i]);
    return m;
}

enum err store_mailbox_list(struct store *store, struct account_ref account, struct arena *arena,
                            struct mailbox_list *out)
{
    *out = (struct mailbox_list){ .count = store->count, .subscribed_count = store->subscribed_count };
    out->mailboxes = ARENA_ARRAY(arena, struct mailbox, store->count);
    for (size_t i = 0; i < store->count; i++)
        out->mailboxes[i] = show(store->mailboxes[i], arena);
    out->subscribed = ARENA_ARRAY(arena, struct slice, store->subscribed_count);
    for (size_t i = 0; i < store->subscribed_count; i++)
        out->subscribed[i] = slice_str(store->subscribed[i]);
    return OK;
}

enum err store_mailbox_get(struct store *store, struct account_ref account, struct slice name,
                           struct arena *arena, struct mailbox *out)
{
    struct fake_mailbox *b = by_name(name);

    if (b == NULL)
        return ERR_NOT_FOUND;
    *out = show(b, arena);
    return OK;
}

enum err store_mailbox_open(struct store *store, struct account_ref account, struct slice name,
                            struct arena *arena, struct mailbox *out, struct uidset *uids_out,
                            uint32_t *first_unseen_uid_out)
{
    struct fake_mailbox *b = by_name(name);

    TRY(store_mailbox_get(store, account, name, arena, out));
    uidset_clear(uids_out);
    *first_unseen_uid_out = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct fake_message *m = &b->messages[i];

        if (m->gone)
            continue;
        uidset_add(uids_out, m->uid);
        if (*first_unseen_uid_out == 0 && (m->flags & MAIL_SEEN) == 0)
            *first_unseen_uid_out = m->uid;
    }
    return OK;
}

enum err store_mailbox_create(struct store *store, struct account_ref account, struct slice name,
                              uint32_t special_use, struct arena *arena, struct mailbox *out)
{
    TRY(failure());
    if (by_name(name) != NULL)
        return ERR_EXISTS;
    if (mailbox_name_parent(name).len > 0 && by_name(mailbox_name_parent(name)) == NULL)
        TRY(store_mailbox_create(store, account, mailbox_name_parent(name), 0, arena, out));
    char *text = slice_dup(name);

    *out = show(make(text, special_use), arena);
    free(text);
    return OK;
}

enum err store_mailbox_delete(struct store *store, struct account_ref account, struct slice name)
{
    if (mailbox_name_is_inbox(name))
        return ERR_DENIED;
    for (size_t i = 0; i < store->count; i++) {
        if (slice_eq_str(name, store->mailboxes[i]->name)) {
            drop(i);
            return OK;
        }
    }
    return ERR_NOT_FOUND;
}

enum err store_mailbox_rename(struct store *store, struct account_ref account, struct slice from,
                              struct slice to)
{
    struct fake_mailbox *b = by_name(from);

    if (b == NULL)
        return ERR_NOT_FOUND;
    if (by_name(to) != NULL)
        return ERR_EXISTS;
    free(b->name);
    b->name = slice_dup(to);
    return OK;
}

enum err store_mailbox_subscribe(struct store *store, struct account_ref account, struct slice name,
                                 bool subscribed)
{
    for (size_t i = 0; i < store->subscribed_count; i++) {
        if (!slice_eq_str(name, store->subscribed[i]))
            continue;
        if (!subscribed) {
            free(store->subscribed[i]);
            store->subscribed[i] = store->subscribed[--store->subscribed_count];
        }
        return OK;
    }
    if (subscribed) {
        assert(store->subscribed_count < FAKE_SUBSCRIBED_MAX);
        store->subscribed[store->subscribed_count++] = slice_dup(name);
    }
    return OK;
}

void store_recent_advance(struct store *store, struct account_ref account, uint64_t mailbox,
                          uint32_t recent_uid)
{
    struct fake_mailbox *b = by_id(mailbox);

    if (b != NULL && b->m.recent_uid < recent_uid)
        b->m.recent_uid = recent_uid;
}

/* --- bringing in --- */

struct upload {
    struct buf bytes, summary;
};

struct upload *upload_new(struct store *store, const uint32_t *partitions, size_t count)
{
    assert(count == 1 && partitions[0] == 1);
    return NEW(struct upload);
}

enum err upload_write(struct upload *u, struct slice bytes)
{
    buf_add_slice(&u->bytes, bytes);
    return OK;
}

uint64_t upload_size(const struct upload *u)
{
    return u->bytes.len;
}

void upload_finish(struct upload *u, struct slice summary)
{
    buf_add_slice(&u->summary, summary);
}

enum err upload_complete(struct upload *u)
{
    return OK;
}

void upload_free(struct upload **u)
{
    if (*u == NULL)
        return;
    buf_fini(&(*u)->bytes);
    buf_fini(&(*u)->summary);
    free(*u);
    *u = NULL;
}

static enum err mask_of(struct fake_mailbox *b, const struct slice *keywords, size_t count, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned index;

        TRY(keyword_table_add(&b->keywords, keywords[i], &index));
        *out |= UINT64_C(1) << index;
    }
    return OK;
}

enum err store_append(struct store *store, struct account_ref account, uint64_t mailbox,
                      const struct append_message *messages, size_t count, struct arena *arena,
                      struct append_result *out)
{
    struct fake_mailbox *b = by_id(mailbox);
    struct uidset uids = { 0 };

    TRY(failure());
    if (b == NULL)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < count; i++) {
        struct fake_message *m =
            add(b, buf_slice(&messages[i].upload->bytes), buf_slice(&messages[i].upload->summary));

        m->flags = messages[i].flags;
        TRY(mask_of(b, messages[i].keywords, messages[i].keyword_count, &m->keywords));
        m->date_ms = messages[i].internaldate_ms != 0 ? messages[i].internaldate_ms : UINT64_C(1700000000000);
        m->zone = messages[i].internaldate_zone;
        uidset_add(&uids, m->uid);
    }
    *out = (struct append_result){ .uidvalidity = b->m.uidvalidity, .modseq = world.modseq };
    out->uids = uidset_in_arena(&uids, arena);
    uidset_fini(&uids);
    changed(b);
    return OK;
}

/* --- reading --- */

struct fetch {
    struct fetch_options options;
    struct uidset uids;
    bool started;
};

static void row_of(const struct fake_message *m, uint32_t items, struct buf *out)
{
    struct summary s;
    struct row row = {
        .uid = m->uid,
        .modseq = m->modseq,
        .flags = m->flags,
        .keywords = m->keywords,
        .internaldate_ms = m->date_ms,
        .internaldate_zone = m->zone,
        .size = m->body.len,
        .body_id = m->body_id,
        .parts = items,
        .summary = buf_slice(&m->summary),
        .body = buf_slice(&m->body),
    };
    enum err err = summary_open(row.summary, &s);

    assert(err == OK);
    row.header = slice_sub(row.body, 0, (size_t)s.header_len);
    if (m->body.len > world.page_body_max)
        row.parts &= ~(uint32_t)ROW_BODY;
    row_encode(&row, out);
}

struct fetch *fetch_new(struct store *store, const struct fetch_options *options)
{
    struct fetch *f = NEW(struct fetch);

    f->options = *options;
    uidset_copy(options->uids, &f->uids);
    return f;
}

static void page_begin(struct fetch_page *page, struct buf *rows)
{
    size_t len;

    page->priv = buf_detach(rows, &len);
    page->rows = cursor_of(slice_of(page->priv, len));
}

enum err fetch_next(struct fetch *f, struct fetch_page *page_out)
{
    struct fake_mailbox *b = by_id(f->options.mailbox);
    struct buf rows = { 0 };
    uint32_t count = 0;
    size_t i;

    if (b == NULL || (f->started && uidset_is_empty(&f->uids)))
        return ERR_NOT_FOUND;
    f->started = true;
    *page_out = (struct fetch_page){ .modseq = b->m.modseq, .uidnext = b->m.uidnext };
    page_out->keyword_count = b->keywords.count;
    for (i = 0; i < b->count && count < world.page_rows; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->gone || m->modseq <= f->options.changed_since || !uidset_contains(&f->uids, m->uid))
            continue;
        row_of(m, f->options.items, &rows);
        uidset_remove(&f->uids, m->uid);
        count++;
    }
    if (i == b->count)
        uidset_clear(&f->uids);
    page_out->next_uid = uidset_min(&f->uids);
    page_begin(page_out, &rows);
    return OK;
}

void fetch_free(struct fetch **f)
{
    uidset_fini(&(*f)->uids);
    free(*f);
    *f = NULL;
}

bool fetch_page_next(struct fetch_page *page, struct row *out)
{
    return row_next(&page->rows, out) == OK;
}

void fetch_page_fini(struct fetch_page *page)
{
    free(page->priv);
    *page = (struct fetch_page){ 0 };
}

enum err store_body_read(struct store *store, struct account_ref account, uint64_t mailbox, uint32_t uid,
                         uint64_t offset, uint32_t length, struct buf *out)
{
    struct fake_message *m = by_uid(by_id(mailbox), uid);

    world.body_reads++;
    if (m == NULL)
        return ERR_NOT_FOUND;
    buf_add_slice(out, slice_sub(buf_slice(&m->body), offset, offset + length));
    return OK;
}

/* In the order of modseqs, page_rows a page. */
static struct fake_message *next_change(struct fake_mailbox *b, uint64_t since)
{
    struct fake_message *first = NULL;

    for (size_t i = 0; i < b->count; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->modseq > since && (first == NULL || m->modseq < first->modseq))
            first = m;
    }
    return first;
}

enum err store_changes(struct store *store, struct account_ref account, uint64_t mailbox,
                       uint64_t since_modseq, const struct uidset *known_uids, struct arena *arena,
                       struct changes *out)
{
    struct fake_mailbox *b = by_id(mailbox);
    struct fake_message *next;
    struct buf rows = { 0 };
    uint32_t count = 0;

    *out = (struct changes){ .modseq = since_modseq };
    if (b == NULL)
        return ERR_NOT_FOUND;
    while ((next = next_change(b, out->modseq)) != NULL && count++ < world.page_rows) {
        uint64_t modseq = next->modseq; /* several messages may have it */

        for (size_t i = 0; i < b->count; i++) {
            struct fake_message *m = &b->messages[i];

            if (m->modseq == modseq && m->gone)
                uidset_add(&out->vanished, m->uid);
            else if (m->modseq == modseq)
                row_of(m, 0, &rows);
        }
        out->modseq = modseq;
    }
    out->more = next != NULL;
    if (!out->more && b->m.modseq > out->modseq)
        out->modseq = b->m.modseq;
    out->uidnext = b->m.uidnext;
    struct mailbox shown = show(b, arena);

    out->keywords = shown.keywords;
    out->keyword_count = shown.keyword_count;
    page_begin(&out->page, &rows);
    return OK;
}

void changes_fini(struct changes *c)
{
    uidset_fini(&c->vanished);
    fetch_page_fini(&c->page);
}

static enum err no_header(void *ctx, struct slice name, struct slice text, bool *match_out)
{
    *match_out = false;
    return OK;
}

static enum err no_text(void *ctx, struct slice text, bool *match_out)
{
    *match_out = false;
    return OK;
}

enum err store_search(struct store *store, struct account_ref account, uint64_t mailbox, struct slice program,
                      const struct uidset *view_uids, struct uidset *out, uint64_t *max_modseq_out)
{
    static const struct search_source nothing = { no_header, no_text, no_text };
    struct fake_mailbox *b = by_id(mailbox);
    struct arena arena = { 0 };
    struct search_node *tree;

    *max_modseq_out = 0;
    if (b == NULL)
        return ERR_NOT_FOUND;
    TRY(search_decode(program, &arena, &tree));
    search_bind(tree, &b->keywords);
    for (size_t i = 0; i < b->count; i++) {
        const struct fake_message *m = &b->messages[i];
        struct row_email_id id = row_email_id(m->body_id);
        const struct search_message sm = {
            .uid = m->uid,
            .modseq = m->modseq,
            .size = m->body.len,
            .flags = { m->flags, m->keywords },
            .internal_date = { (int64_t)(m->date_ms / 1000), (int16_t)m->zone },
            .email_id = slice_str(id.text),
            .source = &nothing,
        };
        bool match = false;

        if (m->gone || !uidset_contains(view_uids, m->uid) || search_eval(tree, &sm, &match) != OK || !match)
            continue;
        uidset_add(out, m->uid);
        *max_modseq_out = m->modseq > *max_modseq_out ? m->modseq : *max_modseq_out;
    }
    arena_fini(&arena);
    return OK;
}

/* --- changing --- */

static void apply_flags(struct fake_message *m, const struct store_flags_request *r, uint64_t mask)
{
    switch (r->mode) {
    case STORE_MODE_REPLACE:
        m->flags = r->flags;
        m->keywords = mask;
        break;
    case STORE_MODE_ADD:
        m->flags |= r->flags;
        m->keywords |= mask;
        break;
    case STORE_MODE_REMOVE:
        m->flags &= ~r->flags;
        m->keywords &= ~mask;
        break;
    }
}

enum err store_flags(struct store *store, const struct store_flags_request *r, struct arena *arena,
                     struct store_flags_result *out)
{
    struct fake_mailbox *b = by_id(r->mailbox);
    uint64_t mask;

    *out = (struct store_flags_result){ 0 };
    TRY(failure());
    if (b == NULL)
        return ERR_NOT_FOUND;
    TRY(mask_of(b, r->keywords, r->keyword_count, &mask));
    world.modseq++;
    for (size_t i = 0; i < b->count; i++) {
        struct fake_message *m = &b->messages[i];
        uint32_t flags = m->flags;
        uint64_t keywords = m->keywords;

        if (m->gone || !uidset_contains(r->uids, m->uid))
            continue;
        if (r->unchanged_since != NULL && m->modseq > *r->unchanged_since) {
            uidset_add(&out->modified, m->uid);
            continue;
        }
        apply_flags(m, r, mask);
        if (m->flags == flags && m->keywords == keywords)
            continue;
        m->modseq = world.modseq;
        uidset_add(&out->changed, m->uid);
    }
    out->modseq = world.modseq;
    changed(b);
    return OK;
}

void store_flags_result_fini(struct store_flags_result *r)
{
    uidset_fini(&r->changed);
    uidset_fini(&r->modified);
}

enum err store_expunge(struct store *store, struct account_ref account, uint64_t mailbox,
                       const struct uidset *uids, bool only_deleted, struct uidset *vanished_out,
                       uint64_t *modseq_out)
{
    struct fake_mailbox *b = by_id(mailbox);

    TRY(failure());
    if (b == NULL)
        return ERR_NOT_FOUND;
    *modseq_out = ++world.modseq;
    for (size_t i = 0; i < b->count; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->gone || !uidset_contains(uids, m->uid) || (only_deleted && (m->flags & MAIL_DELETED) == 0))
            continue;
        expunge(m);
        uidset_add(vanished_out, m->uid);
    }
    changed(b);
    return OK;
}

enum err store_copy(struct store *store, struct account_ref account, uint64_t from, uint64_t to,
                    const struct uidset *uids, bool move, struct copy_result *out)
{
    struct fake_mailbox *a = by_id(from), *b = by_id(to);
    size_t count = a->count;

    TRY(failure());
    *out = (struct copy_result){ .uidvalidity = b->m.uidvalidity };
    for (size_t i = 0; i < count; i++) {
        struct fake_message *m = &a->messages[i];

        if (m->gone || !uidset_contains(uids, m->uid))
            continue;
        struct fake_message *copy = add(b, buf_slice(&m->body), buf_slice(&m->summary));

        copy->flags = m->flags;
        copy->date_ms = m->date_ms;
        copy->zone = m->zone;
        copy->body_id = m->body_id;
        uidset_add(&out->from, m->uid);
        uidset_add(&out->to, copy->uid);
        if (move)
            expunge(m);
    }
    out->modseq = world.modseq;
    changed(a);
    changed(b);
    return OK;
}

void copy_result_fini(struct copy_result *r)
{
    uidset_fini(&r->from);
    uidset_fini(&r->to);
}

/* --- watching --- */

struct watch *watch_new(struct store *store, struct account_ref account, uint64_t mailbox, uint64_t modseq,
                        watch_fn *fn, void *arg)
{
    struct watch *w = NEW(struct watch);
    size_t i = 0;

    *w = (struct watch){ mailbox, modseq, fn, arg };
    while (i < WATCHES_MAX && world.watches[i] != NULL)
        i++;
    assert(i < WATCHES_MAX);
    world.watches[i] = w;
    return w;
}

void watch_free(struct watch **watch)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        if (world.watches[i] == *watch)
            world.watches[i] = NULL;
    }
    free(*watch);
    *watch = NULL;
}
