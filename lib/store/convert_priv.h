/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/store: between protobuf's values and ours. */
#ifndef LIB_STORE_CONVERT_PRIV_H
#define LIB_STORE_CONVERT_PRIV_H

#include <protobuf-c/protobuf-c.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/mail/uidset.h"

static inline ProtobufCBinaryData pb_bytes(struct slice s)
{
    return (ProtobufCBinaryData){ s.len, (uint8_t *)s.data };
}

static inline struct slice pb_slice(ProtobufCBinaryData b)
{
    return slice_of(b.data, b.len);
}

/* Texts of an answer into the arena; slices of a request as texts in the arena. */
struct slice text_read(const char *text, struct arena *arena);
struct slice *texts_read(char *const *texts, size_t count, struct arena *arena);
char **texts_write(const struct slice *texts, size_t count, struct arena *arena);
/* A set from an answer's bytes, replacing *out (initialised); empty bytes are the empty set. ERR_PROTOCOL. */
MUST_CHECK enum err uids_read(ProtobufCBinaryData bytes, struct uidset *out);
/* A set as bytes in the arena. */
ProtobufCBinaryData uids_write(const struct uidset *uids, struct arena *arena);
/* Move the first `most` members of *from to *part (both initialised; *part is replaced). */
void uids_take(struct uidset *from, uint32_t most, struct uidset *part);

#endif
