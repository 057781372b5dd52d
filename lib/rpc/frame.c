/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/frame.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/rpc/endpoint.h"

static void must_init(int rc)
{
    if (rc != 0)
        abort(); /* out of memory */
}

enum err frame_decode_request(struct slice bytes, struct frame_request *out)
{
    if (bytes.len > FRAME_HEADER_MAX)
        return ERR_PROTOCOL;
    Tern__RequestHeader *h = tern__request_header__unpack(NULL, bytes.len, bytes.data);
    if (h == NULL)
        return ERR_PROTOCOL;
    enum err err = h->call == 0 ? ERR_PROTOCOL : h->version == RPC_VERSION ? OK : ERR_UNSUPPORTED;
    *out = (struct frame_request){
        .call = h->call,
        .method = h->method,
        .partition = h->partition,
        .map_version = h->map_version,
        .deadline_ms = h->deadline_ms,
        .has_request_id = h->request_id.len == FRAME_REQUEST_ID_SIZE,
    };
    if (out->has_request_id)
        memcpy(out->request_id, h->request_id.data, FRAME_REQUEST_ID_SIZE);
    tern__request_header__free_unpacked(h, NULL);
    return err;
}

enum err frame_decode_response(struct slice bytes, Tern__ResponseHeader **out)
{
    if (bytes.len > FRAME_HEADER_MAX)
        return ERR_PROTOCOL;
    Tern__ResponseHeader *h = tern__response_header__unpack(NULL, bytes.len, bytes.data);
    if (h == NULL)
        return ERR_PROTOCOL;
    if (h->version != RPC_VERSION) {
        tern__response_header__free_unpacked(h, NULL);
        return ERR_PROTOCOL;
    }
    *out = h;
    return OK;
}

void frame_pack(zmq_msg_t *msg, const ProtobufCMessage *message)
{
    must_init(zmq_msg_init_size(msg, protobuf_c_message_get_packed_size(message)));
    protobuf_c_message_pack(message, zmq_msg_data(msg));
}

void frame_copy(zmq_msg_t *msg, struct slice bytes)
{
    must_init(zmq_msg_init_size(msg, bytes.len));
    if (bytes.len > 0)
        memcpy(zmq_msg_data(msg), bytes.data, bytes.len);
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
