/* SPDX-License-Identifier: Apache-2.0 */
/* Programs started as root bind their ports and then become a user. */
#ifndef LIB_OPS_PRIVILEGES_H
#define LIB_OPS_PRIVILEGES_H

#include "lib/base/err.h"

/* Whether privileges_drop(user) can work, before anything is bound: ERR_NOT_FOUND (no such user), ERR_DENIED
 * (not root, and not that user). Logged. "" is always fine. */
MUST_CHECK enum err privileges_check(const char *user);
/* Become `user`: supplementary groups, gid, uid, no way back, and no new privileges by exec. "" keeps the
 * caller (but still sets no-new-privileges). Call after ports are bound and before outside bytes are read.
 * Errors as above, ERR_INTERNAL if the kernel refuses. */
MUST_CHECK enum err privileges_drop(const char *user);
/* Give a path (a data folder just made) to `user`; "" does nothing. ERR_NOT_FOUND, ERR_IO; logged. */
MUST_CHECK enum err privileges_own(const char *user, const char *path);

#endif
