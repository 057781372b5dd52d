/* SPDX-License-Identifier: Apache-2.0 */
#include "director/rows.h"

#include <inttypes.h>
#include <string.h>

enum { ROW_VERSION = 1 };

static const struct {
    const char *prefix;
    int digits; /* 0: a name follows, or nothing */
    bool alone; /* nothing follows */
} layouts[] = {
    [ROW_CLUSTER] = { "cluster", 0, true },       [ROW_NODE_ID] = { "node-id", 0, true },
    [ROW_NODE] = { "node/", 10, false },          [ROW_REMOVED] = { "removed/", 10, false },
    [ROW_PARTITION] = { "partition/", 6, false }, [ROW_DOMAIN] = { "domain/", 0, false },
    [ROW_SETTING] = { "setting/", 0, false },
};

void row_key(struct buf *out, enum row_kind kind, uint32_t number, struct slice name)
{
    buf_clear(out);
    buf_add_str(out, layouts[kind].prefix);
    if (layouts[kind].digits > 0)
        buf_addf(out, "%0*" PRIu32, layouts[kind].digits, number);
    else if (!layouts[kind].alone)
        buf_add_slice(out, name);
}

static bool parse_rest(enum row_kind kind, struct slice rest, uint32_t *number_out, struct slice *name_out)
{
    uint64_t number = 0;
    *number_out = 0;
    *name_out = SLICE_NULL;
    if (layouts[kind].alone)
        return rest.len == 0;
    if (layouts[kind].digits == 0) {
        *name_out = rest;
        return rest.len > 0;
    }
    if (rest.len != (size_t)layouts[kind].digits || !slice_parse_u64(rest, UINT32_MAX, &number))
        return false;
    *number_out = (uint32_t)number;
    return true;
}

enum err row_parse_key(struct slice key, enum row_kind *kind_out, uint32_t *number_out,
                       struct slice *name_out)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        struct slice prefix = slice_str(layouts[i].prefix);
        if (slice_starts(key, prefix) &&
            parse_rest((enum row_kind)i, slice_sub(key, prefix.len, key.len), number_out, name_out)) {
            *kind_out = (enum row_kind)i;
            return OK;
        }
    }
    return ERR_CORRUPT;
}

void row_value(struct buf *out, const ProtobufCMessage *message)
{
    buf_clear(out);
    buf_add_byte(out, ROW_VERSION);
    size_t size = protobuf_c_message_get_packed_size(message);
    protobuf_c_message_pack(message, buf_reserve(out, size));
    out->len += size;
}

ProtobufCMessage *row_parse_value(struct slice value, const ProtobufCMessageDescriptor *descriptor)
{
    if (value.len < 1 || value.data[0] != ROW_VERSION)
        return NULL;
    return protobuf_c_message_unpack(descriptor, NULL, value.len - 1, value.data + 1);
}
