/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/rpc/rpc_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/own_endpoint.h"
#include "tests/unit/lib/rpc/peer_state.h"

enum { PENDING_MS = 5000, AGAIN_US = 20 * 1000 };

struct rpc_fixture t;

/* What the handler keeps. */
static struct {
    pthread_mutex_t lock;
    struct rpc_request *first;
    unsigned count;
} held = { .lock = PTHREAD_MUTEX_INITIALIZER };

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

static void hold(struct rpc_request *req)
{
    pthread_mutex_lock(&held.lock);
    req->next = held.first;
    held.first = req;
    held.count++;
    pthread_mutex_unlock(&held.lock);
}

void handle(struct rpc_request *req, void *arg)
{
    struct buf great = { 0 };
    char *text = NULL;
    uint64_t now_ms = clock_mono_ms();
    (void)arg;
    t.requests++;
    t.last_deadline_ms = req->deadline_mono_ms;
    t.last_left_ms = req->deadline_mono_ms > now_ms ? req->deadline_mono_ms - now_ms : 0;
    t.last_has_id = req->has_request_id;
    switch (req->method) {
    case HOLD:
        hold(req);
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

unsigned held_count(void)
{
    pthread_mutex_lock(&held.lock);
    unsigned count = held.count;
    pthread_mutex_unlock(&held.lock);
    return count;
}

void release_held(void)
{
    pthread_mutex_lock(&held.lock);
    struct rpc_request *req = held.first;
    held.first = NULL;
    held.count = 0;
    pthread_mutex_unlock(&held.lock);
    while (req != NULL) {
        struct rpc_request *next = req->next;
        answer(req, OK, NULL);
        req = next;
    }
}

void expect_none_pending(const struct rpc_server *server)
{
    uint64_t end_ms = clock_mono_ms() + PENDING_MS;
    while (rpc_server_pending(server) > 0 && clock_mono_ms() < end_ms)
        usleep(100);
    assert_int_equal(rpc_server_pending(server), 0);
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

/* ---- a test's beginning and end */

void start_server(const char *endpoint)
{
    struct rpc_server_options options = {
        .zmq = t.zmq, .endpoint = endpoint, .requests_max = t.requests_max, .handler = handle
    };
    /* ZeroMQ closes on its own threads what listened there before. */
    enum err err = rpc_server_start(&options, &t.server);
    for (uint64_t end_ms = clock_mono_ms() + PEER_STATE_MS; err == ERR_IO && clock_mono_ms() < end_ms;) {
        usleep(AGAIN_US);
        err = rpc_server_start(&options, &t.server);
    }
    assert_int_equal(err, OK);
}

static void *free_server(void *done)
{
    rpc_server_free(&t.server);
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

void stop_server(void)
{
    pthread_t thread;
    atomic_bool done = false;
    assert_int_equal(pthread_create(&thread, NULL, free_server, &done), 0);
    while (!atomic_load(&done))
        fiber_sleep_ms(1); /* the client reads what it is sent to the end */
    pthread_join(thread, NULL);
    for (uint64_t end_ms = clock_mono_ms() + PEER_STATE_MS; peer_is_connected(t.peer); fiber_sleep_ms(1))
        assert_true(clock_mono_ms() < end_ms);
}

void rpc_begin(unsigned requests_max)
{
    memset(&t, 0, sizeof t);
    t.requests_max = requests_max;
    t.zmq = rpc_context_new();
    start_server(own_endpoint());
    assert_int_equal(loop_new(&t.loop), OK);
    t.client = rpc_client_new(t.loop, t.zmq, NULL, on_notice, NULL);
    t.peer = rpc_client_peer(t.client, rpc_server_endpoint(t.server), RPC_ROLE_STORAGE_NODE);
    assert_non_null(t.peer);
}

int rpc_setup(void **state)
{
    (void)state;
    rpc_begin(REQUESTS_MAX);
    return 0;
}

void nothing(void)
{
    fiber_yield();
}

int rpc_teardown(void **state)
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
    return 0;
}

/* ---- calls */

struct rpc_call make_call(uint32_t method, uint32_t deadline_ms, const Tern__Setting *request)
{
    return (struct rpc_call){
        .method = method, .partition = 3, .deadline_ms = deadline_ms, .request = &request->base
    };
}

const Tern__Setting *setting(void)
{
    static Tern__Setting s;
    tern__setting__init(&s);
    s.name = (char *)"name";
    s.value = (char *)"value";
    return &s;
}

void echo(void)
{
    struct rpc_call call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);
}

void call_all(void)
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
