/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints and networks: what is accepted is formatted to text that means the same. */
#include <stdlib.h>

#include "lib/net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    struct addr a, b;
    if (addr_parse(text, 25, &a) == OK) {
        struct addr_text formatted = addr_format(&a);
        check(addr_parse(slice_str(formatted.text), 0, &b) == OK);
        check(addr_eq_ip(&a, &b) && a.port == b.port);
    }
    struct addr_net net;
    if (addr_net_parse(text, &net) == OK)
        check(addr_net_contains(&net, &net.base));
    return 0;
}
