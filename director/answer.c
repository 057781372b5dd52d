/* SPDX-License-Identifier: Apache-2.0 */
#include "director/director_priv.h"

void answer(struct director *d, struct rpc_request *request, enum err status, const char *detail,
            const ProtobufCMessage *response)
{
    struct rpc_reply_info info = { .detail = detail, .map_version = d->map.version };
    struct buf bytes = { 0 };
    if (response != NULL) {
        size_t size = protobuf_c_message_get_packed_size(response);
        protobuf_c_message_pack(response, buf_reserve(&bytes, size));
        bytes.len += size;
    }
    rpc_reply(&request, status, &info, &bytes, NULL);
}

ProtobufCMessage *answer_unpack(struct director *d, struct rpc_request *request,
                                const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, NULL, request->request.len, request->request.data);
    if (message == NULL)
        answer(d, request, ERR_PROTOCOL, "the request does not decode", NULL);
    return message;
}
