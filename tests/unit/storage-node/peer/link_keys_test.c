/* SPDX-License-Identifier: Apache-2.0 */
/* Two links with keys: a node that starts anew while a full queue waits for it. With keys a frame is let go
 * of when it is encrypted, so that the end of a connection alone frees nothing that is counted. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "storage-node/peer/link.h"
#include "tests/unit/lib/rpc/keys_fixture.h"

enum {
    OTHER = 2,
    QUEUE_BYTES = 1 << 20,
    PIECE = 64 * 1024,
    REFUSED_IN_A_ROW = 200, /* milliseconds: nothing moves any more */
    SEE_END_MS = 300,       /* until the other end has seen a connection end */
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

static void fill_queue(struct end *from)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    for (unsigned refused = 0; refused < REFUSED_IN_A_ROW; usleep(1000)) {
        assert_true(clock_mono_ms() < until);
        refused = send_bytes(from->link, PIECE) ? 0 : refused + 1;
    }
}

/* What waited for the connection that ended does not count any more. */
static void a_node_starts_anew_with_its_queue_full(void **state)
{
    static struct end out, in;
    char endpoint[RPC_ENDPOINT_MAX];
    (void)state;
    open_end(&out, "tcp://127.0.0.1:0");
    open_end(&in, "tcp://127.0.0.1:0");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_starts_anew_with_its_queue_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
