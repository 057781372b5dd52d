/* SPDX-License-Identifier: Apache-2.0 */
/* What SMTP asks of lib/store beside accounts: every delivery is kept here. Linked in place of lib/store's.
 */
#ifndef TESTS_UNIT_FRONTEND_SMTP_FAKE_DELIVER_H
#define TESTS_UNIT_FRONTEND_SMTP_FAKE_DELIVER_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct fake_deliver {
    unsigned count;       /* deliveries */
    struct buf message;   /* the newest */
    size_t targets;       /* of the newest */
    enum err status;      /* what each gets */
    enum err write_err;   /* what upload_write says */
    unsigned uploads;     /* open now */
    size_t failing_from;  /* targets from here on get `status`, those before OK */
    unsigned resolved;    /* addresses asked for */
    enum err resolve_err; /* what each is told, but for OK */
    unsigned suspected;   /* partitions told to be away */
    bool large;           /* no message travels with its delivery */
    bool home_away;       /* every partition is known to be away */
    uint32_t wait_ms;     /* what the newest upload was told */
    unsigned queued;      /* queue_puts ... */
    size_t queued_recipients;
    enum err queue_err;      /* ... and what each gets */
    struct buf queued_paths; /* of the newest: "a@x b@x " */
    uint8_t queued_id;       /* the first octet of its delivery id */
};
extern struct fake_deliver fake_deliver;

#endif
