/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers on a real loop: spawning, waking, timeouts, conditions, hooks, posts, the thread pool. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/fiber/cond.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/timer.h"
#include "lib/fiber/work.h"

#if defined(__SANITIZE_THREAD__)
enum { MANY = 2000 }; /* ThreadSanitizer follows at most 8,000 threads and fibers */
#else
enum { MANY = 10000 };
#endif

static struct loop *loop;

static int setup(void **state)
{
    (void)state;
    return loop_new(&loop) != OK;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&loop);
    return 0;
}

static void spawn(void (*fn)(void *), void *arg)
{
    assert_int_equal(fiber_spawn(loop, "test", fn, arg), OK);
}

/* --- many --- */

static size_t finished;

static void touch_and_sleep(void *arg)
{
    volatile char local[1024];
    memset((char *)local, (int)(intptr_t)arg, sizeof local);
    fiber_sleep_ms((uintptr_t)arg % 50);
    fiber_yield();
    assert_int_equal((unsigned char)local[777], (unsigned char)(intptr_t)arg);
    if (++finished == MANY)
        loop_stop(loop);
}

static void ten_thousand_at_once(void **state)
{
    (void)state;
    finished = 0;
    for (size_t i = 0; i < MANY; i++)
        spawn(touch_and_sleep, (void *)i);
    loop_set_fiber_max(loop, MANY);
    assert_int_equal(fiber_spawn(loop, "one too many", touch_and_sleep, NULL), ERR_LIMIT);
    loop_run(loop);
    assert_int_equal(finished, MANY);
    struct loop_stats stats = loop_get_stats(loop);
    assert_int_equal(stats.fibers, 0);
    assert_int_equal(stats.fibers_max_seen, MANY);
    assert_true(stats.stacks_cached <= FIBER_STACKS_CACHED_MAX);
}

/* --- wakes and timeouts --- */

static void wake_before_suspend(void *arg)
{
    fiber_wake(fiber_self());
    fiber_wake(fiber_self());
    fiber_suspend();                                                         /* returns at once */
    assert_int_equal(fiber_suspend_until(loop_deadline_ms(5)), ERR_TIMEOUT); /* one wake, not two */
    fiber_wake(fiber_self());
    uint64_t before_ms = loop_now_ms();
    fiber_sleep_ms(20); /* a sleep is not ended by a wake, and keeps it */
    assert_true(loop_now_ms() >= before_ms + 20);
    assert_int_equal(fiber_suspend_until(0), OK);
    assert_int_equal(fiber_suspend_until(0), ERR_TIMEOUT);
    *(bool *)arg = true;
    loop_stop(loop);
}

static void a_wake_is_remembered_once(void **state)
{
    (void)state;
    bool done = false;
    spawn(wake_before_suspend, &done);
    loop_run(loop);
    assert_true(done);
}

/* Deadlines and wakes that fall on the same millisecond, a thousand times: nothing is lost, nothing hangs. */
struct race {
    struct fiber *waiter;
    bool waiter_done;
    unsigned woken, timed_out;
};

static void race_waiter(void *arg)
{
    struct race *race = arg;
    race->waiter = fiber_self();
    for (int i = 0; i < 300; i++) {
        if (fiber_suspend_until(loop_deadline_ms(1)) == OK)
            race->woken++;
        else
            race->timed_out++;
    }
    race->waiter_done = true;
}

static void race_waker(void *arg)
{
    struct race *race = arg;
    for (unsigned i = 0; !race->waiter_done; i++) {
        fiber_wake(race->waiter);
        if (i % 3 == 0)
            fiber_yield();
        else
            fiber_sleep_ms(i % 4);
    }
    loop_stop(loop);
}

static void wakes_race_with_timeouts(void **state)
{
    (void)state;
    struct race race = { 0 };
    spawn(race_waiter, &race);
    spawn(race_waker, &race);
    loop_run(loop);
    assert_int_equal(race.woken + race.timed_out, 300);
    assert_true(race.woken > 0 && race.timed_out > 0);
}

/* However late the loop comes to them: whose deadline is earlier wakes first. */
enum { SLEEPERS = 30, HELD_UP_MS = SLEEPERS + 20 };

static uint64_t begun_ms;
static unsigned last_ms;

static void sleeper(void *arg)
{
    unsigned ms = (unsigned)(uintptr_t)arg;
    assert_int_equal(fiber_suspend_until(begun_ms + ms), ERR_TIMEOUT);
    assert_int_equal(ms, last_ms + 1);
    last_ms = ms;
    if (ms == SLEEPERS)
        loop_stop(loop);
}

static void hold_up(void *arg)
{
    (void)arg;
    usleep(HELD_UP_MS * 1000);
}

static void late_sleepers_wake_in_their_order(void **state)
{
    (void)state;
    last_ms = 0;
    begun_ms = loop_now_ms();
    for (uintptr_t ms = SLEEPERS; ms > 0; ms--)
        spawn(sleeper, (void *)ms);
    spawn(hold_up, NULL);
    loop_run(loop);
    assert_int_equal(last_ms, SLEEPERS);
}

/* --- cond --- */

struct shared {
    struct cond cond;
    int order[3], arrived;
    bool timed_out;
};
struct shared_waiter {
    struct shared *shared;
    int id;
};

static void cond_waiter(void *arg)
{
    struct shared_waiter *w = arg;
    assert_int_equal(cond_wait(&w->shared->cond, DEADLINE_NEVER), OK);
    w->shared->order[w->shared->arrived++] = w->id;
}

static void cond_impatient(void *arg)
{
    struct shared *shared = arg;
    shared->timed_out = cond_wait(&shared->cond, loop_deadline_ms(5)) == ERR_TIMEOUT;
}

static void cond_signaller(void *arg)
{
    struct shared *shared = arg;
    fiber_sleep_ms(20); /* the impatient one, in the middle of the line, has left */
    assert_true(shared->timed_out);
    cond_signal(&shared->cond);
    fiber_yield();
    assert_int_equal(shared->arrived, 1);
    cond_broadcast(&shared->cond);
    fiber_yield();
    assert_int_equal(shared->arrived, 3);
    assert_false(cond_has_waiters(&shared->cond));
    cond_signal(&shared->cond); /* nobody there: no effect */
    loop_stop(loop);
}

static void cond_wakes_in_order(void **state)
{
    (void)state;
    struct shared shared = { 0 };
    struct shared_waiter waiters[3] = { { &shared, 0 }, { &shared, 1 }, { &shared, 2 } };
    spawn(cond_waiter, &waiters[0]);
    spawn(cond_impatient, &shared);
    spawn(cond_waiter, &waiters[1]);
    spawn(cond_waiter, &waiters[2]);
    spawn(cond_signaller, &shared);
    loop_run(loop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(shared.order[i], i);
}

/* --- hooks --- */

struct source {
    struct loop_hook hook;
    unsigned left;
    struct fiber *reader;
    unsigned seen;
};

static bool drain_one(void *arg)
{
    struct source *source = arg;
    if (source->left == 0)
        return false;
    source->left--;
    fiber_wake(source->reader);
    return source->left > 0;
}

static void source_reader(void *arg)
{
    struct source *source = arg;
    source->reader = fiber_self();
    loop_hook_add(loop, &source->hook, drain_one, source);
    while (source->seen < 100) {
        fiber_suspend();
        source->seen++;
    }
    loop_hook_remove(&source->hook);
    loop_hook_remove(&source->hook);
    loop_stop(loop);
}

static void a_hook_with_input_left_gets_the_next_turn_at_once(void **state)
{
    (void)state;
    struct source source = { .left = 100 };
    spawn(source_reader, &source);
    loop_run(loop);                                 /* would hang if the loop went to sleep */
    assert_true(loop_get_stats(loop).turns <= 110); /* and not because something else wakes it */
    assert_int_equal(source.left, 0);
}

/* --- posts --- */

enum { POSTERS = 4, POSTS = 2000 };
static unsigned posted; /* only touched on the loop's thread */

static void count_post(void *arg)
{
    (void)arg;
    if (++posted == POSTERS * POSTS)
        loop_stop(loop);
}

static void *poster(void *arg)
{
    (void)arg;
    for (int i = 0; i < POSTS; i++)
        loop_post(loop, count_post, NULL);
    return NULL;
}

static void posts_from_other_threads(void **state)
{
    (void)state;
    posted = 0;
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, poster, NULL), 0);
    loop_run(loop);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(posted, POSTERS * POSTS);
}

/* --- work --- */

struct job {
    int in, out;
    pthread_t thread;
};
enum { JOBS = 200 };
static unsigned jobs_done;

static void square(void *arg)
{
    struct job *job = arg;
    job->out = job->in * job->in;
    job->thread = pthread_self();
    usleep(200);
}

static void job_fiber(void *arg)
{
    struct job *job = arg;
    assert_int_equal(work_run(square, job), OK);
    assert_int_equal(job->out, job->in * job->in);
    assert_false(pthread_equal(job->thread, pthread_self()));
    if (++jobs_done == JOBS)
        loop_stop(loop);
}

static void work_runs_elsewhere_and_is_bounded(void **state)
{
    (void)state;
    jobs_done = 0;
    struct job *jobs = NEW_ARRAY(struct job, JOBS);
    for (int i = 0; i < JOBS; i++) {
        jobs[i].in = i;
        spawn(job_fiber, &jobs[i]);
    }
    loop_run(loop);
    assert_int_equal(jobs_done, JOBS);
    assert_int_equal(loop_get_stats(loop).work_in_flight, 0);
    free(jobs);
}

/* --- timers --- */

struct ticker {
    struct timer timer;
    unsigned ticks;
};

static void tick(void *arg)
{
    struct ticker *ticker = arg;
    if (++ticker->ticks < 10)
        timer_start(loop, &ticker->timer, 0, tick, ticker); /* due at once, but not in this same round */
    else
        loop_stop(loop);
}

static void a_timer_may_restart_itself(void **state)
{
    (void)state;
    struct ticker ticker = { 0 };
    timer_start(loop, &ticker.timer, loop_deadline_ms(3), tick, &ticker);
    uint64_t before_ms = loop_now_ms();
    loop_run(loop);
    assert_int_equal(ticker.ticks, 10);
    assert_true(loop_now_ms() >= before_ms + 3);
    assert_false(timer_is_running(&ticker.timer));
}

/* --- stack --- */

/* The locals of every level are read after the deeper one returned, so that no frame is optimised away. */
static int recurse(volatile char *above, unsigned depth)
{
    volatile char local[512];
    local[0] = above[0];
    int below = depth == 0 ? 0 : recurse(local, depth - 1);
    return below + local[0];
}

static void use_stack(void *arg)
{
    volatile char one = 1;
    assert_int_equal(recurse(&one, 39), 40);
    assert_true(fiber_stack_left() < 4 * FIBER_STACK_SIZE);
    loop_stop(loop);
}

static void stack_use_is_measured(void **state)
{
    (void)state;
    loop_measure_stacks(loop, true);
    spawn(use_stack, NULL);
    loop_run(loop);
    size_t used = loop_get_stats(loop).stack_used_max_bytes;
    assert_true(used >= 20000 && used < 4 * FIBER_STACK_SIZE);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void overflow(void *arg)
{
    volatile char seed_byte = 1;
    *(int *)arg = recurse(&seed_byte, 1000000);
}

static void an_overflow_ends_the_process_with_a_message(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        struct loop *own;
        int out;
        if (loop_new(&own) == OK && fiber_spawn(own, "deep", overflow, &out) == OK)
            loop_run(own);
        _exit(0);
    }
    close(fds[1]);
    char text[256] = "";
    ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    close(fds[0]);
    assert_non_null(strstr(text, "stack overflow in fiber deep"));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}
#endif

/* --- cost --- */

enum { SWITCHES = 200000 };

static bool over;

static void yielder(void *arg)
{
    struct fiber **peer = arg;
    for (int i = 0; i < SWITCHES && !over; i++) {
        fiber_wake(*peer);
        fiber_suspend();
    }
    if (!over)
        fiber_wake(*peer);
    over = true;
    loop_stop(loop);
}

static void yielder_first(void *arg)
{
    struct fiber **both = arg;
    both[0] = fiber_self();
    fiber_suspend();
    yielder(&both[1]);
}

static void yielder_second(void *arg)
{
    struct fiber **both = arg;
    both[1] = fiber_self();
    yielder(&both[0]);
}

static void switch_cost(void **state)
{
    (void)state;
    struct fiber *both[2];
    spawn(yielder_first, both);
    spawn(yielder_second, both);
    uint64_t before_ns = clock_mono_ns();
    loop_run(loop);
    uint64_t took_ns = clock_mono_ns() - before_ns;
    uint64_t switches = loop_get_stats(loop).switches;
    assert_true(switches >= SWITCHES);
    print_message("wake, suspend and resume: %.1f ns each of %llu\n", (double)took_ns / (double)switches,
                  (unsigned long long)switches);
}

int main(void)
{
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(ten_thousand_at_once),
        LOOP_TEST(a_wake_is_remembered_once),
        LOOP_TEST(wakes_race_with_timeouts),
        LOOP_TEST(late_sleepers_wake_in_their_order),
        LOOP_TEST(cond_wakes_in_order),
        LOOP_TEST(a_hook_with_input_left_gets_the_next_turn_at_once),
        LOOP_TEST(posts_from_other_threads),
        LOOP_TEST(work_runs_elsewhere_and_is_bounded),
        LOOP_TEST(a_timer_may_restart_itself),
        LOOP_TEST(stack_use_is_measured),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        LOOP_TEST(an_overflow_ends_the_process_with_a_message),
#endif
        LOOP_TEST(switch_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
