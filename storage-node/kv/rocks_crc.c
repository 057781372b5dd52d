/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/rocks_crc.h"

#include <dlfcn.h>
#include <isa-l/crc.h>

enum { PIECE_MAX = 1 << 30 }; /* ISA-L's lengths are ints */

uint32_t rocks_crc_extend(uint32_t crc, const char *data, size_t len)
{
    uint32_t inverted = ~crc;
    while (len > 0) {
        size_t piece = len < PIECE_MAX ? len : PIECE_MAX;
        /* It only reads, whatever its prototype says. */
        inverted = crc32_iscsi((unsigned char *)(uintptr_t)data, (int)piece, inverted);
        data += piece;
        len -= piece;
    }
    return ~inverted;
}

bool rocks_crc_is_used(void)
{
    return dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm") == (void *)(uintptr_t)rocks_crc_extend;
}
