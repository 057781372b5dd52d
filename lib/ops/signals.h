/* SPDX-License-Identifier: Apache-2.0 */
/* Signals become calls on one thread of their own, so handlers may lock, log and post. SIGTERM and SIGINT
 * drain (the second one ends the process at once, status 1), SIGHUP reloads, SIGPIPE is ignored. */
#ifndef LIB_OPS_SIGNALS_H
#define LIB_OPS_SIGNALS_H

#include "lib/base/err.h"

struct signals_handlers {
    void (*on_drain)(void *arg);  /* once */
    void (*on_reload)(void *arg); /* NULL: SIGHUP is ignored */
    void *arg;
};

/* Block the signals above in this and all later threads. First thing in main, before any thread exists. */
void signals_block(void);
/* Start the thread that waits for them. The handlers are copied. */
MUST_CHECK enum err signals_start(const struct signals_handlers *handlers);
/* As if SIGTERM had come (a fault that wants an orderly end). Thread-safe. */
void signals_raise_drain(void);
/* End the thread; signals stay blocked. Not from a handler. */
void signals_stop(void);

#endif
