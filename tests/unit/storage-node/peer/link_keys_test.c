/* SPDX-License-Identifier: Apache-2.0 */
/* Two links with keys: keys that change while many threads send, and a node that starts anew while a full
 * queue waits for it. With keys a frame is let go of when it is encrypted, so that the end of a connection
 * alone frees nothing that is counted. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "storage-node/peer/link.h"
#include "tests/unit/lib/rpc/keys_fixture.h"
#include "tests/unit/lib/rpc/own_endpoint.h"
#include "tests/unit/lib/rpc/socket_guard.h"

enum {
    OTHER = 2,
    SENDERS = 4,
    FOLLOW_MS = 1500, /* an idle link looks for other keys every second */
    QUEUE_BYTES = 1 << 20,
    PIECE = 64 * 1024,
    REFUSED_IN_A_ROW = 200, /* milliseconds: nothing moves any more */
    FILL_MS = 60 * 1000,
    SEE_END_MS = 300, /* until the other end has seen a connection end */
    BEATS_MS = 2500,  /* ZeroMQ would have sent a heartbeat or two */
};

struct end {
    void *zmq;
    struct rpc_keys *keys;
    struct link *link;
    atomic_bool closed; /* falls behind */
    atomic_uint frames;
};

static void on_frame(void *arg, struct slice frame)
{
    struct end *end = arg;
    (void)frame;
    atomic_fetch_add(&end->frames, 1);
}

static bool may_receive(void *arg)
{
    struct end *end = arg;
    return !atomic_load(&end->closed);
}

static void open_end(struct end *end, const char *endpoint)
{
    end->zmq = rpc_context_new();
    assert_int_equal(rpc_keys_open(end->zmq, t.folder, RPC_ROLE_STORAGE_NODE, &end->keys), OK);
    struct link_options options = { .zmq = end->zmq,
                                    .keys = end->keys,
                                    .service = RPC_SERVICE_PEER,
                                    .endpoint = endpoint,
                                    .name = "link",
                                    .queue_bytes_max = QUEUE_BYTES,
                                    .receive = on_frame,
                                    .may_receive = may_receive,
                                    .arg = end };
    assert_int_equal(link_bind(&options, &end->link), OK);
    assert_int_equal(link_start(end->link), OK);
}

static void close_end(struct end *end)
{
    link_stop(end->link);
    rpc_keys_close(&end->keys);
    zmq_ctx_term(end->zmq);
    link_free(&end->link);
}

static bool send_bytes(struct link *link, size_t len)
{
    struct buf frame = { 0 };
    memset(buf_reserve(&frame, len), 'a', len);
    frame.len = len;
    return link_send(link, OTHER, &frame);
}

static void send_until_it_arrives(struct end *from, struct end *to)
{
    unsigned before = atomic_load(&to->frames);
    uint64_t until = clock_mono_ms() + WAIT_MS;
    while (atomic_load(&to->frames) == before) {
        assert_true(clock_mono_ms() < until);
        send_bytes(from->link, 5);
        usleep(1000);
    }
}

/* ZeroMQ reads ahead at the other end: that takes some, too. */
static void fill_queue(struct end *from)
{
    uint64_t until = clock_mono_ms() + FILL_MS;
    for (unsigned refused = 0; refused < REFUSED_IN_A_ROW;) {
        assert_true(clock_mono_ms() < until);
        refused = send_bytes(from->link, PIECE) ? 0 : refused + 1;
        if (refused > 0)
            usleep(1000);
    }
}

/* What waited for the connection that ended does not count any more. */
static void a_node_starts_anew_with_its_queue_full(void **state)
{
    static struct end out, in;
    char endpoint[RPC_ENDPOINT_MAX];
    (void)state;
    open_end(&out, own_endpoint());
    open_end(&in, own_endpoint());
    strcpy(endpoint, link_endpoint(in.link));
    link_set_node(out.link, OTHER, endpoint);
    send_until_it_arrives(&out, &in);
    atomic_store(&in.closed, true);
    fill_queue(&out);
    close_end(&in);
    usleep(SEE_END_MS * 1000);
    atomic_store(&in.closed, false);
    open_end(&in, endpoint);
    send_until_it_arrives(&out, &in);
    close_end(&out);
    close_end(&in);
}

/* Its end is seen when what it sent is read again. */
static void a_node_ends_with_the_others_queue_full(void **state)
{
    static struct end out, in;
    (void)state;
    open_end(&out, own_endpoint());
    open_end(&in, own_endpoint());
    link_set_node(out.link, OTHER, link_endpoint(in.link));
    send_until_it_arrives(&out, &in);
    atomic_store(&in.closed, true);
    fill_queue(&out);
    close_end(&out);
    usleep(BEATS_MS * 1000);
    atomic_store(&in.closed, false);
    open_end(&out, own_endpoint());
    link_set_node(out.link, OTHER, link_endpoint(in.link));
    send_until_it_arrives(&out, &in);
    close_end(&out);
    close_end(&in);
}

struct sender {
    struct link *link;
    atomic_bool *enough;
    unsigned sent;
    pthread_t thread;
};

static void *send_until_told(void *arg)
{
    struct sender *s = arg;
    for (; !atomic_load(s->enough); usleep(100))
        s->sent += send_bytes(s->link, 5);
    return NULL;
}

/* The steps of ternctl keys rotate. */
static void next_step(int step)
{
    struct key_pair *pairs = t.roles[RPC_ROLE_STORAGE_NODE].pairs;
    if (step == 1)
        key_pair_make(&pairs[KEY_NEXT]);
    if (step == 2) {
        pairs[KEY_PREVIOUS] = pairs[KEY_CURRENT];
        pairs[KEY_CURRENT] = pairs[KEY_NEXT];
        memset(&pairs[KEY_NEXT], 0, sizeof pairs[KEY_NEXT]);
    }
    if (step == 3)
        memset(&pairs[KEY_PREVIOUS], 0, sizeof pairs[KEY_PREVIOUS]);
    write_keys(t.folder, t.roles);
}

static void wait_for_more(struct end *end)
{
    unsigned before = atomic_load(&end->frames);
    uint64_t until = clock_mono_ms() + WAIT_MS;
    while (atomic_load(&end->frames) == before && clock_mono_ms() < until)
        usleep(1000);
    assert_true(atomic_load(&end->frames) > before);
}

/* The connection is exchanged under the hands of those who send. */
static void keys_change_while_many_send(void **state)
{
    static struct end out, in;
    struct sender senders[SENDERS];
    atomic_bool enough = false;
    unsigned sent = 0;
    (void)state;
    open_end(&out, own_endpoint());
    open_end(&in, own_endpoint());
    link_set_node(out.link, OTHER, link_endpoint(in.link));
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ .link = out.link, .enough = &enough };
        pthread_create(&senders[i].thread, NULL, send_until_told, &senders[i]);
    }
    for (int step = 1; step <= 3; step++) {
        next_step(step);
        for (int i = 0; i < 2; i++) {
            rpc_keys_reload(i == 0 ? in.keys : out.keys);
            usleep(FOLLOW_MS * 1000);
            wait_for_more(&in);
        }
    }
    atomic_store(&enough, true);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        sent += senders[i].sent;
    }
    assert_true(sent > 0);
    close_end(&out);
    close_end(&in);
    assert_int_equal(socket_guard_broken(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_change_while_many_send),
        TEST(a_node_starts_anew_with_its_queue_full),
        TEST(a_node_ends_with_the_others_queue_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
