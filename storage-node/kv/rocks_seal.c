/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/rocks_seal.h"

#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"

static const uint64_t KEY_FACTOR = 0x9e3779b97f4a7c15; /* odd: a key and a value never cancel out */

void seal_make(struct slice key, struct slice value, uint8_t out[static SEAL_SIZE])
{
    uint64_t sum = hash_xxh3(value) + hash_xxh3(key) * KEY_FACTOR;
    for (int i = 0; i < SEAL_SIZE; i++)
        out[i] = (uint8_t)(sum >> 8 * (SEAL_SIZE - 1 - i));
}

enum err seal_open(struct slice key, struct slice stored, struct slice *value_out)
{
    uint8_t seal[SEAL_SIZE];
    if (stored.len >= SEAL_SIZE) {
        *value_out = slice_of(stored.data, stored.len - SEAL_SIZE);
        seal_make(key, *value_out, seal);
        if (memcmp(seal, stored.data + value_out->len, SEAL_SIZE) == 0)
            return OK;
    }
    log_error("kv", "a body does not have its checksum: %zu bytes", stored.len);
    return ERR_CORRUPT;
}
