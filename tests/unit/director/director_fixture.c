/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/director/director_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "director/coordination/embedded.h"

enum err try_start(struct fixture *f, uint32_t partitions, uint32_t initial_nodes)
{
    struct director_options options = { .zmq = f->zmq,
                                        .listen = "tcp://127.0.0.1:0",
                                        .partitions = partitions,
                                        .copies = 1,
                                        .initial_nodes = initial_nodes,
                                        .repair_after_ms = 600 * 1000,
                                        .moves_max = 16,
                                        .moves_per_node = 4,
                                        .drain_timeout_ms = 2000 };
    assert_int_equal(embedded_open(f->folder, &options.coordination), OK);
    return director_start(&options, &f->director);
}

void *connect_to(struct fixture *f)
{
    int timeout_ms = 10000, linger = 0;
    void *socket = zmq_socket(f->zmq, ZMQ_DEALER);
    assert_non_null(socket);
    f->sockets[f->socket_count++] = socket;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    int ipv6 = 1;
    zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof ipv6);
    assert_int_equal(zmq_connect(socket, director_endpoint(f->director)), 0);
    return socket;
}

void *restart(struct fixture *f)
{
    director_stop(&f->director);
    assert_int_equal(try_start(f, 256, 1), OK);
    return connect_to(f);
}

int director_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/director_test_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->zmq = zmq_ctx_new();
    assert_int_equal(try_start(f, 256, 1), OK);
    *state = f;
    return 0;
}

int director_teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    for (size_t i = 0; i < f->socket_count; i++)
        zmq_close(f->sockets[i]);
    director_stop(&f->director);
    zmq_ctx_term(f->zmq);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    free(f);
    return system(command);
}

void send_request(struct fixture *f, void *socket, uint32_t method, const ProtobufCMessage *request)
{
    Tern__RequestHeader header = TERN__REQUEST_HEADER__INIT;
    uint8_t bytes[4096];
    header.version = 1;
    header.call = ++f->calls;
    header.method = method;
    header.deadline_ms = 10000;
    size_t len = tern__request_header__pack(&header, bytes);
    assert_true(zmq_send(socket, bytes, len, ZMQ_SNDMORE) >= 0);
    len = protobuf_c_message_pack(request, bytes);
    assert_true(zmq_send(socket, bytes, len, 0) >= 0);
}

Tern__ResponseHeader *receive(void *socket, struct buf *out)
{
    Tern__ResponseHeader *header = NULL;
    int more = 1;
    for (int frame = 0; more; frame++) {
        zmq_msg_t msg;
        size_t size = sizeof more;
        zmq_msg_init(&msg);
        assert_true(zmq_msg_recv(&msg, socket, 0) >= 0);
        if (frame == 0)
            header = tern__response_header__unpack(NULL, zmq_msg_size(&msg), zmq_msg_data(&msg));
        else if (out != NULL)
            buf_add(out, zmq_msg_data(&msg), zmq_msg_size(&msg));
        zmq_msg_close(&msg);
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    assert_non_null(header);
    return header;
}

enum err ask(struct fixture *f, void *socket, uint32_t method, const ProtobufCMessage *request,
             struct buf *out)
{
    send_request(f, socket, method, request);
    for (;;) {
        buf_clear(out);
        Tern__ResponseHeader *header = receive(socket, out);
        enum err status = (enum err)header->status;
        bool mine = header->call == f->calls;
        tern__response_header__free_unpacked(header, NULL);
        if (mine)
            return status;
    }
}

void prepare_hello(struct hello *h, uint8_t store, const char *endpoint)
{
    memset(h->id, 0, sizeof h->id);
    h->id[0] = store;
    tern__node_info__init(&h->node);
    tern__node_hello_request__init(&h->request);
    h->node.store_id = (ProtobufCBinaryData){ sizeof h->id, h->id };
    h->node.name = (char *)"n";
    h->node.endpoint = (char *)endpoint;
    h->request.node = &h->node;
    h->request.whole = true;
}

enum { BUSY_MS = 5000, BUSY_STEP_MS = 50 };

uint32_t hello(struct fixture *f, void *socket, uint8_t store, const char *endpoint)
{
    struct buf out = { 0 };
    struct hello h;
    uint32_t given;
    bool asked;
    prepare_hello(&h, store, endpoint);
    do {
        enum err err = ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out);
        for (int waited = 0; err == ERR_BUSY && waited < BUSY_MS; waited += BUSY_STEP_MS) {
            usleep(BUSY_STEP_MS * 1000);
            err = ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out);
        }
        assert_int_equal(err, OK);
        Tern__NodeHelloResponse *response = tern__node_hello_response__unpack(NULL, out.len, out.data);
        given = response->node_id;
        asked = response->tell_copies && response->hearing != h.request.hearing;
        h.request.hearing = response->hearing;
        tern__node_hello_response__free_unpacked(response, NULL);
    } while (asked);
    buf_fini(&out);
    return given;
}

Tern__MapResponse *ask_map(struct fixture *f, void *socket, uint64_t have, bool subscribe)
{
    struct buf out = { 0 };
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    request.have_version = have;
    request.subscribe = subscribe;
    assert_int_equal(ask(f, socket, METHOD_MAP, &request.base, &out), OK);
    Tern__MapResponse *response = tern__map_response__unpack(NULL, out.len, out.data);
    assert_non_null(response);
    buf_fini(&out);
    return response;
}

Tern__MapResponse *wait_placed(struct fixture *f, void *socket)
{
    for (int i = 0; i < 500; i++) {
        Tern__MapResponse *response = ask_map(f, socket, 0, false);
        if (response->map->n_partitions > 0)
            return response;
        tern__map_response__free_unpacked(response, NULL);
        usleep(10000);
    }
    fail_msg("partitions are not placed");
    return NULL;
}

void place(struct fixture *f, void *socket)
{
    tern__map_response__free_unpacked(wait_placed(f, socket), NULL);
}

enum err domain_add(struct fixture *f, void *socket, const char *name)
{
    struct buf out = { 0 };
    Tern__DomainAddRequest request = TERN__DOMAIN_ADD_REQUEST__INIT;
    request.name = (char *)name;
    enum err err = ask(f, socket, METHOD_DOMAIN_ADD, &request.base, &out);
    buf_fini(&out);
    return err;
}
