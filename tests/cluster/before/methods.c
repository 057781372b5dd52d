/* SPDX-License-Identifier: Apache-2.0 */
/* A list of methods without those that test_upgrade.py takes for new: of each kind some, and some of each
 * protocol that mail comes and goes by. */
#include "proto/methods.h"

bool __real_method_find(uint32_t number, enum method_kind *kind_out);
bool __wrap_method_find(uint32_t number, enum method_kind *kind_out);

static bool is_new(uint32_t number)
{
    switch (number) {
    case METHOD_ACCOUNT_UPDATE:
    case METHOD_MAILBOX_CREATE:
    case METHOD_UPLOAD_CHUNK:
    case METHOD_APPEND:
    case METHOD_DELIVER:
    case METHOD_STORE_FLAGS:
    case METHOD_EXPUNGE:
    case METHOD_COPY:
    case METHOD_SEARCH:
    case METHOD_WATCH:
    case METHOD_LOCK:
    case METHOD_QUEUE_TOTALS:
        return true;
    default:
        return false;
    }
}

bool __wrap_method_find(uint32_t number, enum method_kind *kind_out)
{
    return !is_new(number) && __real_method_find(number, kind_out);
}
