/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: the header's bytes to and from a struct, and buffers into ZeroMQ messages. Only for lib/rpc. */
#ifndef LIB_RPC_FRAME_H
#define LIB_RPC_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <zmq.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "proto/rpc.pb-c.h"

enum {
    FRAME_HEADER_MAX = 4096, /* bytes of a header frame */
    FRAME_COPY_MAX = 2048,   /* smaller buffers are copied into their message, larger ones handed over */
    FRAME_REQUEST_ID_SIZE = 16,
};

/* What a request's header says. */
struct frame_request {
    uint64_t call;
    uint32_t method, partition;
    uint64_t map_version;
    uint32_t deadline_ms;
    bool has_request_id;
    uint8_t request_id[FRAME_REQUEST_ID_SIZE];
};
/* ERR_PROTOCOL unless the bytes are a header that names a call; ERR_UNSUPPORTED if it is of another version,
 * with the call filled in, whose field stays in all versions. A request id of another size counts as none. */
MUST_CHECK enum err frame_decode_request(struct slice bytes, struct frame_request *out);
/* The same of an answer or notice (call 0). The caller frees *out with tern__response_header__free_unpacked.
 */
MUST_CHECK enum err frame_decode_response(struct slice bytes, Tern__ResponseHeader **out);

/* The packed message in a fresh zmq_msg_t. */
void frame_pack(zmq_msg_t *msg, const ProtobufCMessage *message);
/* A copy of the bytes. */
void frame_copy(zmq_msg_t *msg, struct slice bytes);
/* The buffer's bytes as a message; the buffer is empty afterwards. */
void frame_take(zmq_msg_t *msg, struct buf *buf);
struct slice frame_slice(zmq_msg_t *msg);

#endif
