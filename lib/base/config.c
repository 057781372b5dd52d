/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/config_value.h"

enum { PATH_MAX_BYTES = 256 };

/* One loading: what is being filled, and what was found so far. */
struct load {
    const struct config_table *table;
    const char *file;
    void *out;
    struct buf *errors;
    bool *seen; /* by key index */
    bool failed;
};

static void complain(struct load *load, unsigned line, const char *path, const char *text)
{
    load->failed = true;
    buf_addf(load->errors, "%s:%u: ", load->file, line);
    if (path[0] != '\0')
        buf_addf(load->errors, "%s: ", path);
    buf_addf(load->errors, "%s\n", text);
}

static const struct config_key *find_key(const struct config_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->keys[i].path, path) == 0)
            return &table->keys[i];
    }
    return NULL;
}

static bool is_group(const struct config_table *table, const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < table->count; i++) {
        if (strncmp(table->keys[i].path, path, len) == 0 && table->keys[i].path[len] == '.')
            return true;
    }
    return false;
}

static enum err put_list(const struct config_key *key, config_setting_t *setting, void *out, struct buf *why)
{
    int length = config_setting_length(setting);
    if (length > CONFIG_STRINGS_MAX) {
        buf_addf(why, "has more than %d items", CONFIG_STRINGS_MAX);
        return ERR_INVALID;
    }
    struct slice *items = NEW_ARRAY(struct slice, (size_t)length + 1);
    enum err err = OK;
    for (int i = 0; i < length; i++) {
        const char *text = config_setting_get_string_elem(setting, i);
        if (text == NULL) {
            buf_add_str(why, "must be a list of strings");
            err = ERR_INVALID;
            break;
        }
        items[i] = slice_str(text);
    }
    if (err == OK)
        err = config_put_strings(key, items, (size_t)length, out, why);
    free(items);
    return err;
}

static enum err put_setting(const struct config_key *key, config_setting_t *setting, void *out,
                            struct buf *why)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        if (key->type == CONFIG_INT || key->type == CONFIG_SIZE || key->type == CONFIG_DURATION)
            return config_put_number(key, config_setting_get_int64(setting), out, why);
        break;
    case CONFIG_TYPE_STRING:
        if (key->type == CONFIG_STRING || key->type == CONFIG_SIZE || key->type == CONFIG_DURATION)
            return config_put_string(key, slice_str(config_setting_get_string(setting)), out, why);
        break;
    case CONFIG_TYPE_BOOL:
        if (key->type == CONFIG_BOOL) {
            config_put_bool(key, config_setting_get_bool(setting) != 0, out);
            return OK;
        }
        break;
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        if (key->type == CONFIG_STRINGS)
            return put_list(key, setting, out, why);
        break;
    }
    buf_addf(why, "must be %s", config_type_text(key->type));
    return ERR_INVALID;
}

static void load_key(struct load *load, config_setting_t *setting, const char *path)
{
    const struct config_key *key = find_key(load->table, path);
    unsigned line = config_setting_source_line(setting);
    if (key == NULL) {
        complain(load, line, path,
                 is_group(load->table, path) ? "must be a group { ... }" : "unknown key (see --help)");
        return;
    }
    load->seen[key - load->table->keys] = true;
    struct buf why = { 0 };
    if (put_setting(key, setting, load->out, &why) != OK)
        complain(load, line, path, buf_cstr(&why));
    buf_fini(&why);
}

/* Depth is bounded by the table: only groups that it knows are entered. */
static void load_group(struct load *load, config_setting_t *group, const char *prefix)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *child = config_setting_get_elem(group, (unsigned)i);
        char path[PATH_MAX_BYTES];
        int n =
            snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "." : "", config_setting_name(child));
        if (n >= (int)sizeof path) {
            complain(load, config_setting_source_line(child), prefix, "name too long");
        } else if (config_setting_is_group(child) && is_group(load->table, path)) {
            load_group(load, child, path);
        } else {
            load_key(load, child, path);
        }
    }
}

static bool is_given(const char *path, const char *const *given, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(given[i], path) == 0)
            return true;
    }
    return false;
}

static void check_required(struct load *load, const char *const *given, size_t given_count)
{
    for (size_t i = 0; i < load->table->count; i++) {
        const struct config_key *key = &load->table->keys[i];
        if (key->fallback == CONFIG_REQUIRED && !load->seen[i] && !is_given(key->path, given, given_count)) {
            load->failed = true;
            buf_addf(load->errors, "%s: %s: missing, it has no default (%s)\n", load->file, key->path,
                     key->help);
        }
    }
}

static void put_defaults(const struct config_table *table, void *out)
{
    struct buf why = { 0 };
    memset(out, 0, table->struct_size);
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        enum err err = OK;
        if (key->fallback != CONFIG_REQUIRED)
            err = config_put_text(key, slice_str(key->fallback), out, &why);
        else if (key->type == CONFIG_STRING)
            *(char **)((char *)out + key->offset) = xstrdup("");
        assert(err == OK); /* a default that its own key refuses is a mistake of the program */
        (void)err;
    }
    buf_fini(&why);
}

/* libconfig would read other files, with the rights of who started us: refuse any line that asks for it. */
static void refuse_includes(struct load *load, struct slice text)
{
    unsigned line = 1;
    while (text.len > 0) {
        ptrdiff_t newline = slice_find(text, '\n');
        size_t end = newline < 0 ? text.len : (size_t)newline;
        if (slice_starts(slice_trim(slice_sub(text, 0, end)), SLICE_LIT("@include")))
            complain(load, line, "", "@include is not supported");
        text = slice_sub(text, end + (newline >= 0), text.len);
        line++;
    }
}

static void load_text(struct load *load, struct slice text, const char *const *given, size_t given_count)
{
    refuse_includes(load, text);
    if (slice_find(text, '\0') >= 0)
        complain(load, 1, "", "holds a NUL byte");
    if (load->failed)
        return;
    char *copy = slice_dup(text);
    config_t config;
    config_init(&config);
    if (config_read_string(&config, copy) == CONFIG_TRUE) {
        load_group(load, config_root_setting(&config), "");
        check_required(load, given, given_count);
    } else {
        const char *what = config_error_text(&config);
        complain(load, (unsigned)config_error_line(&config), "", what != NULL ? what : "syntax error");
    }
    config_destroy(&config);
    free(copy);
}

static enum err load_named(const struct config_table *table, const char *name, struct slice text,
                           const char *const *given, size_t given_count, void *out, struct buf *errors)
{
    struct load load = { .table = table, .file = name, .out = out, .errors = errors };
    load.seen = NEW_ARRAY(bool, table->count + 1);
    put_defaults(table, out);
    load_text(&load, text, given, given_count);
    free(load.seen);
    return load.failed ? ERR_INVALID : OK;
}

enum err config_load_text(const struct config_table *table, const char *name, struct slice text, void *out,
                          struct buf *errors)
{
    return load_named(table, name, text, NULL, 0, out, errors);
}

static enum err read_file(const char *file, struct buf *text, struct buf *errors)
{
    FILE *f = fopen(file, "re");
    if (f == NULL) {
        buf_addf(errors, "%s: %s\n", file, strerror(errno));
        return ERR_NOT_FOUND;
    }
    size_t n;
    do {
        n = fread(buf_reserve(text, 4096), 1, 4096, f);
        text->len += n;
    } while (n > 0 && text->len <= CONFIG_FILE_MAX);
    enum err err = OK;
    if (ferror(f)) {
        buf_addf(errors, "%s: %s\n", file, strerror(errno));
        err = ERR_NOT_FOUND;
    } else if (text->len > CONFIG_FILE_MAX) {
        buf_addf(errors, "%s: larger than %d bytes\n", file, CONFIG_FILE_MAX);
        err = ERR_INVALID;
    }
    fclose(f);
    return err;
}

enum err config_load_but(const struct config_table *table, const char *file, const char *const *given,
                         size_t count, void *out, struct buf *errors)
{
    struct buf text = { 0 };
    enum err err = read_file(file, &text, errors);
    if (err == OK)
        err = load_named(table, file, buf_slice(&text), given, count, out, errors);
    else
        put_defaults(table, out);
    buf_fini(&text);
    return err;
}

enum err config_load(const struct config_table *table, const char *file, void *out, struct buf *errors)
{
    return config_load_but(table, file, NULL, 0, out, errors);
}

enum err config_set(const struct config_table *table, const char *path, const char *value, void *out,
                    struct buf *errors)
{
    const struct config_key *key = find_key(table, path);
    if (key == NULL) {
        buf_addf(errors, "%s: unknown key (see --help)\n", path);
        return ERR_INVALID;
    }
    struct buf why = { 0 };
    enum err err = config_put_text(key, slice_str(value), out, &why);
    if (err != OK)
        buf_addf(errors, "%s: %s\n", path, buf_cstr(&why));
    buf_fini(&why);
    return err;
}

void config_fini(const struct config_table *table, void *out)
{
    for (size_t i = 0; i < table->count; i++)
        config_free_field(&table->keys[i], out);
    memset(out, 0, table->struct_size);
}

void config_describe(const struct config_table *table, struct buf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_key *key = &table->keys[i];
        buf_addf(out, "  %s\n      %s\n      %s", key->path, key->help, config_type_text(key->type));
        if (key->type == CONFIG_INT)
            buf_addf(out, " from %" PRId64 " to %" PRId64, key->min, key->max);
        if (key->fallback == CONFIG_REQUIRED)
            buf_add_str(out, "; required\n");
        else
            buf_addf(out, "; default: %s\n", key->fallback[0] != '\0' ? key->fallback : "(empty)");
    }
}
