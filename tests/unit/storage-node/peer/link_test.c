/* SPDX-License-Identifier: Apache-2.0 */
/* Two links on loopback: many threads send on one connection, a receiver falls behind, a node moves, frames
 * that nobody should send. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zmq.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/rpc/endpoint.h"
#include "storage-node/peer/link.h"
#include "tests/unit/lib/rpc/socket_guard.h"

enum {
    SENDERS = 4,
    EACH = 2000,
    OTHER = 2,
    QUEUE_BYTES = 1 << 20,
    PIECE = 64 * 1024,
    WAIT_MS = 20000,
    MOVES = 20
};

struct receiver {
    struct link *link;
    atomic_bool closed; /* falls behind */
    atomic_uint frames, batches, wrong;
    uint32_t next[SENDERS];
};

struct fixture {
    void *zmq;
    struct link *out, *other; /* other: NULL, or what `out` was */
    struct receiver in, moved;
    atomic_bool enough; /* was sent */
};

/* A frame of a sender says who sent it and its number. */
static void on_frame(void *arg, struct slice frame)
{
    struct receiver *r = arg;
    uint32_t words[2];
    atomic_fetch_add(&r->frames, 1);
    if (frame.len != sizeof words)
        return;
    memcpy(words, frame.data, sizeof words);
    if (words[0] >= SENDERS || words[1] < r->next[words[0]])
        atomic_fetch_add(&r->wrong, 1);
    else
        r->next[words[0]] = words[1] + 1;
}

static void on_received(void *arg)
{
    struct receiver *r = arg;
    atomic_fetch_add(&r->batches, 1);
}

static bool may_receive(void *arg)
{
    struct receiver *r = arg;
    return !atomic_load(&r->closed);
}

static struct link *open_link(struct fixture *f, struct receiver *r)
{
    struct link *link;
    struct link_options options = { .zmq = f->zmq,
                                    .service = RPC_SERVICE_PEER,
                                    .endpoint = "tcp://127.0.0.1:0",
                                    .name = "link",
                                    .queue_bytes_max = QUEUE_BYTES,
                                    .receive = on_frame,
                                    .received = on_received,
                                    .may_receive = may_receive,
                                    .arg = r };
    assert_int_equal(link_bind(&options, &link), OK);
    assert_int_equal(link_start(link), OK);
    return link;
}

static bool send_bytes(struct link *link, const void *bytes, size_t len)
{
    struct buf frame = { 0 };
    buf_add(&frame, bytes, len);
    bool sent = link_send(link, OTHER, &frame);
    assert_null(frame.data);
    return sent;
}

/* Nothing waits for a connection that does not stand: try until one does. */
static void send_until_it_arrives(struct fixture *f, struct receiver *r)
{
    unsigned before = atomic_load(&r->frames);
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (atomic_load(&r->frames) == before) {
        assert_true(clock_mono_ms() < end);
        send_bytes(f->out, "hello", 5);
        usleep(1000);
    }
}

static void wait_for_frames(struct receiver *r, unsigned count)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (atomic_load(&r->frames) < count && clock_mono_ms() < end)
        usleep(1000);
}

/* All that was sent over the one connection that there was. */
static void wait_for_all(struct fixture *f, struct receiver *r)
{
    wait_for_frames(r, (unsigned)atomic_load(&link_get_stats(f->out)->sent));
    assert_int_equal(atomic_load(&r->frames), atomic_load(&link_get_stats(f->out)->sent));
}

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->zmq = rpc_context_new();
    f->in.link = open_link(f, &f->in);
    f->moved.link = open_link(f, &f->moved);
    f->out = open_link(f, &f->in);
    link_set_node(f->out, OTHER, link_endpoint(f->in.link));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    link_stop(f->out);
    link_stop(f->in.link);
    link_stop(f->moved.link);
    zmq_ctx_term(f->zmq);
    link_free(&f->out);
    link_free(&f->other);
    link_free(&f->in.link);
    link_free(&f->moved.link);
    free(f);
    assert_true(socket_guard_calls() > 0);
    assert_int_equal(socket_guard_broken(), 0);
    return 0;
}

struct sender {
    struct fixture *f;
    uint32_t number;
    atomic_uint sent;
    pthread_t thread;
};

static void *send_many(void *arg)
{
    struct sender *s = arg;
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t words[2] = { s->number, i };
        s->sent += send_bytes(s->f->out, words, sizeof words);
    }
    return NULL;
}

/* All that was not refused arrives, and what one thread said in its order. */
static void test_many_threads(void **state)
{
    struct fixture *f = *state;
    struct sender senders[SENDERS];
    send_until_it_arrives(f, &f->in);
    wait_for_all(f, &f->in);
    unsigned before = atomic_load(&f->in.frames), sent = 0;
    uint64_t counted = atomic_load(&link_get_stats(f->out)->sent);
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i].f = f;
        senders[i].number = i;
        atomic_init(&senders[i].sent, 0);
        pthread_create(&senders[i].thread, NULL, send_many, &senders[i]);
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        sent += senders[i].sent;
    }
    assert_true(sent > 0);
    wait_for_frames(&f->in, before + sent);
    assert_int_equal(atomic_load(&f->in.frames), before + sent);
    assert_int_equal(atomic_load(&f->in.wrong), 0);
    assert_int_equal(atomic_load(&link_get_stats(f->out)->sent), counted + sent);
    assert_in_range(atomic_load(&f->in.batches), 1, before + sent);
}

/* Who does not read makes the sender drop, beyond its bound and what the system's buffers take; what was
 * taken arrives. */
static void test_a_receiver_that_falls_behind(void **state)
{
    struct fixture *f = *state;
    uint8_t *piece = calloc(1, PIECE);
    send_until_it_arrives(f, &f->in);
    wait_for_all(f, &f->in);
    atomic_store(&f->in.closed, true);
    unsigned before = atomic_load(&f->in.frames), sent = 0;
    uint64_t end = clock_mono_ms() + WAIT_MS;
    /* ZeroMQ reads ahead, up to its high-water mark of messages. */
    while (send_bytes(f->out, piece, PIECE) || sent < QUEUE_BYTES / PIECE) {
        assert_true(clock_mono_ms() < end);
        if (++sent % 8 == 0)
            usleep(1000);
    }
    assert_true(atomic_load(&link_get_stats(f->out)->dropped) > 0);
    assert_true(sent < LINK_MESSAGES_MAX * 3 / 2); /* by messages alone there would be twice as many */
    assert_true(atomic_load(&f->in.frames) <= before + 1);
    atomic_store(&f->in.closed, false);
    wait_for_frames(&f->in, before + sent);
    assert_int_equal(atomic_load(&f->in.frames), before + sent);
    send_until_it_arrives(f, &f->in);
    free(piece);
}

static void test_a_node_that_moves(void **state)
{
    struct fixture *f = *state;
    send_until_it_arrives(f, &f->in);
    link_set_node(f->out, OTHER, link_endpoint(f->moved.link));
    send_until_it_arrives(f, &f->moved);
    link_set_node(f->out, OTHER, "");
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (send_bytes(f->out, "hello", 5)) {
        assert_true(clock_mono_ms() < end);
        usleep(1000);
    }
    link_set_node(f->out, OTHER, link_endpoint(f->in.link));
    send_until_it_arrives(f, &f->in);
}

static void *send_until_told(void *arg)
{
    struct sender *s = arg;
    while (!atomic_load(&s->f->enough))
        s->sent += send_bytes(s->f->out, "hello", 5);
    return NULL;
}

static void wait_for_one_sent(struct sender *s)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (atomic_load(&s->sent) == 0 && clock_mono_ms() < end)
        usleep(1000);
}

/* Connections are exchanged under the hands of those who send. */
static void test_a_node_that_moves_while_many_send(void **state)
{
    struct fixture *f = *state;
    struct sender senders[SENDERS];
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i].f = f;
        atomic_init(&senders[i].sent, 0);
        pthread_create(&senders[i].thread, NULL, send_until_told, &senders[i]);
    }
    for (int i = 0; i < MOVES; i++) {
        struct receiver *r = i % 2 == 0 ? &f->moved : &f->in;
        link_set_node(f->out, OTHER, link_endpoint(r->link));
        wait_for_frames(r, atomic_load(&r->frames) + 1);
    }
    for (uint32_t i = 0; i < SENDERS; i++) /* none was left without a processor all the time */
        wait_for_one_sent(&senders[i]);
    link_stop(f->out);
    atomic_store(&f->enough, true);
    for (uint32_t i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_true(senders[i].sent > 0);
    }
}

/* Without a socket that hears. What waits in it for a receiver that falls behind is bounded all the same. */
static void test_one_that_only_talks(void **state)
{
    struct fixture *f = *state;
    struct link_options options = {
        .zmq = f->zmq, .name = "talks", .queue_bytes_max = QUEUE_BYTES, .unsent_bytes_max = PIECE
    };
    static const uint8_t piece[PIECE];
    f->other = f->out;
    assert_int_equal(link_bind(&options, &f->out), OK);
    assert_int_equal(link_start(f->out), OK);
    link_set_node(f->out, OTHER, link_endpoint(f->in.link));
    send_until_it_arrives(f, &f->in);
    atomic_store(&f->in.closed, true);
    for (uint64_t end = clock_mono_ms() + WAIT_MS; send_bytes(f->out, piece, PIECE);)
        assert_true(clock_mono_ms() < end);
    atomic_store(&f->in.closed, false);
    send_until_it_arrives(f, &f->in);
    link_stop(f->other);
}

static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    struct buf frame = { 0 };
    buf_add_str(&frame, "hello");
    assert_false(link_send(f->out, OTHER + 1, &frame));
    link_stop(f->out);
    assert_false(send_bytes(f->out, "hello", 5));
    assert_int_equal(atomic_load(&link_get_stats(f->out)->dropped), 2);
}

/* One frame a message: none or more make no sense. */
static void test_other_frames(void **state)
{
    struct fixture *f = *state;
    void *socket = zmq_socket(f->zmq, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_connect(socket, link_endpoint(f->in.link)), 0);
    for (int count = 2; count <= 4; count++) {
        for (int i = 1; i <= count; i++)
            assert_true(zmq_send(socket, "a", 1, i < count ? ZMQ_SNDMORE : 0) == 1);
    }
    assert_true(zmq_send(socket, "good", 4, 0) == 4);
    wait_for_frames(&f->in, 1);
    assert_int_equal(atomic_load(&f->in.frames), 1);
    assert_int_equal(atomic_load(&link_get_stats(f->in.link)->malformed), 3);
    zmq_close(socket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_receiver_that_falls_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_node_that_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_node_that_moves_while_many_send, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_only_talks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_frames, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
