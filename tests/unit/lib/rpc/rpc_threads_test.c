/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads answer while requests arrive: nothing is lost, and no send keeps the network thread from what
 * has arrived. The waits of the network thread go through here: one that ends by its time, with a request in
 * the socket, has missed it. */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/fiber/fiber.h"
#include "lib/rpc/doors.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"
#include "tests/unit/lib/rpc/socket_guard.h"

enum {
    THREADS = 4,
    CALLS = 12000,
    WINDOW_MAX = 7,       /* calls under way; few, so that the network thread often waits */
    NOTICE_EVERY = 5,     /* answers */
    LINGER_EVERY = 16,    /* turns of the network thread */
    LINGER_US = 200,      /* between its last receive and its wait */
    ARRIVAL_MS = 30000,   /* a request is in the socket long before */
    ANY_SEND_LOOKS_MS = 5 /* ZeroMQ's sends look for news after a millisecond without */
};

/* ---- the network thread's turns */

static struct {
    atomic_bool armed;    /* the next wait: its request shall be swallowed */
    atomic_bool waits;    /* that wait has begun */
    atomic_bool swallows; /* by a thread that answers now */
    _Atomic int result;   /* of that wait; -1: not over */
    atomic_uint sent, received, stalls;
} turns;

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap___poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);
bool __real_doors_refresh(struct doors *doors);
bool __wrap_doors_refresh(struct doors *doors);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

static bool is_behind(void)
{
    return atomic_load(&turns.received) < atomic_load(&turns.sent);
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    bool armed = atomic_exchange(&turns.armed, false);
    if (armed) {
        atomic_store(&turns.waits, true);
        __real_poll(fds + 1, count - 1, ARRIVAL_MS);
        usleep(ANY_SEND_LOOKS_MS * 1000);
        atomic_store(&turns.swallows, true);
        while (atomic_load(&turns.swallows))
            usleep(100);
    }
    int n = __real_poll(fds, count, timeout_ms);
    if (n == 0 && is_behind() && __real_poll(fds, count, timeout_ms) == 0 && is_behind())
        atomic_fetch_add(&turns.stalls, 1); /* not for want of a processor: nothing tells of the request */
    if (armed)
        atomic_store(&turns.result, n);
    return n;
}

/* What poll is with _FORTIFY_SOURCE, so in optimized builds. */
int __wrap___poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size)
{
    assert_true(count * sizeof fds[0] <= size);
    return __wrap_poll(fds, count, timeout_ms);
}

/* Between what the network thread receives last and its wait, when it has given up the lock: time for others
 * to answer. */
static _Thread_local bool lingers;

bool __wrap_doors_refresh(struct doors *doors)
{
    static atomic_uint number;
    lingers = atomic_fetch_add(&number, 1) % LINGER_EVERY == 0;
    return __real_doors_refresh(doors);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    int rc = __real_pthread_mutex_unlock(mutex);
    if (lingers)
        usleep(LINGER_US);
    lingers = false;
    return rc;
}

/* ---- a server whose answers come from many threads */

static struct {
    struct rpc_server *server;
    struct rpc_peer *peer;
    pthread_t threads[THREADS];
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct rpc_request *first;
    bool stopping;
} many = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER };

static void queue_request(struct rpc_request *req, void *arg)
{
    (void)arg;
    atomic_fetch_add(&turns.received, 1);
    pthread_mutex_lock(&many.lock);
    req->next = many.first;
    many.first = req;
    pthread_cond_signal(&many.some);
    pthread_mutex_unlock(&many.lock);
}

static struct rpc_request *next_request(void)
{
    pthread_mutex_lock(&many.lock);
    while (many.first == NULL && !many.stopping)
        pthread_cond_wait(&many.some, &many.lock);
    struct rpc_request *req = many.first;
    if (req != NULL)
        many.first = req->next;
    pthread_mutex_unlock(&many.lock);
    return req;
}

static void *answer_main(void *arg)
{
    struct rpc_request *req;
    (void)arg;
    for (unsigned number = 0; (req = next_request()) != NULL; number++) {
        struct buf response = { 0 }, body = { 0 };
        if (number % NOTICE_EVERY == 0)
            rpc_notify(many.server, &req->peer, 121, 5, slice_of(NULL, 0));
        buf_add_slice(&response, req->request);
        buf_add_slice(&body, req->body);
        rpc_reply(&req, OK, NULL, &response, &body);
    }
    return NULL;
}

static void start_many(void)
{
    struct rpc_server_options options = {
        .zmq = t.zmq, .endpoint = "tcp://127.0.0.1:0", .requests_max = 100, .handler = queue_request
    };
    rpc_server_free(&t.server); /* its waits are not meant */
    memset(&turns, 0, sizeof turns);
    many.stopping = false;
    assert_int_equal(rpc_server_start(&options, &many.server), OK);
    many.peer = rpc_client_peer(t.client, rpc_server_endpoint(many.server), RPC_ROLE_STORAGE_NODE);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&many.threads[i], NULL, answer_main, NULL), 0);
}

static void stop_many(void)
{
    pthread_mutex_lock(&many.lock);
    many.stopping = true;
    pthread_cond_broadcast(&many.some);
    pthread_mutex_unlock(&many.lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(many.threads[i], NULL);
    rpc_server_free(&many.server);
}

/* ---- nothing is lost */

static void submit(struct rpc_call *call, const unsigned *number)
{
    *call = make_call(ECHO, 20000, setting());
    call->body = slice_of(number, sizeof *number);
    atomic_fetch_add(&turns.sent, 1);
    assert_int_equal(rpc_submit(many.peer, call), OK);
}

static void await(struct rpc_call *call, unsigned number)
{
    unsigned got = 0;
    assert_int_equal(rpc_wait(call), OK);
    assert_int_equal(call->status, OK);
    assert_int_equal(call->response_body.len, sizeof got);
    memcpy(&got, call->response_body.data, sizeof got);
    assert_int_equal(got, number);
    rpc_call_fini(call);
}

static void many_fiber(void)
{
    static struct rpc_call calls[WINDOW_MAX];
    unsigned number = 0;
    while (number < CALLS) {
        unsigned window = 1 + number / 10 % WINDOW_MAX;
        for (unsigned i = 0; i < window; i++) {
            unsigned n = number + i;
            submit(&calls[i], &n);
        }
        for (unsigned i = 0; i < window; i++)
            await(&calls[i], number + i);
        number += window;
    }
}

static void answers_of_many_threads_arrive_and_requests_do_not_stall(void **state)
{
    (void)state;
    start_many();
    run_fiber(t.loop, many_fiber);
    expect_none_pending(many.server);
    stop_many();
    assert_int_equal(turns.received, turns.sent);
    assert_int_equal(turns.stalls, 0);
    assert_true(t.notices > 0);
    assert_true(socket_guard_calls() > CALLS);
    assert_int_equal(socket_guard_broken(), 0);
}

/* ---- the news that a send swallows */

static void swallow_fiber(void)
{
    struct rpc_call held = make_call(HOLD, 20000, setting()), call = make_call(ECHO, 20000, setting());
    echo();
    atomic_store(&turns.result, -1);
    assert_int_equal(rpc_submit(t.peer, &held), OK);
    while (held_count() == 0)
        fiber_sleep_ms(1);
    atomic_store(&turns.armed, true); /* for its next wait; one that has begun ends within a second */
    while (!atomic_load(&turns.waits))
        fiber_sleep_ms(1);
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    while (!atomic_load(&turns.swallows))
        fiber_sleep_ms(1);
    release_held(); /* takes the news of `call` in */
    atomic_store(&turns.swallows, false);
    assert_int_equal(rpc_wait(&call), OK);
    assert_int_equal(rpc_wait(&held), OK);
    rpc_call_fini(&call);
    rpc_call_fini(&held);
}

static void an_answer_sent_wakes_for_a_request_that_it_took_in(void **state)
{
    (void)state;
    run_fiber(t.loop, swallow_fiber);
    assert_true(atomic_load(&turns.result) > 0); /* woken, and not by its time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_of_many_threads_arrive_and_requests_do_not_stall),
        TEST(an_answer_sent_wakes_for_a_request_that_it_took_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
