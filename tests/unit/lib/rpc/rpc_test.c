/* SPDX-License-Identifier: Apache-2.0 */
/* Server and client over real ZeroMQ on loopback. The server's handler does what the request's method number
 * says; what it does not answer at once it keeps until the test lets go. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "lib/rpc/frame.h"
#include "lib/rpc/server.h"
#include "proto/cluster.pb-c.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum {
    ECHO = 1,  /* answers with the request and its body */
    HOLD,      /* kept until release_held */
    REFUSE,    /* a status and everything the header can carry */
    GREAT,     /* 3 MiB of body */
    NOTICE,    /* sends a notice to the asker, then answers */
    STRANGE,   /* a status that nobody knows */
    LONG_HINT, /* a hint longer than an endpoint may be */
    REQUESTS_MAX = 8,
    GREAT_SIZE = 3 * 1024 * 1024,
};

static struct {
    void *zmq;
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_client *client;
    struct rpc_peer *peer;
    pthread_mutex_t lock;
    struct rpc_request *held;
    unsigned held_count;
    unsigned turns;
    unsigned notices;
    uint64_t notice_value;
    uint64_t last_deadline_ms;
    bool last_has_id;
} t;

/* ---- the server's side */

static void answer(struct rpc_request *req, enum err status, const struct rpc_reply_info *info)
{
    struct buf response = { 0 }, body = { 0 };
    buf_add_slice(&response, req->request);
    buf_add_slice(&body, req->body);
    rpc_reply(&req, status, info, &response, &body);
}

static void send_notice(struct rpc_request *req)
{
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    uint8_t packed[16];
    notice.version = 77;
    size_t len = tern__map_notice__pack(&notice, packed);
    rpc_notify(t.server, &req->peer, 121, 5, slice_of(packed, len));
    struct rpc_peer_id gone = { .len = 5, .bytes = "nobod" };
    rpc_notify(t.server, &gone, 121, 5, slice_of(packed, len)); /* dropped */
}

static void handle(struct rpc_request *req, void *arg)
{
    struct buf great = { 0 };
    char *text = NULL;
    (void)arg;
    pthread_mutex_lock(&t.lock);
    t.last_deadline_ms = req->deadline_mono_ms;
    t.last_has_id = req->has_request_id;
    pthread_mutex_unlock(&t.lock);
    switch (req->method) {
    case HOLD:
        pthread_mutex_lock(&t.lock);
        req->next = t.held;
        t.held = req;
        t.held_count++;
        pthread_mutex_unlock(&t.lock);
        return;
    case REFUSE:
        answer(req, ERR_NOT_PRIMARY,
               &(struct rpc_reply_info){ "not here", 1234567890123, 42, "tcp://127.0.0.1:7" });
        return;
    case GREAT:
        memset(buf_reserve(&great, GREAT_SIZE), 'g', GREAT_SIZE);
        great.len = GREAT_SIZE;
        rpc_reply(&req, OK, NULL, NULL, &great);
        return;
    case NOTICE:
        send_notice(req);
        break;
    case STRANGE:
        answer(req, (enum err)4711, NULL);
        return;
    case LONG_HINT:
        text = xmalloc(1001);
        memset(text, 'h', 1000);
        text[1000] = '\0';
        answer(req, ERR_NOT_PRIMARY, &(struct rpc_reply_info){ .primary_hint = text });
        free(text);
        return;
    default:
        break;
    }
    answer(req, OK, NULL);
}

static unsigned held_count(void)
{
    pthread_mutex_lock(&t.lock);
    unsigned count = t.held_count;
    pthread_mutex_unlock(&t.lock);
    return count;
}

static void release_held(void)
{
    pthread_mutex_lock(&t.lock);
    struct rpc_request *req = t.held;
    t.held = NULL;
    t.held_count = 0;
    pthread_mutex_unlock(&t.lock);
    while (req != NULL) {
        struct rpc_request *next = req->next;
        answer(req, OK, NULL);
        req = next;
    }
}

static void turn(void *arg)
{
    (void)arg;
    t.turns++; /* the network thread's own */
}

static void on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg)
{
    (void)arg;
    assert_null(fiber_self());
    assert_true(method == 121 && partition == 5);
    Tern__MapNotice *notice = tern__map_notice__unpack(NULL, packed.len, packed.data);
    assert_non_null(notice);
    t.notice_value = notice->version;
    t.notices++;
    tern__map_notice__free_unpacked(notice, NULL);
}

/* ---- the fixture */

static void start_server(const char *endpoint)
{
    struct rpc_server_options options = {
        .zmq = t.zmq, .endpoint = endpoint, .requests_max = REQUESTS_MAX, .handler = handle, .turn = turn
    };
    assert_int_equal(rpc_server_start(&options, &t.server), OK);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    pthread_mutex_init(&t.lock, NULL);
    t.zmq = zmq_ctx_new();
    start_server("tcp://127.0.0.1:0");
    assert_int_equal(loop_new(&t.loop), OK);
    t.client = rpc_client_new(t.loop, t.zmq, NULL, on_notice, NULL);
    t.peer = rpc_client_peer(t.client, rpc_server_endpoint(t.server), RPC_ROLE_STORAGE_NODE);
    assert_non_null(t.peer);
    return 0;
}

static void nothing(void)
{
    fiber_yield();
}

static int teardown(void **state)
{
    (void)state;
    rpc_client_free(&t.client);
    run_fiber(t.loop, nothing); /* the loop lets go of what was closed */
    loop_free(&t.loop);
    if (t.server != NULL)
        rpc_server_stop(t.server); /* a request may still be on its way to being held */
    release_held();
    rpc_server_free(&t.server);
    zmq_ctx_term(t.zmq);
    pthread_mutex_destroy(&t.lock);
    return 0;
}

static struct rpc_call make_call(uint32_t method, uint32_t deadline_ms, const Tern__Setting *request)
{
    return (struct rpc_call){
        .method = method, .partition = 3, .deadline_ms = deadline_ms, .request = &request->base
    };
}

static const Tern__Setting *setting(void)
{
    static Tern__Setting s;
    tern__setting__init(&s);
    s.name = (char *)"name";
    s.value = (char *)"value";
    return &s;
}

/* ---- calls */

static void echo_fiber(void)
{
    uint8_t id[16] = { 1 };
    struct rpc_call call = make_call(ECHO, 5000, setting());
    call.body = SLICE_LIT("some bytes");
    call.request_id = id;
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_int_equal(call.status, OK);
    Tern__Setting *got = tern__setting__unpack(NULL, call.response.len, call.response.data);
    assert_string_equal(got->value, "value");
    tern__setting__free_unpacked(got, NULL);
    assert_true(slice_eq_str(call.response_body, "some bytes"));
    assert_true(t.last_has_id);
    rpc_call_fini(&call);
    rpc_call_fini(&call);

    call = make_call(REFUSE, 1u << 31, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_int_equal(call.status, ERR_NOT_PRIMARY);
    assert_true(call.time_ms == 1234567890123 && call.peer_map_version == 42);
    assert_string_equal(call.primary_hint, "tcp://127.0.0.1:7");
    assert_string_equal(call.detail, "not here");
    assert_int_equal(call.response_body.len, 0);
    assert_false(t.last_has_id);
    assert_true(t.last_deadline_ms < clock_mono_ms() + 3600 * 1000); /* bounded by the server */
    rpc_call_fini(&call);

    call = make_call(GREAT, 10000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_int_equal(call.response_body.len, GREAT_SIZE);
    assert_int_equal(call.response.len, 0);
    rpc_call_fini(&call);

    call = make_call(STRANGE, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_int_equal(call.status, ERR_PROTOCOL);
    rpc_call_fini(&call);

    call = make_call(LONG_HINT, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_string_equal(call.primary_hint, ""); /* half an endpoint is somebody else's */
    rpc_call_fini(&call);
}

static void calls_are_answered(void **state)
{
    (void)state;
    run_fiber(t.loop, echo_fiber);
}

enum { MANY = 200, ROUNDS = 20 };
static unsigned many_left;
static struct fiber *many_waiter;

static void many_fiber(void *arg)
{
    char text[32];
    for (unsigned i = 0; i < ROUNDS; i++) {
        Tern__Setting s = TERN__SETTING__INIT;
        snprintf(text, sizeof text, "%lu.%u", (unsigned long)(uintptr_t)arg, i);
        s.name = text;
        struct rpc_call call = make_call(ECHO, 20000, &s);
        call.body = slice_str(text);
        assert_int_equal(rpc_call(t.peer, &call), OK);
        if (call.status == ERR_BUSY) { /* the server's bound */
            i--;
        } else {
            assert_int_equal(call.status, OK);
            assert_true(slice_eq_str(call.response_body, text));
        }
        rpc_call_fini(&call);
    }
    if (--many_left == 0)
        fiber_wake(many_waiter);
}

static void spawn_many(void)
{
    many_left = MANY;
    many_waiter = fiber_self();
    for (uintptr_t i = 0; i < MANY; i++)
        assert_int_equal(fiber_spawn(t.loop, "many", many_fiber, (void *)i), OK);
    while (many_left > 0)
        fiber_suspend();
}

static void many_calls_at_once_keep_apart(void **state)
{
    (void)state;
    run_fiber(t.loop, spawn_many);
    assert_int_equal(rpc_server_pending(t.server), 0);
}

/* ---- time */

static void timeout_fiber(void)
{
    struct rpc_call call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK); /* it stands: what follows is sent */
    rpc_call_fini(&call);
    call = make_call(HOLD, 50, setting());
    uint64_t before = clock_mono_ms();
    assert_int_equal(rpc_call(t.peer, &call), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - before >= 50);
    rpc_call_fini(&call);
    while (held_count() == 0)
        fiber_sleep_ms(1);
    release_held(); /* the answer comes too late: it is nobody's */
    fiber_sleep_ms(100);
    call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);

    /* Given up before it was waited for, and while. */
    call = make_call(HOLD, 60000, setting());
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    rpc_call_abandon(&call);
    assert_int_equal(rpc_wait(&call), ERR_TIMEOUT);
    rpc_call_fini(&call);
    call = make_call(HOLD, 60000, setting());
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    rpc_call_fini(&call); /* nobody waits at all */
    release_held();
}

static void calls_end_at_their_deadline(void **state)
{
    (void)state;
    run_fiber(t.loop, timeout_fiber);
}

static void dead_peer_fiber(void)
{
    struct rpc_peer *nobody = rpc_client_peer(t.client, "tcp://127.0.0.1:1", RPC_ROLE_STORAGE_NODE);
    struct rpc_call call = make_call(ECHO, 100, setting());
    assert_non_null(nobody);
    assert_int_equal(rpc_call(nobody, &call), ERR_TIMEOUT);
    rpc_call_fini(&call);
    assert_null(rpc_client_peer(t.client, "what is this", RPC_ROLE_STORAGE_NODE));
    assert_ptr_equal(rpc_client_peer(t.client, "tcp://127.0.0.1:1", RPC_ROLE_STORAGE_NODE), nobody);
    assert_string_equal(rpc_peer_endpoint(nobody), "tcp://127.0.0.1:1");
}

static void a_peer_that_is_not_there(void **state)
{
    (void)state;
    run_fiber(t.loop, dead_peer_fiber);
}

static void restart_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    struct rpc_call call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);
    snprintf(endpoint, sizeof endpoint, "%s", rpc_server_endpoint(t.server));
    rpc_server_free(&t.server);
    call = make_call(ECHO, 200, setting());
    assert_int_equal(rpc_call(t.peer, &call), ERR_TIMEOUT);
    rpc_call_fini(&call);
    start_server(endpoint);
    call = make_call(ECHO, 10000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);
}

static void a_peer_that_comes_back(void **state)
{
    (void)state;
    run_fiber(t.loop, restart_fiber);
}

/* ---- pressure */

static void busy_fiber(void)
{
    struct rpc_call calls[REQUESTS_MAX];
    for (int i = 0; i < REQUESTS_MAX; i++) {
        calls[i] = make_call(HOLD, 10000, setting());
        assert_int_equal(rpc_submit(t.peer, &calls[i]), OK);
    }
    while (held_count() < REQUESTS_MAX)
        fiber_sleep_ms(1);
    assert_int_equal(rpc_server_pending(t.server), REQUESTS_MAX);
    struct rpc_call one_more = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &one_more), OK);
    assert_int_equal(one_more.status, ERR_BUSY);
    rpc_call_fini(&one_more);
    release_held();
    for (int i = 0; i < REQUESTS_MAX; i++) {
        assert_int_equal(rpc_wait(&calls[i]), OK);
        assert_int_equal(calls[i].status, OK);
        rpc_call_fini(&calls[i]);
    }
    one_more = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &one_more), OK);
    assert_int_equal(one_more.status, OK);
    rpc_call_fini(&one_more);
}

static void beyond_the_bound_it_is_busy(void **state)
{
    (void)state;
    run_fiber(t.loop, busy_fiber);
}

static void queue_fiber(void)
{
    /* A peer that takes nothing: its queue fills, then calls are refused without having been sent. */
    struct rpc_peer *nobody = rpc_client_peer(t.client, "tcp://127.0.0.1:1", RPC_ROLE_STORAGE_NODE);
    struct rpc_call *calls = NEW_ARRAY(struct rpc_call, RPC_HWM + 10);
    size_t sent = 0;
    for (; sent < RPC_HWM + 10; sent++) {
        calls[sent] = make_call(ECHO, 60000, setting());
        calls[sent].body = SLICE_LIT("body");
        if (rpc_submit(nobody, &calls[sent]) != OK)
            break;
    }
    assert_true(sent >= 100 && sent <= RPC_HWM + 1);
    assert_int_equal(rpc_submit(nobody, &calls[sent]), ERR_BUSY);
    for (size_t i = 0; i < sent; i++)
        rpc_call_fini(&calls[i]);
    free(calls);
    /* Others are not concerned. */
    struct rpc_call call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    run_fiber(t.loop, queue_fiber);
}

/* ---- notices */

static void notice_fiber(void)
{
    struct rpc_call call = make_call(NOTICE, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_int_equal(call.status, OK);
    rpc_call_fini(&call);
    for (int i = 0; i < 1000 && t.notices == 0; i++)
        fiber_sleep_ms(1);
    assert_int_equal(t.notices, 1);
    assert_int_equal(t.notice_value, 77);
}

static void notices_arrive(void **state)
{
    (void)state;
    run_fiber(t.loop, notice_fiber);
}

/* ---- frames nobody should send */

static void *raw_socket(void)
{
    void *s = zmq_socket(t.zmq, ZMQ_DEALER);
    int linger = 0, timeout = 5000;
    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(zmq_connect(s, rpc_server_endpoint(t.server)), 0);
    return s;
}

static void send_raw(void *s, const struct slice *frames, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(zmq_send(s, frames[i].data, frames[i].len, i + 1 < count ? ZMQ_SNDMORE : 0) >= 0);
}

static struct slice header_bytes(uint64_t call, uint32_t version, uint8_t *out)
{
    Tern__RequestHeader h = TERN__REQUEST_HEADER__INIT;
    h.version = version;
    h.call = call;
    h.method = ECHO;
    return slice_of(out, tern__request_header__pack(&h, out));
}

static void expect_raw_answer(void *s, uint64_t call)
{
    uint8_t bytes[4096];
    int n = zmq_recv(s, bytes, sizeof bytes, 0);
    assert_true(n > 0);
    Tern__ResponseHeader *h = tern__response_header__unpack(NULL, (size_t)n, bytes);
    assert_non_null(h);
    assert_int_equal(h->call, call);
    assert_int_equal(h->method, ECHO);
    tern__response_header__free_unpacked(h, NULL);
    int more = 0;
    size_t size = sizeof more;
    while (zmq_getsockopt(s, ZMQ_RCVMORE, &more, &size) == 0 && more)
        assert_true(zmq_recv(s, bytes, sizeof bytes, 0) >= 0);
}

static void malformed_requests_are_dropped(void **state)
{
    (void)state;
    static uint8_t zeros[FRAME_HEADER_MAX + 1];
    uint8_t good[64], other[64], unnamed[64];
    struct slice header = header_bytes(1, RPC_VERSION, good);
    struct slice newer = header_bytes(1, RPC_VERSION + 1, other);
    struct slice callless = header_bytes(0, RPC_VERSION, unnamed);
    struct slice text = SLICE_LIT("x");
    void *s = raw_socket();
    send_raw(s, (struct slice[]){ SLICE_LIT("") }, 1);
    send_raw(s, (struct slice[]){ header }, 1);
    send_raw(s, (struct slice[]){ SLICE_LIT(""), text }, 2);
    send_raw(s, (struct slice[]){ SLICE_LIT("\xff\xff"), text, text }, 3);
    send_raw(s, (struct slice[]){ newer, text }, 2);
    send_raw(s, (struct slice[]){ callless, text }, 2);
    send_raw(s, (struct slice[]){ slice_of(zeros, sizeof zeros), text }, 2);
    /* Frames too many are thrown away, the message is taken; what follows is not shifted. */
    send_raw(s, (struct slice[]){ header_bytes(7, RPC_VERSION, good), text, text, text, text }, 5);
    expect_raw_answer(s, 7);
    send_raw(s, (struct slice[]){ header_bytes(8, RPC_VERSION, good), SLICE_LIT("") }, 2);
    expect_raw_answer(s, 8);
    assert_int_equal(rpc_server_pending(t.server), 0);
    zmq_close(s);
}

static void oversize_frames_end_the_connection(void **state)
{
    (void)state;
    uint8_t good[64];
    void *s = raw_socket();
    uint8_t *large = calloc(1, RPC_FRAME_MAX + 1);
    send_raw(s, (struct slice[]){ header_bytes(9, RPC_VERSION, good), slice_of(large, RPC_FRAME_MAX + 1) },
             2);
    int brief = 300;
    zmq_setsockopt(s, ZMQ_RCVTIMEO, &brief, sizeof brief);
    assert_int_equal(zmq_recv(s, large, 1, 0), -1);
    zmq_close(s);
    free(large);
    run_fiber(t.loop, echo_fiber); /* nobody else noticed */
}

/* ---- the client against a server that answers nonsense */

static void *router;

static void nonsense_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    size_t size = sizeof endpoint;
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size);
    struct rpc_peer *peer = rpc_client_peer(t.client, endpoint, RPC_ROLE_STORAGE_NODE);
    struct rpc_call call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_submit(peer, &call), OK);
    zmq_pollitem_t item = { .socket = router, .events = ZMQ_POLLIN };
    while (zmq_poll(&item, 1, 0) == 0) /* it goes out once the connection stands */
        fiber_sleep_ms(1);
    uint8_t id[256], bytes[4096];
    int id_len = zmq_recv(router, id, sizeof id, 0);
    int header_len = zmq_recv(router, bytes, sizeof bytes, 0);
    assert_true(id_len > 0 && header_len > 0);
    assert_true(zmq_recv(router, bytes, sizeof bytes, 0) >= 0);

    Tern__ResponseHeader h = TERN__RESPONSE_HEADER__INIT;
    uint8_t good[64], newer[64], unknown[64];
    h.version = RPC_VERSION;
    h.call = call.id;
    size_t good_len = tern__response_header__pack(&h, good);
    h.call = call.id + 1000;
    size_t unknown_len = tern__response_header__pack(&h, unknown);
    h.call = call.id;
    h.version = RPC_VERSION + 1;
    size_t newer_len = tern__response_header__pack(&h, newer);
    const struct {
        struct slice frames[5];
        size_t count;
    } rows[] = {
        { { slice_of(good, good_len) }, 1 },
        { { SLICE_LIT("\xff\xff\xff"), SLICE_LIT("") }, 2 },
        { { slice_of(newer, newer_len), SLICE_LIT("") }, 2 },
        { { slice_of(unknown, unknown_len), SLICE_LIT("") }, 2 },
        { { slice_of(good, good_len), SLICE_LIT("a"), SLICE_LIT("b"), SLICE_LIT("c"), SLICE_LIT("d") }, 5 },
        { { slice_of(good, good_len), SLICE_LIT("a"), SLICE_LIT("b") }, 3 },
        { { slice_of(good, good_len), SLICE_LIT("twice") }, 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(zmq_send(router, id, (size_t)id_len, ZMQ_SNDMORE) >= 0);
        send_raw(router, rows[i].frames, rows[i].count);
    }
    assert_int_equal(rpc_wait(&call), OK);
    assert_true(slice_eq_str(call.response, "a"));
    assert_true(slice_eq_str(call.response_body, "b"));
    rpc_call_fini(&call);
    fiber_sleep_ms(50); /* the second answer belongs to nobody */
}

static void malformed_answers_are_dropped(void **state)
{
    (void)state;
    int linger = 0;
    router = zmq_socket(t.zmq, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    run_fiber(t.loop, nonsense_fiber);
    zmq_close(router);
}

/* ---- the beginning */

static void a_bad_endpoint_does_not_start(void **state)
{
    (void)state;
    struct rpc_server *server;
    struct rpc_server_options options = { .zmq = t.zmq, .handler = handle, .requests_max = 1 };
    options.endpoint = "tcp://0.0.0.0:0";
    assert_int_equal(rpc_server_start(&options, &server), ERR_DENIED);
    options.endpoint = "tcp:/nonsense";
    assert_int_equal(rpc_server_start(&options, &server), ERR_INVALID);
    options.endpoint = rpc_server_endpoint(t.server); /* in use */
    assert_int_equal(rpc_server_start(&options, &server), ERR_IO);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(calls_are_answered),
        TEST(many_calls_at_once_keep_apart),
        TEST(calls_end_at_their_deadline),
        TEST(a_peer_that_is_not_there),
        TEST(a_peer_that_comes_back),
        TEST(beyond_the_bound_it_is_busy),
        TEST(a_full_queue_refuses),
        TEST(notices_arrive),
        TEST(malformed_requests_are_dropped),
        TEST(oversize_frames_end_the_connection),
        TEST(malformed_answers_are_dropped),
        TEST(a_bad_endpoint_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
