/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/frame.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static void must_init(int rc)
{
    if (rc != 0)
        abort(); /* out of memory */
}

void frame_pack(zmq_msg_t *msg, const ProtobufCMessage *message)
{
    must_init(zmq_msg_init_size(msg, protobuf_c_message_get_packed_size(message)));
    protobuf_c_message_pack(message, zmq_msg_data(msg));
}

static void free_data(void *data, void *hint)
{
    (void)hint;
    free(data);
}

void frame_take(zmq_msg_t *msg, struct buf *buf)
{
    if (buf == NULL || buf->len <= FRAME_COPY_MAX) {
        size_t len = buf == NULL ? 0 : buf->len;
        must_init(zmq_msg_init_size(msg, len));
        if (len > 0)
            memcpy(zmq_msg_data(msg), buf->data, len);
        if (buf != NULL)
            buf_fini(buf);
        return;
    }
    size_t len;
    uint8_t *data = buf_detach(buf, &len);
    must_init(zmq_msg_init_data(msg, data, len, free_data, NULL));
}

struct slice frame_slice(zmq_msg_t *msg)
{
    return slice_of(zmq_msg_data(msg), zmq_msg_size(msg));
}
