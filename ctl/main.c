/* SPDX-License-Identifier: Apache-2.0 */
/* ternctl: the operator's commands. Reads the command line by the table in commands.c. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/store/keys.h"

#define DIRECTOR_DEFAULT "tcp://127.0.0.1:7400"

enum { READY_TIMEOUT_MS = 10 * 1000 };

static const struct {
    enum ctl_option option;
    const char *name;
    const char *value; /* NULL: none */
    const char *help;
} option_list[] = {
    { CTL_JSON, "json", NULL, "print JSON" },
    { CTL_PASSWORD_STDIN, "password-stdin", NULL, "the password is the first line of standard input" },
    { CTL_PASSWORD_HASH, "password-hash", "HASH", "import a crypt(3) or argon2 hash instead" },
    { CTL_QUOTA, "quota", "SIZE", "500M, 2G; 0 or none: no limit" },
    { CTL_FORCE, "force", NULL, "although something speaks against it" },
    { CTL_WATCH, "watch", NULL, "refresh every second until ^C" },
    { CTL_WAIT, "wait", NULL, "show the progress and return when it is done" },
    { CTL_UNDO, "undo", NULL, "let the node hold copies again" },
    { CTL_LOST, "lost", NULL, "the node is dead and will not come back" },
    { CTL_FROM, "from", "NODE", "the node whose copy is to be used" },
    { CTL_ACCEPT_LOSS, "accept-loss", NULL, "mail that only lost copies had is given up" },
    { CTL_ALL, "all", NULL, "all that need it" },
};

enum { OPTION_COUNT = sizeof option_list / sizeof option_list[0] };

/* What the command line said, and what came of it. */
struct invocation {
    struct ctl ctl;
    const struct command *command;
    const char *directors[STORE_DIRECTORS_MAX];
    size_t director_count;
    struct loop *loop;
    enum ctl_exit status;
    bool verbose;
    const char *keys; /* folder, or NULL */
};

/* ---- help */

static void print_command(const struct command *c)
{
    int width = printf("  ternctl %s %s%s%s", c->noun, c->verb, c->arguments[0] ? " " : "", c->arguments);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (c->options & option_list[i].option)
            width += printf(" [--%s%s%s]", option_list[i].name, option_list[i].value ? " " : "",
                            option_list[i].value ? option_list[i].value : "");
    }
    printf("%s%*s%s\n", width > 48 ? "\n" : "", width > 48 ? 50 : 50 - width, "", c->help);
}

static void print_help(const char *noun)
{
    printf("ternctl - manage a Tern cluster\n\nUsage: ternctl [--director ENDPOINT]... NOUN VERB "
           "[ARGUMENT]... [OPTION]...\n\n");
    for (const struct command *c = commands; c->noun != NULL; c++) {
        if (noun == NULL || strcmp(c->noun, noun) == 0)
            print_command(c);
    }
    printf("\nOptions:\n");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        printf("  --%s%s%s%*s%s\n", option_list[i].name, option_list[i].value ? " " : "",
               option_list[i].value ? option_list[i].value : "",
               28 - (int)strlen(option_list[i].name) -
                   (option_list[i].value ? (int)strlen(option_list[i].value) + 1 : 0),
               "", option_list[i].help);
    printf("  --director ENDPOINT           a director; repeated for several (default: TERN_DIRECTORS, "
           "blank-separated,\n"
           "                                or " DIRECTOR_DEFAULT ")\n"
           "  --keys DIR                    folder with ctl.key and cluster.pub (default: TERN_KEYS; \"\": "
           "none)\n"
           "  --verbose                     log what happens underneath\n"
           "  --help, --version\n\n"
           "Exit status: 0 done, 1 failed (stderr says why and what to do), 2 wrong command line.\n");
}

static void usage(const char *text, const char *what)
{
    fprintf(stderr, "ternctl: %s%s\nTry: ternctl --help\n", text, what);
    exit(CTL_USAGE);
}

/* ---- command line */

enum { OPTION_DIRECTOR = 1000, OPTION_KEYS, OPTION_VERBOSE, OPTION_HELP, OPTION_VERSION };

static void add_director(struct invocation *in, const char *endpoint)
{
    if (in->director_count == STORE_DIRECTORS_MAX)
        usage("too many directors, the first too many is ", endpoint);
    if (strncmp(endpoint, "tcp://", 6) != 0 && strncmp(endpoint, "ipc://", 6) != 0)
        usage("a director is named like tcp://host:port, not ", endpoint);
    in->directors[in->director_count++] = endpoint;
}

static void take_option(struct invocation *in, int option, bool *help)
{
    struct ctl *ctl = &in->ctl;
    if (option == OPTION_DIRECTOR) {
        add_director(in, optarg);
    } else if (option == OPTION_KEYS) {
        in->keys = optarg;
    } else if (option == OPTION_VERBOSE) {
        in->verbose = true;
    } else if (option == OPTION_HELP) {
        *help = true;
    } else if (option == OPTION_VERSION) {
        printf("ternctl " TERN_VERSION "\n");
        exit(0);
    } else if (option >= 0 && option < OPTION_COUNT) {
        ctl->given |= option_list[option].option;
        if (option_list[option].option == CTL_FROM)
            ctl->from = optarg;
        else if (option_list[option].option == CTL_QUOTA)
            ctl->quota = optarg;
        else if (option_list[option].option == CTL_PASSWORD_HASH)
            ctl->password_hash = optarg;
    } else { /* getopt has said what is wrong */
        usage("wrong options", "");
    }
}

static void parse_options(struct invocation *in, int argc, char **argv, bool *help)
{
    struct option options[OPTION_COUNT + 6] = { { "director", required_argument, NULL, OPTION_DIRECTOR },
                                                { "keys", required_argument, NULL, OPTION_KEYS },
                                                { "verbose", no_argument, NULL, OPTION_VERBOSE },
                                                { "help", no_argument, NULL, OPTION_HELP },
                                                { "version", no_argument, NULL, OPTION_VERSION } };
    for (int i = 0; i < OPTION_COUNT; i++)
        options[5 + i] = (struct option){ option_list[i].name,
                                          option_list[i].value ? required_argument : no_argument, NULL, i };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take_option(in, option, help);
}

static const struct command *find_command(const char *noun, const char *verb)
{
    bool noun_known = false;
    for (const struct command *c = commands; c->noun != NULL; c++) {
        if (strcmp(c->noun, noun) != 0)
            continue;
        noun_known = true;
        if (verb != NULL && strcmp(c->verb, verb) == 0)
            return c;
    }
    if (!noun_known)
        usage("no such noun: ", noun);
    print_help(noun);
    exit(verb == NULL ? CTL_OK : CTL_USAGE);
}

static void check_command(const struct command *c, const struct ctl *ctl)
{
    if (ctl->argument_count < c->arguments_min)
        usage("missing argument; wanted: ", c->arguments);
    if (ctl->argument_count > c->arguments_max)
        usage("too many arguments, the first too many is ", ctl->arguments[c->arguments_max]);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((ctl->given & option_list[i].option) && !(c->options & option_list[i].option))
            usage("that command does not take --", option_list[i].name);
    }
}

/* From the command line, or the environment, or the default. `text` keeps the environment's copy alive. */
static void settle_directors(struct invocation *in, char *text)
{
    char *save = NULL;
    for (char *word = strtok_r(text, " \t\n", &save); word != NULL; word = strtok_r(NULL, " \t\n", &save))
        add_director(in, word);
    if (in->director_count == 0)
        in->directors[in->director_count++] = DIRECTOR_DEFAULT;
    struct buf list = { 0 };
    for (size_t i = 0; i < in->director_count; i++)
        buf_addf(&list, "%s%s", i > 0 ? " " : "", in->directors[i]);
    in->ctl.directors = arena_strdup(&in->ctl.arena, buf_slice(&list));
    buf_fini(&list);
}

/* ---- running */

static void run_fiber(void *arg)
{
    struct invocation *in = arg;
    struct store_options options = { .directors = in->directors, .director_count = in->director_count };
    if (!(in->command->options & CTL_OFFLINE))
        in->ctl.store = store_new(in->loop, &options);
    in->ctl.deadline_ms = loop_deadline_ms(READY_TIMEOUT_MS);
    in->status = in->command->run(&in->ctl);
    store_free(&in->ctl.store);
    loop_stop(in->loop);
}

/* The log says what is wrong with a connection, and nothing else would: a person must see it. */
static void open_keys(struct invocation *in)
{
    const char *environment = getenv("TERN_KEYS");
    if (in->keys == NULL)
        in->keys = environment != NULL ? environment : "";
    if (!(in->command->options & CTL_OFFLINE) && store_keys_open(in->keys, RPC_ROLE_CTL) != OK)
        exit(CTL_FAILED);
}

static void run(struct invocation *in)
{
    if (loop_new(&in->loop) != OK || fiber_spawn(in->loop, "ctl", run_fiber, in) != OK) {
        fprintf(stderr, "ternctl: cannot start an event loop\n");
        exit(CTL_FAILED);
    }
    loop_run(in->loop);
    loop_free(&in->loop);
}

int main(int argc, char **argv)
{
    static struct invocation in;
    bool help = false;
    const char *environment = getenv("TERN_DIRECTORS");
    parse_options(&in, argc, argv, &help);
    const char *noun = optind < argc ? argv[optind++] : NULL;
    if (help || noun == NULL) {
        print_help(noun);
        return help ? CTL_OK : CTL_USAGE;
    }
    in.command = find_command(noun, optind < argc ? argv[optind] : NULL);
    optind++;
    in.ctl.arguments = (const char *const *)argv + optind;
    in.ctl.argument_count = (size_t)(argc - optind);
    check_command(in.command, &in.ctl);
    char *text = xstrdup(in.director_count == 0 && environment != NULL ? environment : "");
    settle_directors(&in, text);
    log_set_level(in.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    open_keys(&in);
    run(&in);
    arena_fini(&in.ctl.arena);
    free(text);
    if (fflush(stdout) != 0 || ferror(stdout))
        return CTL_FAILED;
    return in.status;
}
