/* SPDX-License-Identifier: Apache-2.0 */
/* What RocksDB could not write, as soon as it knows. The writer that met a failure hears of it, but may be
 * late to say so; and some have no writer: a log that a flush in the background syncs, a pass over the
 * bodies. RocksDB forgives itself most of them: when a disk that was full has room again it writes its
 * buffers out, which takes a while, and until that is done a sync is called a success although what the log
 * lost is nowhere.
 *
 * RocksDB tells listeners of it, but its C interface has none. So the program defines the function through
 * which all of this goes, rocksdb::ErrorHandler::SetBGError, before the library's own, which it calls: as it
 * does for checksums (rocks_crc.h). RocksDB calls it before it goes on in any way. */
#ifndef STORAGE_NODE_KV_ROCKS_FAILURES_H
#define STORAGE_NODE_KV_ROCKS_FAILURES_H

#include <stdbool.h>

#include "lib/base/err.h"

/* As g++ names SetBGError(const Status &, BackgroundErrorReason). */
#define ROCKS_FAILURES_SYMBOL "_ZN7rocksdb12ErrorHandler10SetBGErrorERKNS_6StatusENS_21BackgroundErrorReasonE"

/* That function, its object before its parameters; called by the library however the program is compiled. */
const void *rocks_failures_note(void *handler, const void *status, int reason) __asm__(ROCKS_FAILURES_SYMBOL)
    __attribute__((visibility("default")));

/* How many there were in this process, of whatever database: it has one. Compactions are not among them: they
 * are done again, or stop RocksDB for good and the next writer hears why. */
unsigned rocks_failures_count(void);

/* The newest: ERR_NO_SPACE, ERR_IO or ERR_CORRUPT, and RocksDB's words, cut to fit; OK if there was none. */
enum { ROCKS_FAILURE_TEXT_MAX = 512 };
enum err rocks_failures_newest(char text[ROCKS_FAILURE_TEXT_MAX]);

/* RocksDB has such a function: else nobody but the writers notice. */
bool rocks_failures_are_heard(void);

#endif
