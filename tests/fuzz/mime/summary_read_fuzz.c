/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a stored summary: readers must end without touching other memory. */
#include <stdlib.h>

#include "lib/mail/imap_format.h"
#include "lib/mail/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct summary *s)
{
    struct buf out = { 0 };
    struct imap_format how = { .utf8 = true };
    struct summary_envelope env;
    struct mail_addr addr;
    struct section section;
    struct slice names[] = { SLICE_LIT("To"), SLICE_LIT("X-Other") };
    uint32_t path[] = { 2, 1, 1 };
    (void)!imap_format_envelope(s, &how, &out);
    (void)!imap_format_body(s, &how, &out);
    (void)!imap_format_bodystructure(s, &how, &out);
    if (summary_envelope_get(s, &env) == OK) {
        while (summary_addr_next(&env.to, &addr))
            buf_add_slice(&out, addr.mailbox);
    }
    for (size_t depth = 0; depth <= 3; depth++) {
        if (section_resolve(s, path, depth, SECTION_BODY, &section) == OK &&
            (section.offset > s->size || section.len > s->size - section.offset))
            abort();
    }
    summary_header_fields(s, names, 1, &out);
    summary_header_fields(s, names, 2, &out);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct summary s;
    if (summary_open(slice_of(data, size), &s) == OK)
        read_all(&s);
    /* The parts without the frame around them, which random bytes seldom have. */
    s = (struct summary){ .has = ~0u, .size = 1000 };
    s.tree = s.envelope = s.headers = s.other_names = slice_of(data, size);
    read_all(&s);
    return 0;
}
