/* SPDX-License-Identifier: Apache-2.0 */
/* What POP3 asks of lib/store beside accounts: one INBOX of generated messages and its lock. Linked in place
 * of lib/store's. */
#ifndef TESTS_UNIT_FRONTEND_POP3_FAKE_DROP_H
#define TESTS_UNIT_FRONTEND_POP3_FAKE_DROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct fake_drop {
    uint32_t messages;       /* UIDs 1... */
    uint64_t size;           /* of each; CRLF lines of 64 octets */
    const char *text;        /* or this, of `size` octets */
    bool international;      /* the text is marked as such in its summary */
    unsigned fetches;        /* begun so far */
    unsigned locks, unlocks; /* calls so far */
    unsigned streams;        /* of bodies, so far */
    unsigned lock_ms;        /* how long one takes */
    enum err lock_err, open_err, fetch_err, expunge_err, body_err;
    uint64_t body_err_from; /* offset from which reading fails with body_err */
    size_t expunged;
};
extern struct fake_drop fake_drop;

#endif
