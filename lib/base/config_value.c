/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/config_value.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/ascii.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    { "", 1 }, { "K", 1ull << 10 }, { "M", 1ull << 20 }, { "G", 1ull << 30 }, { "T", 1ull << 40 },
};
static const struct unit duration_units[] = {
    { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 86400 * 1000 },
};

/* Digits, then one of the units; the product must fit an int64 (bounds are int64). */
static bool parse_unit(struct slice text, const struct unit *units, size_t count, uint64_t *out)
{
    size_t digits = 0;
    while (digits < text.len && ascii_is_digit(text.data[digits]))
        digits++;
    uint64_t number;
    if (!slice_parse_u64(slice_sub(text, 0, digits), INT64_MAX, &number))
        return false;
    struct slice suffix = slice_sub(text, digits, text.len);
    for (size_t i = 0; i < count; i++) {
        if (!slice_eq_nocase_str(suffix, units[i].name))
            continue;
        if (number > (uint64_t)INT64_MAX / units[i].factor)
            return false;
        *out = number * units[i].factor;
        return true;
    }
    return false;
}

bool config_parse_size(struct slice text, uint64_t *bytes_out)
{
    return parse_unit(text, size_units, sizeof size_units / sizeof size_units[0], bytes_out);
}

bool config_parse_duration(struct slice text, uint64_t *ms_out)
{
    return parse_unit(text, duration_units, sizeof duration_units / sizeof duration_units[0], ms_out);
}

const char *config_type_text(enum config_type type)
{
    switch (type) {
    case CONFIG_STRING:
        return "a string";
    case CONFIG_INT:
        return "a whole number";
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_SIZE:
        return "a size like \"64M\"";
    case CONFIG_DURATION:
        return "a duration like \"10s\"";
    case CONFIG_STRINGS:
        return "a list of strings";
    }
    return "?";
}

static void *field_of(const struct config_key *key, void *out)
{
    return (char *)out + key->offset;
}

static void free_strings(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct config_strings){ 0 };
}

void config_free_field(const struct config_key *key, void *out)
{
    if (key->type == CONFIG_STRING) {
        char **field = field_of(key, out);
        free(*field);
        *field = NULL;
    } else if (key->type == CONFIG_STRINGS) {
        free_strings(field_of(key, out));
    }
}

static enum err check_bounds(const struct config_key *key, int64_t value, const char *what, struct buf *why)
{
    if (value >= key->min && value <= key->max)
        return OK;
    buf_addf(why, "%s must be from %" PRId64 " to %" PRId64 ", not %" PRId64, what, key->min, key->max,
             value);
    return ERR_INVALID;
}

static enum err put_unit(const struct config_key *key, uint64_t value, void *out, struct buf *why)
{
    TRY(check_bounds(key, (int64_t)value, key->type == CONFIG_SIZE ? "bytes" : "milliseconds", why));
    *(uint64_t *)field_of(key, out) = value;
    return OK;
}

enum err config_put_number(const struct config_key *key, int64_t value, void *out, struct buf *why)
{
    if (key->type == CONFIG_INT) {
        TRY(check_bounds(key, value, "it", why));
        *(int64_t *)field_of(key, out) = value;
        return OK;
    }
    bool fits = value >= 0 &&
                (key->type == CONFIG_SIZE || (key->type == CONFIG_DURATION && value <= INT64_MAX / 1000));
    if (!fits) {
        buf_addf(why, "must be %s", config_type_text(key->type));
        return ERR_INVALID;
    }
    return put_unit(key, key->type == CONFIG_SIZE ? (uint64_t)value : (uint64_t)value * 1000, out, why);
}

enum err config_put_string(const struct config_key *key, struct slice text, void *out, struct buf *why)
{
    uint64_t number = 0;
    if (key->type == CONFIG_STRING) {
        TRY(check_bounds(key, (int64_t)text.len, "its length", why));
        config_free_field(key, out);
        *(char **)field_of(key, out) = slice_dup(text);
        return OK;
    }
    if ((key->type == CONFIG_SIZE && config_parse_size(text, &number)) ||
        (key->type == CONFIG_DURATION && config_parse_duration(text, &number)))
        return put_unit(key, number, out, why);
    buf_addf(why, "must be %s", config_type_text(key->type));
    return ERR_INVALID;
}

enum err config_put_strings(const struct config_key *key, const struct slice *items, size_t count, void *out,
                            struct buf *why)
{
    if (key->type != CONFIG_STRINGS) {
        buf_addf(why, "must be %s", config_type_text(key->type));
        return ERR_INVALID;
    }
    TRY(check_bounds(key, (int64_t)count, "the number of items", why));
    config_free_field(key, out);
    struct config_strings *field = field_of(key, out);
    field->items = NEW_ARRAY(char *, count);
    field->count = count;
    for (size_t i = 0; i < count; i++)
        field->items[i] = slice_dup(items[i]);
    return OK;
}

void config_put_bool(const struct config_key *key, bool value, void *out)
{
    *(bool *)field_of(key, out) = value;
}

static enum err put_list_text(const struct config_key *key, struct slice text, void *out, struct buf *why)
{
    struct slice *items = NEW_ARRAY(struct slice, CONFIG_STRINGS_MAX + 1);
    size_t count = 0;
    text = slice_trim(text);
    while (text.len > 0 && count <= CONFIG_STRINGS_MAX) {
        ptrdiff_t comma = slice_find(text, ',');
        size_t end = comma < 0 ? text.len : (size_t)comma;
        items[count++] = slice_trim(slice_sub(text, 0, end));
        text = slice_sub(text, end + (comma >= 0), text.len);
    }
    enum err err = config_put_strings(key, items, count, out, why);
    free(items);
    return err;
}

static enum err put_int_text(const struct config_key *key, struct slice text, void *out, struct buf *why)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t number;
    if (!slice_parse_u64(slice_sub(text, negative, text.len), INT64_MAX, &number)) {
        buf_addf(why, "must be %s", config_type_text(key->type));
        return ERR_INVALID;
    }
    return config_put_number(key, negative ? -(int64_t)number : (int64_t)number, out, why);
}

enum err config_put_text(const struct config_key *key, struct slice text, void *out, struct buf *why)
{
    switch (key->type) {
    case CONFIG_INT:
        return put_int_text(key, text, out, why);
    case CONFIG_BOOL:
        if (!slice_eq_str(text, "true") && !slice_eq_str(text, "false")) {
            buf_add_str(why, "must be true or false");
            return ERR_INVALID;
        }
        config_put_bool(key, slice_eq_str(text, "true"), out);
        return OK;
    case CONFIG_STRINGS:
        return put_list_text(key, text, out, why);
    case CONFIG_STRING:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        break;
    }
    return config_put_string(key, text, out, why);
}
