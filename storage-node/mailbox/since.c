/* SPDX-License-Identifier: Apache-2.0 */
/* What brought each kind of entry. Whoever adds a method that writes, or an entry of the primary's own,
 * raises MACHINE_VERSION and gives it a row with the new one; without a row it is proposed and applied
 * nowhere. Rows never change. */
#include "storage-node/mailbox/machine.h"

static const struct {
    uint32_t method;
    uint8_t since;
} kinds[] = {
    { METHOD_ACCOUNT_CREATE, 1 }, { METHOD_ACCOUNT_UPDATE, 1 }, { METHOD_ACCOUNT_DELETE, 1 },
    { METHOD_ALIAS_PUT, 1 },      { METHOD_ALIAS_DELETE, 1 },   { METHOD_MAILBOX_CREATE, 1 },
    { METHOD_MAILBOX_DELETE, 1 }, { METHOD_MAILBOX_RENAME, 1 }, { METHOD_MAILBOX_SUBSCRIBE, 1 },
    { METHOD_UPLOAD_CHUNK, 1 },   { METHOD_APPEND, 1 },         { METHOD_DELIVER, 1 },
    { METHOD_STORE_FLAGS, 1 },    { METHOD_EXPUNGE, 1 },        { METHOD_COPY, 1 },
    { METHOD_RECENT_ADVANCE, 1 }, { METHOD_COPY_STAGE, 1 },     { METHOD_COPY_COMMIT, 1 },
    { METHOD_COPY_ABANDON, 1 },   { METHOD_QUEUE_PUT, 1 },      { METHOD_QUEUE_LEASE, 1 },
    { METHOD_QUEUE_REPORT, 1 },   { METHOD_QUEUE_CHANGE, 1 },   { ENTRY_BARRIER, 1 },
    { ENTRY_SWEEP, 1 },           { ENTRY_RECOVER, 1 },         { ENTRY_CHECK, 1 },
    { ENTRY_VERSION, 1 },
};

uint8_t machine_since(uint32_t method)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].method == method)
            return kinds[i].since;
    }
    return 0;
}
