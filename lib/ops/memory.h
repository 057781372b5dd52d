/* SPDX-License-Identifier: Apache-2.0 */
/* How much freed memory a program keeps for itself. For main(). */
#ifndef LIB_OPS_MEMORY_H
#define LIB_OPS_MEMORY_H

#include <semaphore.h>
#include <stddef.h>

enum {
    MEMORY_MAPPING_MIN =
        4 << 20,        /* bytes: above pages of rows, chunks, bundles and blocks of write buffers */
    MEMORY_TRIM_S = 60, /* what malloc keeps leaves it so often */
};

/* Pages of mail, write buffers and messages of other programs are taken and given back many times a second.
 * malloc would give their memory back to the kernel each time, which hands zeroed pages out again. Each of
 * malloc's arenas (about one a busy thread) may keep `bytes` from now on. Before there are other threads. */
void memory_keep_freed(size_t bytes);

/* Wait for `end`. Until then, every MEMORY_TRIM_S, all that was freed goes back to the kernel: what was freed
 * in pieces between others, and what is kept, would stay with the process for good after a day's peak. The
 * arenas are locked for that one by one, for milliseconds. */
void memory_tend_until(sem_t *end);

#endif
