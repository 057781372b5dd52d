/* SPDX-License-Identifier: Apache-2.0 */
/* What the main() of every daemon begins with: command line, configuration, limits, log level.
 *
 *   struct conf { struct program_config common; char *data; };
 *   static const struct config_key keys[] = { PROGRAM_KEYS(struct conf, common), CONFIG_KEY_STRING(...), ...
 * };
 *
 * Command line: --config FILE, --set PATH=VALUE (repeated), --check-config, --help, --version. */
#ifndef LIB_OPS_PROGRAM_H
#define LIB_OPS_PROGRAM_H

#include "lib/base/config.h"

/* Keys all daemons have. */
struct program_config {
    char *user;
    char *log_level;
    int64_t files_max;
    char *http_listen;
    uint64_t drain_timeout_ms;
    char *keys;
};

#define PROGRAM_KEYS(type, field)                                                                    \
    CONFIG_KEY_STRING(type, field.user, "user", "tern",                                              \
                      "user to become once ports are bound; \"\": stay who started it"),             \
        CONFIG_KEY_STRING(type, field.log_level, "log_level", "info", "debug, info, warn or error"), \
        CONFIG_KEY_INT(type, field.files_max, "files_max", "0", 0, 10000000,                         \
                       "open files allowed; 0: as many as the system's hard limit"),                 \
        CONFIG_KEY_STRING(type, field.http_listen, "http_listen", "127.0.0.1:0",                     \
                          "address:port of /healthz, /readyz and /metrics; \"\": none"),             \
        CONFIG_KEY_DURATION(type, field.drain_timeout_ms, "drain_timeout", "10s", 0, 3600 * 1000,    \
                            "how long SIGTERM waits for work to end"),                               \
        CONFIG_KEY_STRING(                                                                           \
            type, field.keys, "keys", "",                                                            \
            "folder of the CURVE keys for connections between programs (ternctl keys); \"\": none")

struct program {
    const char *name;        /* "tern-director" */
    const char *summary;     /* one line for --help */
    const char *config_file; /* default of --config */
    const struct config_table *table;
    size_t common_offset; /* of struct program_config in the table's struct */
    /* Mistakes between keys, which the table cannot see: adds one line each. May be NULL. */
    void (*check)(const void *conf, struct buf *errors);
};

/* Reads the command line and the configuration into `conf`, then: log level, limit of open files,
 * privileges_check(user), signals_block(). Ends the process itself for --help, --version, --check-config
 * (status 0) and for mistakes (status 2, told on stderr). */
void program_init(const struct program *program, int argc, char **argv, void *conf);
/* The files_max in effect. */
int64_t program_files_max(void);

#endif
