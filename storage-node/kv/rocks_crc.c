/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/rocks_crc.h"

#include <isa-l/crc.h>
#include <stdatomic.h>

enum { PIECE_MAX = 1 << 30 }; /* ISA-L's lengths are ints */

static atomic_bool called;

uint32_t rocks_crc_extend(uint32_t crc, const char *data, size_t len)
{
    uint32_t inverted = ~crc;
    if (!atomic_load_explicit(&called, memory_order_relaxed)) /* written once: many threads come by */
        atomic_store_explicit(&called, true, memory_order_relaxed);
    while (len > 0) {
        size_t piece = len < PIECE_MAX ? len : PIECE_MAX;
        /* It only reads, whatever its prototype says. */
        inverted = crc32_iscsi((unsigned char *)(uintptr_t)data, (int)piece, inverted);
        data += piece;
        len -= piece;
    }
    return ~inverted;
}

bool rocks_crc_was_called(void)
{
    return atomic_load_explicit(&called, memory_order_relaxed);
}
