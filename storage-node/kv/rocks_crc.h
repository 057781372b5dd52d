/* SPDX-License-Identifier: Apache-2.0 */
/* CRC32C for RocksDB, computed by ISA-L. Every byte that RocksDB writes to its log or a blob file and every
 * body that it reads goes through rocksdb::crc32c::Extend, which is plain C in Debian's build: 1.3 GB/s where
 * the processor's own instructions do 40, a third of what a FETCH of bodies cost. This function has that
 * name, and the program's definition goes before the library's; where it does not, all works the same,
 * slower.
 *
 * Reading bodies without RocksDB's checksums is no way out: what decompresses a damaged body ends the process
 * by an assertion, and damaged tables would be kept in the block cache as good. */
#ifndef STORAGE_NODE_KV_ROCKS_CRC_H
#define STORAGE_NODE_KV_ROCKS_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The CRC32C (RFC 3720 B.4) of some bytes with checksum `crc` (0: none) and `len` bytes at `data` behind
 * them. Named as g++ names rocksdb::crc32c::Extend(uint32_t, const char *, size_t); seen by the library
 * however the program is compiled. */
uint32_t rocks_crc_extend(uint32_t crc, const char *data,
                          size_t len) __asm__("_ZN7rocksdb6crc32c6ExtendEjPKcm")
    __attribute__((visibility("default")));

/* Has anybody called it? RocksDB has, if it does at all, once a database is open: its manifest is written
 * then. (That the linker finds this definition first says nothing of a library that binds its own within
 * itself.) */
bool rocks_crc_was_called(void);

#endif
