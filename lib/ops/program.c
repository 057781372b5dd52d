/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/ops/program.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/ops/privileges.h"
#include "lib/ops/signals.h"

enum { EXIT_MISTAKE = 2, SETS_MAX = 256 };

/* What the command line said. */
struct arguments {
    const char *config_file;
    char *set_paths[SETS_MAX]; /* split at '=' */
    const char *set_values[SETS_MAX];
    size_t set_count;
    bool check_only;
};

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' }, { "set", required_argument, NULL, 's' },
    { "check-config", no_argument, NULL, 'k' }, { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'v' },      { NULL, 0, NULL, 0 },
};

static void print_help(const struct program *program)
{
    struct buf keys = { 0 };
    config_describe(program->table, &keys);
    printf("%s - %s\n\n"
           "Usage: %s [--config FILE] [--set KEY=VALUE]...\n\n"
           "  --config FILE      configuration (default: %s)\n"
           "  --set KEY=VALUE    one key, over what the file says; lists comma-separated\n"
           "  --check-config     read the configuration, report mistakes, end\n"
           "  --help, --version\n\n"
           "Signals: SIGTERM drains and ends, a second one ends at once; SIGHUP reloads what can be "
           "reloaded.\n\n"
           "Keys of the configuration file (libconfig syntax; a dot means a group):\n\n%s",
           program->name, program->summary, program->name, program->config_file, buf_cstr(&keys));
    buf_fini(&keys);
}

static void mistake(const struct program *program, const char *text, const char *what)
{
    fprintf(stderr, "%s: %s%s\nTry %s --help.\n", program->name, text, what, program->name);
    exit(EXIT_MISTAKE);
}

static void add_set(const struct program *program, const char *text, struct arguments *args)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        mistake(program, "--set needs KEY=VALUE, not ", text);
    if (args->set_count == SETS_MAX)
        mistake(program, "too many --set, the first too many is ", text);
    args->set_paths[args->set_count] = slice_dup(slice_of(text, (size_t)(equals - text)));
    args->set_values[args->set_count++] = equals + 1;
}

static void parse_arguments(const struct program *program, int argc, char **argv, struct arguments *args)
{
    int option;
    args->config_file = program->config_file;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            args->config_file = optarg;
            break;
        case 's':
            add_set(program, optarg, args);
            break;
        case 'k':
            args->check_only = true;
            break;
        case 'h':
            print_help(program);
            exit(0);
        case 'v':
            printf("%s %s\n", program->name, TERN_VERSION);
            exit(0);
        default: /* getopt has said what is wrong */
            mistake(program, "wrong arguments", "");
        }
    }
    if (optind < argc)
        mistake(program, "no argument expected: ", argv[optind]);
}

static bool parse_level(const char *text, enum log_level *level_out)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void load_config(const struct program *program, struct arguments *args, void *conf)
{
    struct buf errors = { 0 };
    const struct program_config *common = (const void *)((const char *)conf + program->common_offset);
    enum log_level level = LOG_LEVEL_INFO;
    enum err err = config_load_but(program->table, args->config_file, (const char *const *)args->set_paths,
                                   args->set_count, conf, &errors);
    for (size_t i = 0; i < args->set_count; i++) {
        enum err set_err = config_set(program->table, args->set_paths[i], args->set_values[i], conf, &errors);
        if (set_err != OK)
            err = set_err;
        free(args->set_paths[i]);
    }
    if (err == OK && !parse_level(common->log_level, &level)) {
        buf_addf(&errors, "log_level: must be debug, info, warn or error, not %s\n", common->log_level);
        err = ERR_INVALID;
    }
    if (err == OK && program->check != NULL)
        program->check(conf, &errors);
    if (err != OK || errors.len > 0) {
        fprintf(stderr, "%s: the configuration cannot be used:\n%s", program->name, buf_cstr(&errors));
        exit(EXIT_MISTAKE);
    }
    log_set_level(level);
    buf_fini(&errors);
}

static void raise_files_max(int64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t goal = wanted > 0 ? (rlim_t)wanted : limit.rlim_max;
    if (goal > limit.rlim_max) {
        struct rlimit raised = { goal, goal }; /* root may */
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            return;
        log_warn("program", "files_max = %lld is above the hard limit %llu", (long long)wanted,
                 (unsigned long long)limit.rlim_max);
        goal = limit.rlim_max;
    }
    limit.rlim_cur = goal;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("program", "cannot set the limit of open files: %s", strerror(errno));
}

int64_t program_files_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (int64_t)limit.rlim_cur : 1024;
}

void program_init(const struct program *program, int argc, char **argv, void *conf)
{
    struct arguments *args = NEW(struct arguments);
    parse_arguments(program, argc, argv, args);
    load_config(program, args, conf);
    const struct program_config *common = (const void *)((const char *)conf + program->common_offset);
    if (args->check_only) {
        printf("%s: configuration is fine\n", args->config_file);
        free(args);
        exit(0);
    }
    free(args);
    if (privileges_check(common->user) != OK)
        exit(EXIT_MISTAKE);
    signals_block();
    raise_files_max(common->files_max);
    metrics_register_process(program->name);
}
