/* SPDX-License-Identifier: Apache-2.0 */
/* Logging to stderr, one line an event: "2026-11-21T20:15:03.123Z info smtp: text key=value ...".
 * `area` is the file prefix. User faults are log_info at most; a system fault is logged once, where it was
 * found. Control characters in the text are escaped, so outside bytes cannot forge a line. Thread-safe. */
#ifndef LIB_BASE_LOG_H
#define LIB_BASE_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below `level` are dropped. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_write(enum log_level level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(area, ...)                               \
    do {                                                   \
        if (log_get_level() <= LOG_LEVEL_DEBUG)            \
            log_write(LOG_LEVEL_DEBUG, area, __VA_ARGS__); \
    } while (0)
#define log_info(area, ...)  log_write(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_warn(area, ...)  log_write(LOG_LEVEL_WARN, area, __VA_ARGS__)
#define log_error(area, ...) log_write(LOG_LEVEL_ERROR, area, __VA_ARGS__)

/* Log and end the process with status 1 (a configuration or disk fault nobody may guess around). */
void log_fatal(const char *area, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

/* Log a system fault and return a short reference ("7F3A9C21") for the user's reply, in `ref_out`. */
struct log_ref {
    char text[12];
};
struct log_ref log_fault(const char *area, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
