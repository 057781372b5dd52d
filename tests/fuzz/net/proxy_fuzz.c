/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy header: a final answer never changes when more bytes come, and consumes only what it saw. */
#include <stdlib.h>

#include "lib/net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIXES_MAX = 256 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, earlier_header;
    size_t consumed, earlier_consumed;
    enum proxy_result result = proxy_parse(slice_of(data, size), &header, &consumed);
    check(consumed <= size && (result == PROXY_DONE) == (consumed > 0));
    check(result != PROXY_MORE || size < PROXY_V2_MAX);
    for (size_t len = 0; len < size && len < PREFIXES_MAX; len++) {
        enum proxy_result earlier = proxy_parse(slice_of(data, len), &earlier_header, &earlier_consumed);
        check(earlier == PROXY_MORE || (earlier == result && earlier_consumed == consumed));
    }
    if (result == PROXY_DONE && header.has_addrs)
        check(addr_format(&header.peer).text[0] != '-' && addr_format(&header.local).text[0] != '-');
    return 0;
}
