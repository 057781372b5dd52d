/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ops/memory.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"

void memory_keep_freed(size_t bytes)
{
    mallopt(M_MMAP_THRESHOLD, MEMORY_MAPPING_MIN);
    mallopt(M_TRIM_THRESHOLD, bytes < INT_MAX ? (int)bytes : INT_MAX);
}

static void give_back(void)
{
    uint64_t began = clock_mono_ns();
    malloc_trim(0);
    log_debug("memory", "freed memory went back to the kernel in %llu us",
              (unsigned long long)((clock_mono_ns() - began) / 1000));
}

static bool comes_within(sem_t *event, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    while (sem_clockwait(event, CLOCK_MONOTONIC, &until) != 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

void memory_tend_until(sem_t *end)
{
    while (!comes_within(end, MEMORY_TRIM_S))
        give_back();
}
