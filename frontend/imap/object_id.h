/* SPDX-License-Identifier: Apache-2.0 */
/* Object ids as clients see them (RFC 8474): ALPHA, DIGIT, "_" and "-", the first octet saying of what. */
#ifndef FRONTEND_IMAP_OBJECT_ID_H
#define FRONTEND_IMAP_OBJECT_ID_H

#include <inttypes.h>
#include <stdio.h>

#include "lib/store/mailbox.h"

struct imap_object_id {
    char text[28];
};

/* Another UIDVALIDITY, another id (RFC 8474 4.1). */
static inline struct imap_object_id imap_mailbox_id(const struct mailbox *mailbox)
{
    struct imap_object_id id;

    snprintf(id.text, sizeof(id.text), "F%016" PRIx64 "-%" PRIx32, mailbox->id, mailbox->uidvalidity);
    return id;
}

#endif
