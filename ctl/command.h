/* SPDX-License-Identifier: Apache-2.0 */
/* One row a command; each noun has a file with its handlers. main.c reads the command line by the table and
 * calls the handler in a fiber, with a store that fetches the map in the background. */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include "ctl/json.h"
#include "lib/base/arena.h"
#include "lib/store/account.h"
#include "lib/store/cluster.h"

enum {
    CTL_ARGUMENTS_MAX = 1024,
    CTL_PASSWORD_MAX = 1024,
};

/* A bit among a command's options: it needs no cluster, and gets no store. */
enum { CTL_OFFLINE = 1 << 30 };

/* Options beside the arguments; a command names those it takes. */
enum ctl_option {
    CTL_JSON = 1 << 0,           /* --json */
    CTL_PASSWORD_STDIN = 1 << 1, /* --password-stdin */
    CTL_PASSWORD_HASH = 1 << 2,  /* --password-hash HASH */
    CTL_QUOTA = 1 << 3,          /* --quota SIZE */
    CTL_FORCE = 1 << 4,          /* --force */
    CTL_WATCH = 1 << 16,         /* --watch */
    CTL_WAIT = 1 << 17,          /* --wait */
    CTL_UNDO = 1 << 18,          /* --undo */
    CTL_LOST = 1 << 19,          /* --lost */
    CTL_FROM = 1 << 20,          /* --from NODE */
    CTL_ACCEPT_LOSS = 1 << 21,   /* --accept-loss */
    CTL_ALL = 1 << 22,           /* --all */
};

struct ctl {
    struct store *store;
    struct arena arena;
    const char *const *arguments; /* after noun and verb */
    size_t argument_count;
    unsigned given; /* enum ctl_option bits */
    const char *password_hash;
    const char *quota;
    const char *from;      /* --from */
    const char *directors; /* as asked, for messages */
    uint64_t deadline_ms;
};

/* The exit status. */
enum ctl_exit { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct command {
    const char *noun, *verb;
    const char *arguments; /* for the help: "ADDRESS" */
    size_t arguments_min, arguments_max;
    unsigned options;
    enum ctl_exit (*run)(struct ctl *ctl); /* Yields */
    const char *help;
};

/* All commands, in the order of the help; ends with a row without noun. */
extern const struct command commands[];

enum ctl_exit domain_add(struct ctl *ctl);
enum ctl_exit domain_list(struct ctl *ctl);
enum ctl_exit domain_delete(struct ctl *ctl);
enum ctl_exit user_add(struct ctl *ctl);
enum ctl_exit user_passwd(struct ctl *ctl);
enum ctl_exit user_list(struct ctl *ctl);
enum ctl_exit user_show(struct ctl *ctl);
enum ctl_exit user_set(struct ctl *ctl);
enum ctl_exit user_suspend(struct ctl *ctl);
enum ctl_exit user_resume(struct ctl *ctl);
enum ctl_exit user_delete(struct ctl *ctl);
enum ctl_exit alias_add(struct ctl *ctl);
enum ctl_exit alias_list(struct ctl *ctl);
enum ctl_exit alias_delete(struct ctl *ctl);
enum ctl_exit cluster_status(struct ctl *ctl);
enum ctl_exit node_list(struct ctl *ctl);
enum ctl_exit keys_generate(struct ctl *ctl);
enum ctl_exit keys_list(struct ctl *ctl);
enum ctl_exit keys_rotate(struct ctl *ctl);
enum ctl_exit node_drain(struct ctl *ctl);
enum ctl_exit node_remove(struct ctl *ctl);
enum ctl_exit partition_list(struct ctl *ctl);
enum ctl_exit partition_show(struct ctl *ctl);
enum ctl_exit partition_check(struct ctl *ctl);
enum ctl_exit partition_recover(struct ctl *ctl);
enum ctl_exit queue_list(struct ctl *ctl);
enum ctl_exit queue_show(struct ctl *ctl);
enum ctl_exit queue_retry(struct ctl *ctl);
enum ctl_exit queue_hold(struct ctl *ctl);
enum ctl_exit queue_release(struct ctl *ctl);
enum ctl_exit queue_delete(struct ctl *ctl);
enum ctl_exit queue_stats(struct ctl *ctl);

/* ---- shared by the handlers (common.c) */

/* What to do when no director answers. */
#define CTL_NO_DIRECTOR                                                                                \
    "Is the director running there? Name it with --director ENDPOINT or TERN_DIRECTORS.\n"             \
    "Does the cluster use keys? Name their folder with --keys DIR or TERN_KEYS; --verbose says why a " \
    "connection fails."

/* "ternctl: WHAT: text of err" and what to do next on stderr. CTL_FAILED. */
enum ctl_exit ctl_fail(const struct ctl *ctl, enum err err, const char *what);
/* The same with what a director said about it, if it said something. */
enum ctl_exit ctl_fail_detail(const struct ctl *ctl, enum err err, const char *what,
                              const struct buf *detail);
/* The same with a reason and a next step of one's own. */
enum ctl_exit ctl_refuse(enum ctl_exit status, const char *what, const char *reason, const char *next);

/* Wait for a map with placed partitions; false and told if there is none. Yields. */
bool ctl_wait_ready(struct ctl *ctl);
/* An address in canonical form; false and told if it is none or has a tag. */
bool ctl_parse_address(struct ctl *ctl, const char *text, struct slice *canonical_out);
bool ctl_parse_domain(struct ctl *ctl, const char *text, struct slice *domain_out);
/* "2G", "0" or "none" (no limit). */
bool ctl_parse_quota(const char *text, uint64_t *bytes_out);

/* Every address of all partitions, sorted; `domain` empty: all. Told if it fails. Yields. */
bool ctl_list_addresses(struct ctl *ctl, struct slice domain, struct address_row **rows_out,
                        size_t *count_out);

/* What "user list [DOMAIN]" and "alias list [DOMAIN]" share: find the addresses of the domain named by the
 * first argument (none: of all), let `add` put each into the JSON array and the table (or pass it over),
 * print what was asked for. Yields. */
typedef void ctl_add_address(struct ctl *ctl, struct json *json, struct buf *rows,
                             const struct address_row *row);
enum ctl_exit ctl_print_addresses(struct ctl *ctl, const char *heading, ctl_add_address *add);

/* "2026-11-21T20:15:03Z" in the arena; "-" for 0. */
const char *ctl_time(struct ctl *ctl, uint64_t ms);
/* "12 MiB" in the arena. */
const char *ctl_size(struct ctl *ctl, uint64_t bytes);
/* The node that an operator names, by number or by name; NULL and told if there is none, or several. */
struct status;
const struct status_node *ctl_find_node(const struct status *s, const char *text);

/* Print and free a JSON document, or a table of text: rows of tab-separated cells become aligned columns. */
void ctl_print_json(struct json *json);
void ctl_print_table(struct buf *rows);
/* A list, made in both forms: print the one that was asked for, free both. CTL_OK. */
enum ctl_exit ctl_print_list(struct ctl *ctl, struct json *json, struct buf *rows);

#endif
