/* SPDX-License-Identifier: Apache-2.0 */
/* The CURVE keys that this process's stores speak with (lib/rpc/keys.h), for programs that serve no requests
 * themselves. */
#ifndef LIB_STORE_KEYS_H
#define LIB_STORE_KEYS_H

#include "lib/base/err.h"
#include "lib/rpc/role.h"

/* Before the first store_new, at most once: read the keys of `role` in `folder` ("": none), and from now on
 * tell of connections that fail in the handshake. ERR_NOT_FOUND, ERR_INVALID, ERR_IO; all logged. */
MUST_CHECK enum err store_keys_open(const char *folder, enum rpc_role role);
/* Read them again; what is wrong is logged and the old ones stay. Any thread. */
void store_keys_reload(void);

#endif
