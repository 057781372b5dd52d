/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies carry a checksum of their own behind their bytes: XXH3 over key and value. RocksDB's CRC32C is
 * computed in plain C in Debian's build and took a third of the time of a FETCH of bodies; with the seal
 * a body is read without it, and nothing that the disk made of it goes unnoticed (P9): the seal
 * covers which key the bytes belong to, too. */
#ifndef STORAGE_NODE_KV_ROCKS_SEAL_H
#define STORAGE_NODE_KV_ROCKS_SEAL_H

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum { SEAL_SIZE = 8 };

/* What stands behind `value`, big-endian. */
void seal_make(struct slice key, struct slice value, uint8_t out[static SEAL_SIZE]);
/* Takes the seal off what was stored. ERR_CORRUPT (logged): it does not fit. */
MUST_CHECK enum err seal_open(struct slice key, struct slice stored, struct slice *value_out);

#endif
