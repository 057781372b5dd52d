/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/convert_priv.h"

struct slice text_read(const char *text, struct arena *arena)
{
    return slice_str(arena_strdup(arena, slice_str(text)));
}

struct slice *texts_read(char *const *texts, size_t count, struct arena *arena)
{
    struct slice *out = ARENA_ARRAY(arena, struct slice, count);
    for (size_t i = 0; i < count; i++)
        out[i] = text_read(texts[i], arena);
    return out;
}

char **texts_write(const struct slice *texts, size_t count, struct arena *arena)
{
    char **out = ARENA_ARRAY(arena, char *, count);
    for (size_t i = 0; i < count; i++)
        out[i] = arena_strdup(arena, texts[i]);
    return out;
}

enum err uids_read(ProtobufCBinaryData bytes, struct uidset *out)
{
    uidset_clear(out);
    if (bytes.len == 0)
        return OK;
    struct cursor c = cursor_of(pb_slice(bytes));
    return uidset_decode(&c, out) == OK && cursor_done(&c) ? OK : ERR_PROTOCOL;
}

ProtobufCBinaryData uids_write(const struct uidset *uids, struct arena *arena)
{
    struct buf buf = { 0 };
    uidset_encode(uids, &buf);
    struct slice copy = arena_slice(arena, buf_slice(&buf));
    buf_fini(&buf);
    return pb_bytes(copy);
}

void uids_take(struct uidset *from, uint32_t most, struct uidset *part)
{
    uidset_clear(part);
    if (uidset_count(from) <= most) {
        uidset_copy(from, part);
        uidset_clear(from);
        return;
    }
    uint32_t last = uidset_at(from, most - 1);
    struct uidset below = { 0 };
    uidset_add_range(&below, 1, last);
    uidset_intersect(from, &below, part);
    uidset_remove_range(from, 1, last);
    uidset_fini(&below);
}
