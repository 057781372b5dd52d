/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORAGE_NODE_PARTITION_LOST_H
#define STORAGE_NODE_PARTITION_LOST_H

#include "storage-node/kv/kv.h"

/* Some rows of this partition are gone, or older ones have come back, before any worker runs: its copy, if
 * there is one here, is opened as damaged from now on (P9, R28), until it is wiped; what is left of one that
 * was wiped is deleted. For kv_options.on_lost. Synced. ERR_UNSUPPORTED: a later program wrote the
 * folder, nothing is changed; ERR_IO, ERR_NO_SPACE, ERR_CORRUPT. */
MUST_CHECK enum err partition_lost_rows(void *arg, struct kv *kv, uint32_t partition);

#endif
