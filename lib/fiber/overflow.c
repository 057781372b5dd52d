/* SPDX-License-Identifier: Apache-2.0 */
/* A fiber that runs over its stack hits the guard and the process dies of SIGSEGV, as it must. This handler
 * only adds the one line that makes the core dump easy to understand. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/fiber/loop_priv.h"

enum { ALTERNATE_STACK_SIZE = 32 * 1024 };

static void say_overflow(const char *name)
{
    static const char text[] = "fiber: stack overflow in fiber ";
    struct iovec line[] = {
        { .iov_base = (char *)(uintptr_t)text, .iov_len = sizeof text - 1 },
        { .iov_base = (char *)(uintptr_t)name, .iov_len = strlen(name) },
        { .iov_base = (char[]){ '\n' }, .iov_len = 1 },
    };
    ssize_t n = writev(STDERR_FILENO, line, 3);
    (void)n;
}

static void on_segv(int signal, siginfo_t *info, void *context)
{
    const void *low;
    size_t size;
    const char *name;
    if (fiber_current_guard(&low, &size, &name) && (uintptr_t)info->si_addr - (uintptr_t)low < size)
        say_overflow(name);
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigaction(SIGSEGV, &dfl, NULL); /* the access is repeated on return and ends the process */
}

static void install_handler(void)
{
    struct sigaction old;
    if (sigaction(SIGSEGV, NULL, &old) != 0 || (old.sa_flags & SA_SIGINFO) != 0 || old.sa_handler != SIG_DFL)
        return; /* a sanitizer or a debugger's handler knows better */
    struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(SIGSEGV, &sa, NULL);
}

void overflow_watch_start(struct overflow_watch *w)
{
    *w = (struct overflow_watch){ 0 };
    stack_t old;
    if (sigaltstack(NULL, &old) != 0 || (old.ss_flags & SS_DISABLE) == 0)
        return;
    w->alternate_stack = xcalloc(1, ALTERNATE_STACK_SIZE);
    stack_t alternate = { .ss_sp = w->alternate_stack, .ss_size = ALTERNATE_STACK_SIZE };
    sigaltstack(&alternate, NULL);
    install_handler();
}

void overflow_watch_stop(struct overflow_watch *w)
{
    if (w->alternate_stack == NULL)
        return;
    stack_t off = { .ss_flags = SS_DISABLE };
    sigaltstack(&off, NULL);
    free(w->alternate_stack);
    w->alternate_stack = NULL;
}
