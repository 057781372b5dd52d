/* SPDX-License-Identifier: Apache-2.0 */
/* lib/store made of memory, for tests of sessions: linked in its place. One account ("alice@example.test",
 * password "secret"), no yields, and small pages so that paging is exercised. Text keys of SEARCH match
 * nothing. */
#ifndef TESTS_UNIT_FRONTEND_IMAP_FAKE_STORE_H
#define TESTS_UNIT_FRONTEND_IMAP_FAKE_STORE_H

#include "lib/store/message.h"

/* Begin anew: INBOX, Drafts, Sent, Trash with their marks. */
void fake_store_reset(void);
void fake_store_free(void);
struct store *fake_store(void);

/* What another session or a delivery does. Names must exist. */
uint32_t fake_deliver(const char *mailbox, const char *message);
void fake_flag(const char *mailbox, uint32_t uid, uint32_t flags);
void fake_expunge(const char *mailbox, uint32_t uid);
uint32_t fake_flags_of(const char *mailbox, uint32_t uid);
/* The mailbox goes on from an older copy: its messages are the same, its UIDVALIDITY is not. */
void fake_renew(const char *mailbox);
/* Let the next write fail with this error. */
void fake_fail_next_write(enum err err);
/* The same for the next question for changes. */
void fake_fail_next_changes(enum err err);
/* Behind the next page of changes that is not the last, a large move takes away what it told of. */
void fake_move_between_pages(void);
/* How often bodies were read piece by piece, and FETCH pages were asked for with a body. */
unsigned fake_body_reads(void);
/* How long the last change of flags would have been tried; 0: as usual. */
uint32_t fake_flags_timeout_ms(void);
/* How often changes were asked for since this was last called. */
unsigned fake_changes_asked(void);

/* Rows a page, 3 at first; messages larger than this stay out of pages. */
void fake_set_page(uint32_t rows, uint64_t body_bytes_max);

#endif
