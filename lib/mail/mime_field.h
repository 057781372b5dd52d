/* SPDX-License-Identifier: Apache-2.0 */
/* The MIME fields of one entity: Content-Type, -Transfer-Encoding, -Disposition, -ID, -Description, -MD5,
 * -Language, -Location (RFC 2045, 2183, 2231, 1864, 3282, 2557). The first field of a name counts. */
#ifndef LIB_MAIL_MIME_FIELD_H
#define LIB_MAIL_MIME_FIELD_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"

enum {
    MIME_PARAMS_MAX = 64,        /* parameters kept of one field */
    MIME_PARAM_BYTES_MAX = 8192, /* bytes of names and values kept of one field */
    MIME_VALUE_MAX = 2048,       /* kept of a token, id, description, location */
    MIME_LANGUAGES_MAX = 16,
    MIME_BOUNDARY_MAX = 200, /* RFC 2046 allows 70; longer ones are compared up to here */
};

struct mime_param {
    struct slice name;  /* with a final "*" if the value is charset'language'percent-encoded (RFC 2231) */
    struct slice value; /* quoting removed, continuations joined */
};

struct mime_params {
    struct mime_param *items;
    size_t count;
};

/* What a header says of its entity; SLICE_NULL where it says nothing (type and subtype are always set). */
struct mime_info {
    struct slice type, subtype;
    struct mime_params params;
    struct slice id, description, encoding, md5, location;
    struct slice disposition;
    struct mime_params disposition_params;
    struct slice *languages;
    size_t language_count;
    bool typed; /* there was a Content-Type that could be read */
};

/* Read the fields of a header block. Without a readable Content-Type the type is text/plain, or
 * message/rfc822 `in_digest` (RFC 2046 5.1.5). All strings are copied into the arena. */
void mime_info_parse(struct arena *arena, struct slice block, bool in_digest, struct mime_info *info);

/* The value of a parameter, or SLICE_NULL. */
struct slice mime_param_get(const struct mime_params *params, const char *name);

#endif
