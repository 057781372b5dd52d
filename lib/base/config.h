/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files (libconfig syntax) into a struct, by a table of keys. What the table does not know, and
 * what has a wrong type or is out of bounds, is refused with file and line; all problems of a file are told
 * at once.
 *
 *   struct conf { char *listen; int64_t threads; uint64_t memory_limit; };
 *   static const struct config_key keys[] = {
 *       CONFIG_KEY_STRING(struct conf, listen, "smtp.listen", "127.0.0.1:25", "where SMTP listens"),
 *       CONFIG_KEY_INT(struct conf, threads, "threads", "2", 1, 256, "event loops"),
 *       CONFIG_KEY_SIZE(struct conf, memory_limit, "memory_limit", CONFIG_REQUIRED, 1 << 20, INT64_MAX,
 * "bytes of ..."),
 *   };
 *   static const struct config_table table = CONFIG_TABLE(struct conf, keys);
 *
 * A dotted path names a key in groups: `smtp: { listen = "..."; };`. Includes are refused. */
#ifndef LIB_BASE_CONFIG_H
#define LIB_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum config_type {
    CONFIG_STRING,   /* char *            "text"; never NULL */
    CONFIG_INT,      /* int64_t           12 */
    CONFIG_BOOL,     /* bool              true */
    CONFIG_SIZE,     /* uint64_t bytes    12, "64K", "64M", "2G", "1T" (powers of 1024) */
    CONFIG_DURATION, /* uint64_t ms       "200ms", "10s", "5m", "2h", "7d"; a bare number is seconds */
    CONFIG_STRINGS,  /* struct config_strings   [ "a", "b" ] */
};

enum {
    CONFIG_FILE_MAX = 1024 * 1024, /* bytes of a file */
    CONFIG_STRINGS_MAX = 1024,     /* items of one list */
};

struct config_strings {
    char **items;
    size_t count;
};

/* In place of a default: the file must have the key. */
#define CONFIG_REQUIRED ((const char *)NULL)

struct config_key {
    const char *path;
    enum config_type type;
    size_t offset;
    const char
        *fallback; /* the default, written as in the file (strings without quotes, lists comma-separated) */
    int64_t min,
        max; /* inclusive: of numbers in the units above, of the length of strings, of the count of lists */
    const char *help;
};

struct config_table {
    const struct config_key *keys;
    size_t count;
    size_t struct_size;
};

/* The field's address must have the type that belongs to the key's: checked by the compiler. */
#define CONFIG_AT_(type, field, ctype) (offsetof(type, field) + 0 * sizeof((ctype *)0 == &((type *)0)->field))

#define CONFIG_KEY_STRING(type, field, path, fallback, help)                          \
    {                                                                                 \
        path, CONFIG_STRING, CONFIG_AT_(type, field, char *), fallback, 0, 4096, help \
    }
#define CONFIG_KEY_INT(type, field, path, fallback, min, max, help)                  \
    {                                                                                \
        path, CONFIG_INT, CONFIG_AT_(type, field, int64_t), fallback, min, max, help \
    }
#define CONFIG_KEY_BOOL(type, field, path, fallback, help)                     \
    {                                                                          \
        path, CONFIG_BOOL, CONFIG_AT_(type, field, bool), fallback, 0, 1, help \
    }
#define CONFIG_KEY_SIZE(type, field, path, fallback, min, max, help)                   \
    {                                                                                  \
        path, CONFIG_SIZE, CONFIG_AT_(type, field, uint64_t), fallback, min, max, help \
    }
#define CONFIG_KEY_DURATION(type, field, path, fallback, min_ms, max_ms, help)                   \
    {                                                                                            \
        path, CONFIG_DURATION, CONFIG_AT_(type, field, uint64_t), fallback, min_ms, max_ms, help \
    }
#define CONFIG_KEY_STRINGS(type, field, path, fallback, help)                              \
    {                                                                                      \
        path, CONFIG_STRINGS, CONFIG_AT_(type, field, struct config_strings), fallback, 0, \
            CONFIG_STRINGS_MAX, help                                                       \
    }
#define CONFIG_TABLE(type, keys)                             \
    {                                                        \
        keys, sizeof(keys) / sizeof((keys)[0]), sizeof(type) \
    }

/* Fill `out` with the defaults (required keys: empty), then with the file's values. `out` is the table's
 * struct and is overwritten; config_fini it in every case. On ERR_INVALID, `errors` has one line a problem,
 * "file:12: smtp.listen: ..."; ERR_NOT_FOUND if the file cannot be read (told in `errors` too). */
MUST_CHECK enum err config_load(const struct config_table *table, const char *file, void *out,
                                struct buf *errors);
/* The same from memory; `name` stands for the file in messages. */
MUST_CHECK enum err config_load_text(const struct config_table *table, const char *name, struct slice text,
                                     void *out, struct buf *errors);
/* As config_load_text, but keys named in `given` (`count` paths) may be missing from the text although
 * required: a config_set follows. */
MUST_CHECK enum err config_load_but(const struct config_table *table, const char *file,
                                    const char *const *given, size_t count, void *out, struct buf *errors);
/* One value in the form of a default, over what was loaded ("--set path=value"). ERR_INVALID as above. */
MUST_CHECK enum err config_set(const struct config_table *table, const char *path, const char *value,
                               void *out, struct buf *errors);
/* Free what the fields own; they are zero afterwards. */
void config_fini(const struct config_table *table, void *out);

/* All keys with type, default, bounds and help, for --help. */
void config_describe(const struct config_table *table, struct buf *out);

#endif
