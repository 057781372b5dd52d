/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fake store share: its world, and how mailboxes and messages in it are found and made.
 */
#ifndef TESTS_UNIT_FRONTEND_IMAP_FAKE_STORE_PRIV_H
#define TESTS_UNIT_FRONTEND_IMAP_FAKE_STORE_PRIV_H

#include "lib/mail/flags.h"
#include "lib/mail/mailbox_name.h"
#include "lib/store/mailbox.h"
#include "tests/unit/frontend/imap/fake_store.h"

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
    uint64_t floor; /* what had vanished by then is not listed */
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
    enum err fail, fail_changes;
    unsigned body_reads, changes_asked;
    bool move_between_pages;
    struct slice shown_keywords[KEYWORDS_MAX];
};

extern struct store fake_world;

/* NULL: there is none. */
struct fake_mailbox *fake_by_id(uint64_t id);
/* The same for one life of a mailbox: ERR_NOT_FOUND, ERR_UIDVALIDITY. */
enum err fake_find(struct mailbox_ref mailbox, struct fake_mailbox **out);
struct fake_mailbox *fake_by_name(struct slice name);
struct fake_message *fake_by_uid(struct fake_mailbox *b, uint32_t uid);

struct fake_mailbox *fake_mailbox_make(const char *name, uint32_t use);
void fake_mailbox_drop(size_t i);
/* As lib/store shows it, in the arena. */
struct mailbox fake_mailbox_show(struct fake_mailbox *b, struct arena *arena);

struct fake_message *fake_message_add(struct fake_mailbox *b, struct slice body, struct slice summary);
void fake_message_gone(struct fake_message *m);
/* The bits of keywords, which enter the mailbox's table. */
enum err fake_mask_of(struct fake_mailbox *b, const struct slice *keywords, size_t count, uint64_t *out);

/* Tell those who watch that the mailbox has come to the world's modseq. */
void fake_changed(struct fake_mailbox *b);
/* What fake_fail_next_write has set, once. */
enum err fake_failure(void);

#endif
