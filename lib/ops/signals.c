/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ops/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

enum { SIGNAL_STOP = SIGUSR2 }; /* ends the thread; sent to it alone */

static struct {
    struct signals_handlers handlers;
    pthread_t thread;
    bool running;
} signals;

static void handled_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGNAL_STOP);
}

void signals_block(void)
{
    sigset_t set;
    handled_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void drain(bool *draining)
{
    if (*draining) {
        log_warn("signals", "second signal to end: ending at once");
        _exit(1);
    }
    *draining = true;
    log_info("signals", "draining");
    signals.handlers.on_drain(signals.handlers.arg);
}

static void reload(void)
{
    if (signals.handlers.on_reload == NULL)
        return;
    log_info("signals", "reloading");
    signals.handlers.on_reload(signals.handlers.arg);
}

static void *run(void *arg)
{
    bool draining = false;
    sigset_t set;
    handled_set(&set);
    for (;;) {
        int number = sigwaitinfo(&set, NULL);
        if (number == SIGTERM || number == SIGINT)
            drain(&draining);
        else if (number == SIGHUP)
            reload();
        else if (number == SIGNAL_STOP)
            return NULL;
        /* else: EINTR after SIGSTOP and SIGCONT */
    }
}

enum err signals_start(const struct signals_handlers *handlers)
{
    signals.handlers = *handlers;
    int rc = pthread_create(&signals.thread, NULL, run, NULL);
    if (rc != 0) {
        log_error("signals", "no thread: %s", strerror(rc));
        return ERR_IO;
    }
    pthread_setname_np(signals.thread, "signals");
    signals.running = true;
    return OK;
}

void signals_raise_drain(void)
{
    kill(getpid(), SIGTERM);
}

void signals_stop(void)
{
    if (!signals.running)
        return;
    pthread_kill(signals.thread, SIGNAL_STOP);
    pthread_join(signals.thread, NULL);
    signals.running = false;
}
