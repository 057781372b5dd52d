/* SPDX-License-Identifier: Apache-2.0 */
/* Plays conversations with sessions that run in this process over a fake store.
 *
 *   "C: a NOOP"            the client sends this line
 *   "C~ abc"               the same without a line end
 *   "S: a OK %"            the next line must be this; '%' stands for anything
 *   "S~ a OK %"            the same, whatever lines come before
 *   "=== B"                from here on, connection B (opened, its greeting read, and logged in at first use)
 *   "=== B raw"            the same without greeting and login
 *   "QUIET"                nothing comes for a while
 *   "CLOSED"               the server hangs up
 *   "DELIVER INBOX"        fake_deliver of a small message
 *   "FLAG INBOX 3 1"       fake_flag
 *   "EXPUNGE INBOX 3"      fake_expunge
 *   "RENEW INBOX"          fake_renew
 *   "MOVE BETWEEN PAGES"   fake_move_between_pages
 *   "ASKED 1"              so often the store was asked for changes since this was last said
 *   "FAIL 26"              fake_fail_next_write (a number of enum err)
 *   "FAIL CHANGES 18"      fake_fail_next_changes
 *   "DRAIN"                stream_cancel_input on every session */
#ifndef TESTS_UNIT_FRONTEND_IMAP_PLAY_H
#define TESTS_UNIT_FRONTEND_IMAP_PLAY_H

#include "frontend/common/context.h"

/* Play one conversation over a fake store that `prepare` (may be NULL) has filled; starts on connection A.
 * Aborts with what differs. */
void play(const char *script);
void play_prepared(void (*prepare)(void), const char *script);
/* To prepare with: three messages like those of DELIVER in INBOX. */
void three_messages(void);
/* The settings of the next play; play resets them afterwards. */
extern struct settings play_settings;

#endif
