/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/header.h"

static bool is_wsp(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Length of the first line of `s`, its line end included. */
static size_t line_len(struct slice s)
{
    ptrdiff_t lf = slice_find(s, '\n');
    return lf < 0 ? s.len : (size_t)lf + 1;
}

static struct slice without_eol(struct slice line)
{
    if (line.len > 0 && line.data[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Length of the first line and those that continue it. */
static size_t field_len(struct slice s)
{
    size_t len = line_len(s);
    while (len < s.len && is_wsp(s.data[len]))
        len += line_len(slice_sub(s, len, s.len));
    return len;
}

/* RFC 5322 2.2: a name is printable ASCII without colon; blanks before the colon are obsolete but seen. */
static bool split_field(struct slice raw, struct header_field *field)
{
    ptrdiff_t colon = slice_find(slice_sub(raw, 0, line_len(raw)), ':');
    if (colon <= 0)
        return false;
    struct slice name = slice_sub(raw, 0, (size_t)colon);
    while (name.len > 0 && is_wsp(name.data[name.len - 1]))
        name.len--;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] == 0x7f)
            return false;
    }
    field->name = name;
    field->value = without_eol(slice_sub(raw, (size_t)colon + 1, raw.len));
    field->raw = raw;
    return name.len > 0;
}

bool header_next(struct slice *rest, struct header_field *field_out)
{
    while (rest->len > 0) {
        if (without_eol(slice_sub(*rest, 0, line_len(*rest))).len == 0)
            return false;
        size_t len = field_len(*rest);
        struct slice raw = slice_sub(*rest, 0, len);
        *rest = slice_sub(*rest, len, rest->len);
        if (!is_wsp(raw.data[0]) && split_field(raw, field_out))
            return true;
    }
    return false;
}

bool header_find(struct slice block, const char *name, struct header_field *field_out)
{
    while (header_next(&block, field_out)) {
        if (slice_eq_nocase_str(field_out->name, name))
            return true;
    }
    return false;
}

struct slice header_unfold(struct arena *arena, struct slice value)
{
    value = slice_trim(value);
    if (value.len == 0)
        return slice_of(value.data == NULL ? (const uint8_t *)"" : value.data, 0);
    if (slice_find(value, '\n') < 0 && slice_find(value, '\r') < 0 && slice_find(value, '\0') < 0)
        return value;
    uint8_t *copy = arena_alloc(arena, value.len);
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c != '\r' && c != '\n')
            copy[len++] = c == '\0' ? '?' : c;
    }
    return slice_of(copy, len);
}

static bool is_named(struct slice name, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

void header_filter(struct slice block, const struct slice *names, size_t count, bool except, struct buf *out)
{
    struct header_field field;
    while (header_next(&block, &field)) {
        if (is_named(field.name, names, count) == except)
            continue;
        buf_add_slice(out, field.raw);
        if (field.raw.data[field.raw.len - 1] != '\n')
            buf_add_str(out, "\r\n");
    }
    buf_add_str(out, "\r\n");
}
