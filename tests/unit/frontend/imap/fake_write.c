/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/imap/fake_store_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

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

enum err fake_mask_of(struct fake_mailbox *b, const struct slice *keywords, size_t count, uint64_t *out)
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
    struct fake_mailbox *b = fake_by_id(mailbox);
    struct uidset uids = { 0 };

    TRY(fake_failure());
    if (b == NULL)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < count; i++) {
        struct fake_message *m = fake_message_add(b, buf_slice(&messages[i].upload->bytes),
                                                  buf_slice(&messages[i].upload->summary));

        m->flags = messages[i].flags;
        TRY(fake_mask_of(b, messages[i].keywords, messages[i].keyword_count, &m->keywords));
        m->date_ms = messages[i].internaldate_ms != 0 ? messages[i].internaldate_ms : UINT64_C(1700000000000);
        m->zone = messages[i].internaldate_zone;
        uidset_add(&uids, m->uid);
    }
    *out = (struct append_result){ .uidvalidity = b->m.uidvalidity, .modseq = fake_world.modseq };
    out->uids = uidset_in_arena(&uids, arena);
    uidset_fini(&uids);
    fake_changed(b);
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

static uint32_t flags_timeout_ms; /* outlives a world */

uint32_t fake_flags_timeout_ms(void)
{
    return flags_timeout_ms;
}

enum err store_flags(struct store *store, const struct store_flags_request *r, struct arena *arena,
                     struct store_flags_result *out)
{
    struct fake_mailbox *b;
    uint64_t mask;

    *out = (struct store_flags_result){ .parts = 1 };
    flags_timeout_ms = r->timeout_ms;
    TRY(fake_failure());
    TRY(fake_find(r->mailbox, &b));
    out->before_modseq = b->m.modseq;
    TRY(fake_mask_of(b, r->keywords, r->keyword_count, &mask));
    out->keyword_count = b->keywords.count;
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
        m->modseq = fake_world.modseq + 1;
        out->one_flags = uidset_is_empty(&out->changed) ||
                         (out->one_flags && out->flags == m->flags && out->keyword_mask == m->keywords);
        out->flags = m->flags;
        out->keyword_mask = m->keywords;
        uidset_add(&out->changed, m->uid);
    }
    if (uidset_is_empty(&out->changed))
        return OK;
    out->one_modseq = true;
    out->modseq = ++fake_world.modseq;
    fake_changed(b);
    return OK;
}

void store_flags_result_fini(struct store_flags_result *r)
{
    uidset_fini(&r->changed);
    uidset_fini(&r->modified);
}

enum err store_expunge(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                       const struct uidset *uids, bool only_deleted, const struct store_progress *progress,
                       struct uidset *vanished_out, uint64_t *modseq_out)
{
    struct fake_mailbox *b;

    TRY(fake_failure());
    TRY(fake_find(mailbox, &b));
    *modseq_out = ++fake_world.modseq;
    for (size_t i = 0; i < b->count; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->gone || !uidset_contains(uids, m->uid) || (only_deleted && (m->flags & MAIL_DELETED) == 0))
            continue;
        fake_message_gone(m);
        uidset_add(vanished_out, m->uid);
    }
    fake_changed(b);
    return OK;
}

enum err store_copy(struct store *store, const struct copy_request *r, struct copy_result *out)
{
    struct fake_mailbox *a, *b = fake_by_id(r->to);

    TRY(fake_failure());
    TRY(fake_find(r->from, &a));
    size_t count = a->count;
    *out = (struct copy_result){ .uidvalidity = b->m.uidvalidity };
    for (size_t i = 0; i < count; i++) {
        struct fake_message *m = &a->messages[i];

        if (m->gone || !uidset_contains(r->uids, m->uid))
            continue;
        struct fake_message *copy = fake_message_add(b, buf_slice(&m->body), buf_slice(&m->summary));

        copy->flags = m->flags;
        copy->date_ms = m->date_ms;
        copy->zone = m->zone;
        copy->body_id = m->body_id;
        uidset_add(&out->from, m->uid);
        uidset_add(&out->to, copy->uid);
        if (r->move)
            fake_message_gone(m);
    }
    out->modseq = fake_world.modseq;
    fake_changed(a);
    fake_changed(b);
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
    while (i < WATCHES_MAX && fake_world.watches[i] != NULL)
        i++;
    assert(i < WATCHES_MAX);
    fake_world.watches[i] = w;
    return w;
}

void watch_free(struct watch **watch)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        if (fake_world.watches[i] == *watch)
            fake_world.watches[i] = NULL;
    }
    free(*watch);
    *watch = NULL;
}
