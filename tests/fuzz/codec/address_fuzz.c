/* SPDX-License-Identifier: Apache-2.0 */
/* An accepted address stays within its bounds, and its canonical form is accepted and stays as it is. */
#include <assert.h>

#include "lib/mail/address.h"
#include "lib/mail/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    struct address a, again;
    if (address_parse(slice_of(data, size), &arena, &a) == OK) {
        assert(a.canonical.len <= ADDRESS_CANONICAL_MAX && a.domain.len <= ADDRESS_DOMAIN_MAX);
        assert(utf8_is_valid(a.canonical) && utf8_is_ascii(a.domain));
        assert(address_parse(a.canonical, &arena, &again) == OK);
        assert(slice_eq(a.canonical, again.canonical) && slice_eq(a.local, again.local));
        assert(again.tag.data == NULL && slice_eq(a.domain, again.domain));
    }
    arena_fini(&arena);
    return 0;
}
