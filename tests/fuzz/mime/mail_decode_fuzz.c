/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes decoded in pieces and in whole must give the same; the first byte chooses the encoding, the
 * second the step. */
#include <stdlib.h>

#include "lib/mail/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err decode(struct slice in, enum decode_kind kind, size_t step, struct buf *out)
{
    struct decoder d;
    decoder_init(&d, kind, true);
    for (size_t i = 0; i < in.len; i += step)
        decoder_push(&d, slice_sub(in, i, i + step), out);
    return decoder_finish(&d, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice in = slice_of(data + 2, size - 2);
    enum decode_kind kind = (enum decode_kind)(data[0] % (DECODE_UNKNOWN + 1));
    struct buf whole = { 0 }, pieces = { 0 };
    enum err err = decode(in, kind, SIZE_MAX / 2, &whole);
    if (decode(in, kind, 1 + data[1] % 32, &pieces) != err ||
        !slice_eq(buf_slice(&whole), buf_slice(&pieces)) || whole.len > in.len)
        abort();
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
