/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of requests and answers from a peer that may say anything. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/rpc/endpoint.h"
#include "lib/rpc/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of(data, size);
    struct frame_request request;
    Tern__ResponseHeader *response;
    if (frame_decode_request(bytes, &request) == OK && (request.call == 0 || size > FRAME_HEADER_MAX))
        abort();
    if (frame_decode_response(bytes, &response) == OK) {
        if (response->version != RPC_VERSION || size > FRAME_HEADER_MAX)
            abort();
        tern__response_header__free_unpacked(response, NULL);
    }
    return 0;
}
