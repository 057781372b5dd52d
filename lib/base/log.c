/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/rand.h"

enum { LINE_MAX_BYTES = 1024 };

static _Atomic int level_min = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&level_min, level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&level_min, memory_order_relaxed);
}

static size_t put_prefix(char *line, size_t size, enum log_level level, const char *area)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    int n =
        snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s: ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000, names[level], area);
    return (size_t)n < size ? (size_t)n : size - 1;
}

static void vwrite(enum log_level level, const char *area, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];
    size_t len = put_prefix(line, sizeof line - 2, level, area);
    int n = vsnprintf(line + len, sizeof line - 1 - len, fmt, ap);
    size_t end = len + (size_t)(n < 0 ? 0 : n);
    if (end > sizeof line - 2)
        end = sizeof line - 2;
    for (size_t i = len; i < end; i++) {
        if ((uint8_t)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[end] = '\n';
    /* One write, so that lines of several threads do not mix. Nothing can be done if stderr is gone. */
    ssize_t written = write(STDERR_FILENO, line, end + 1);
    (void)written;
}

void log_write(enum log_level level, const char *area, const char *fmt, ...)
{
    if (level < log_get_level())
        return;
    va_list ap;
    va_start(ap, fmt);
    vwrite(level, area, fmt, ap);
    va_end(ap);
}

void log_fatal(const char *area, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vwrite(LOG_LEVEL_ERROR, area, fmt, ap);
    va_end(ap);
    _exit(1);
}

struct log_ref log_fault(const char *area, const char *fmt, ...)
{
    struct log_ref ref;
    char text[LINE_MAX_BYTES];
    va_list ap;
    snprintf(ref.text, sizeof ref.text, "%08X", (unsigned)rand_u64());
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_write(LOG_LEVEL_ERROR, area, "%s ref=%s", text, ref.text);
    return ref;
}
