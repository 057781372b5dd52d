/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/imap/fake_store_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/credential.h"
#include "lib/mail/summary.h"

struct store fake_world;

struct store *fake_store(void)
{
    return &fake_world;
}

struct fake_mailbox *fake_by_id(uint64_t id)
{
    for (size_t i = 0; i < fake_world.count; i++) {
        if (fake_world.mailboxes[i]->m.id == id)
            return fake_world.mailboxes[i];
    }
    return NULL;
}

enum err fake_find(struct mailbox_ref mailbox, struct fake_mailbox **out)
{
    *out = fake_by_id(mailbox.id);
    if (*out == NULL)
        return ERR_NOT_FOUND;
    return (*out)->m.uidvalidity == mailbox.uidvalidity ? OK : ERR_UIDVALIDITY;
}

struct fake_mailbox *fake_by_name(struct slice name)
{
    for (size_t i = 0; i < fake_world.count; i++) {
        if (slice_eq_str(name, fake_world.mailboxes[i]->name))
            return fake_world.mailboxes[i];
    }
    return NULL;
}

struct fake_message *fake_by_uid(struct fake_mailbox *b, uint32_t uid)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->messages[i].uid == uid && !b->messages[i].gone)
            return &b->messages[i];
    }
    return NULL;
}

void fake_changed(struct fake_mailbox *b)
{
    b->m.modseq = fake_world.modseq;
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *w = fake_world.watches[i];

        if (w != NULL && w->mailbox == b->m.id && w->modseq < fake_world.modseq) {
            w->modseq = fake_world.modseq;
            w->fn(fake_world.modseq, w->arg);
        }
    }
}

struct fake_mailbox *fake_mailbox_make(const char *name, uint32_t use)
{
    struct fake_mailbox *b = NEW(struct fake_mailbox);

    assert(fake_world.count < MAILBOXES_MAX);
    b->name = xstrdup(name);
    b->m.id = ++fake_world.next_id;
    b->m.uidvalidity = 1000 + (uint32_t)b->m.id;
    b->m.uidnext = 1;
    b->m.special_use = use;
    b->m.modseq = ++fake_world.modseq;
    fake_world.mailboxes[fake_world.count++] = b;
    return b;
}

void fake_mailbox_drop(size_t i)
{
    struct fake_mailbox *b = fake_world.mailboxes[i];

    for (size_t m = 0; m < b->count; m++) {
        buf_fini(&b->messages[m].body);
        buf_fini(&b->messages[m].summary);
    }
    keyword_table_fini(&b->keywords);
    free(b->name);
    free(b);
    fake_world.mailboxes[i] = fake_world.mailboxes[--fake_world.count];
}

void fake_store_free(void)
{
    while (fake_world.count > 0)
        fake_mailbox_drop(0);
    while (fake_world.subscribed_count > 0)
        free(fake_world.subscribed[--fake_world.subscribed_count]);
    fake_world = (struct store){ 0 };
}

void fake_store_reset(void)
{
    fake_store_free();
    fake_world.page_rows = 3;
    fake_world.page_body_max = 1 << 20;
    fake_mailbox_make("INBOX", 0);
    fake_mailbox_make("Drafts", USE_DRAFTS);
    fake_mailbox_make("Sent", USE_SENT);
    fake_mailbox_make("Trash", USE_TRASH);
}

void fake_set_page(uint32_t rows, uint64_t body_bytes_max)
{
    fake_world.page_rows = rows;
    fake_world.page_body_max = body_bytes_max;
}

void fake_fail_next_write(enum err err)
{
    fake_world.fail = err;
}

enum err fake_failure(void)
{
    enum err err = fake_world.fail;

    fake_world.fail = OK;
    return err;
}

unsigned fake_body_reads(void)
{
    return fake_world.body_reads;
}

struct fake_message *fake_message_add(struct fake_mailbox *b, struct slice body, struct slice summary)
{
    struct fake_message *m = &b->messages[b->count++];

    assert(b->count <= MESSAGES_MAX);
    *m = (struct fake_message){ .uid = b->m.uidnext++,
                                .modseq = ++fake_world.modseq,
                                .body_id = ++fake_world.next_body };
    buf_add_slice(&m->body, body);
    buf_add_slice(&m->summary, summary);
    return m;
}

uint32_t fake_deliver(const char *mailbox, const char *message)
{
    struct fake_mailbox *b = fake_by_name(slice_str(mailbox));
    struct summary_builder *builder = summary_builder_new(SUMMARY_STORED_MAX);
    struct buf summary = { 0 };

    summary_builder_push(builder, slice_str(message));
    summary_builder_finish(builder, &summary);
    summary_builder_free(&builder);
    struct fake_message *m = fake_message_add(b, slice_str(message), buf_slice(&summary));

    buf_fini(&summary);
    m->date_ms = UINT64_C(1700000000000);
    fake_changed(b);
    return m->uid;
}

void fake_flag(const char *mailbox, uint32_t uid, uint32_t flags)
{
    struct fake_mailbox *b = fake_by_name(slice_str(mailbox));
    struct fake_message *m = fake_by_uid(b, uid);

    m->flags = flags;
    m->modseq = ++fake_world.modseq;
    fake_changed(b);
}

void fake_message_gone(struct fake_message *m)
{
    m->gone = true;
    m->modseq = fake_world.modseq;
}

void fake_expunge(const char *mailbox, uint32_t uid)
{
    struct fake_mailbox *b = fake_by_name(slice_str(mailbox));

    fake_world.modseq++;
    fake_message_gone(fake_by_uid(b, uid));
    fake_changed(b);
}

void fake_renew(const char *mailbox)
{
    struct fake_mailbox *b = fake_by_name(slice_str(mailbox));

    b->m.uidvalidity++;
    fake_world.modseq += 1000;
    fake_changed(b);
}

uint32_t fake_flags_of(const char *mailbox, uint32_t uid)
{
    return fake_by_uid(fake_by_name(slice_str(mailbox)), uid)->flags;
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
