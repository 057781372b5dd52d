/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/ops/signals.h"

static sem_t drained, reloaded;

static void on_drain(void *arg)
{
    sem_post(&drained);
}

static void on_reload(void *arg)
{
    sem_post(&reloaded);
}

static void wait_for(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static void test_calls(void **state)
{
    struct signals_handlers handlers = { .on_drain = on_drain, .on_reload = on_reload };
    assert_int_equal(signals_start(&handlers), OK);
    kill(getpid(), SIGHUP);
    wait_for(&reloaded);
    kill(getpid(), SIGPIPE); /* ignored */
    signals_raise_drain();
    wait_for(&drained);
    signals_stop();
    signals_stop(); /* harmless */
}

/* The second SIGTERM ends a process that drains for ever. */
static void test_second_ends(void **state)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct signals_handlers handlers = { .on_drain = on_drain };
        if (signals_start(&handlers) != OK)
            _exit(9);
        kill(getpid(), SIGTERM);
        sem_wait(&drained);
        kill(getpid(), SIGTERM);
        sleep(30);
        _exit(9);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    signals_block();
    sem_init(&drained, 0, 0);
    sem_init(&reloaded, 0, 0);
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_calls), cmocka_unit_test(test_second_ends) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
