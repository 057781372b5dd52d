/* SPDX-License-Identifier: Apache-2.0 */
/* From a section spec (RFC 9051 6.4.5.1) to the bytes it means. Pure. */
#ifndef LIB_MAIL_SECTION_H
#define LIB_MAIL_SECTION_H

#include "lib/mail/decode.h"
#include "lib/mail/summary.h"

enum section_kind {
    SECTION_BODY, /* BODY[] is the whole message, BODY[1.2] a part's body */
    SECTION_HEADER,
    SECTION_HEADER_FIELDS,     /* the range is the header; run header_filter (header.h) over it */
    SECTION_HEADER_FIELDS_NOT, /* the same */
    SECTION_TEXT,
    SECTION_MIME, /* needs a path */
};

struct section {
    uint64_t offset, len; /* in the message */
    enum decode_kind
        encoding; /* for BINARY: how to decode the range; DECODE_NONE for anything but a leaf's body */
};

/* Resolve `path` (`depth` part numbers, from 1; 0 = the message itself) and `kind`.
 * ERR_NOT_FOUND: there is no such part, or it has no such section (HEADER and TEXT of a part need
 * message/rfc822): IMAP answers NIL. ERR_UNSUPPORTED: the summary has no tree, make a full one from the body.
 * ERR_CORRUPT: damaged. */
MUST_CHECK enum err section_resolve(const struct summary *s, const uint32_t *path, size_t depth,
                                    enum section_kind kind, struct section *out);

#endif
