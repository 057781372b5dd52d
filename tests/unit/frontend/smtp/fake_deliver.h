/* SPDX-License-Identifier: Apache-2.0 */
/* What SMTP asks of lib/store beside accounts: every delivery is kept here. Linked in place of lib/store's.
 */
#ifndef TESTS_UNIT_FRONTEND_SMTP_FAKE_DELIVER_H
#define TESTS_UNIT_FRONTEND_SMTP_FAKE_DELIVER_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct fake_deliver {
    unsigned count;     /* deliveries */
    struct buf message; /* the newest */
    size_t targets;     /* of the newest */
    enum err status;    /* what each gets */
    enum err write_err; /* what upload_write says */
    unsigned uploads;   /* open now */
};
extern struct fake_deliver fake_deliver;

#endif
