/* SPDX-License-Identifier: Apache-2.0 */
/* Any header: what comes out is ASCII, bounded, ends with an empty line, and is not changed a second time. */
#include <stdlib.h>

#include "lib/mail/downgrade.h"
#include "lib/mail/utf8.h"

enum { GROWTH_MAX = 60 }; /* ",ü" becomes an encoded word and an address */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = { 0 }, twice = { 0 };

    downgrade_header(slice_of(data, size), &once);
    downgrade_header(buf_slice(&once), &twice);
    if (!utf8_is_ascii(buf_slice(&once)) || !slice_eq(buf_slice(&once), buf_slice(&twice)))
        abort();
    if (once.len < 2 || once.len > size * GROWTH_MAX + 2 || memcmp(once.data + once.len - 2, "\r\n", 2) != 0)
        abort();
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
