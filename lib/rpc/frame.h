/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: the header's bytes to and from a struct, and buffers into ZeroMQ messages. Only for lib/rpc. */
#ifndef LIB_RPC_FRAME_H
#define LIB_RPC_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <zmq.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum {
    FRAME_HEADER_MAX = 4096, /* bytes of a header frame */
    FRAME_COPY_MAX = 2048,   /* smaller buffers are copied into their message, larger ones handed over */
};

/* The packed message in a fresh zmq_msg_t. */
void frame_pack(zmq_msg_t *msg, const ProtobufCMessage *message);
/* The buffer's bytes as a message; the buffer is empty afterwards. */
void frame_take(zmq_msg_t *msg, struct buf *buf);
struct slice frame_slice(zmq_msg_t *msg);

#endif
