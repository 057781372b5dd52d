/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"

enum ctl_exit alias_add(struct ctl *ctl)
{
    struct slice from;
    size_t count = ctl->argument_count - 1;
    struct slice *targets = ARENA_ARRAY(&ctl->arena, struct slice, count);
    if (!ctl_parse_address(ctl, ctl->arguments[0], &from))
        return CTL_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (!ctl_parse_address(ctl, ctl->arguments[i + 1], &targets[i]))
            return CTL_USAGE;
    }
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_alias_put(ctl->store, from, targets, count);
    const char *what = arena_printf(&ctl->arena, "add alias %.*s", SLICE_FMT(from));
    if (err == ERR_EXISTS)
        return ctl_refuse(CTL_FAILED, what, "an account has that address", NULL);
    return err == OK ? CTL_OK : ctl_fail(ctl, err, what);
}

static void add_alias(struct ctl *ctl, struct json *json, struct buf *rows, const struct address_row *alias)
{
    if (alias->account != NULL)
        return;
    json_open(json, NULL, '{');
    json_text(json, "alias", alias->address);
    json_open(json, "targets", '[');
    buf_addf(rows, "%.*s\t", SLICE_FMT(alias->address));
    for (size_t i = 0; i < alias->target_count; i++) {
        json_text(json, NULL, alias->targets[i]);
        buf_addf(rows, "%s%.*s", i > 0 ? " " : "", SLICE_FMT(alias->targets[i]));
    }
    json_close(json, ']');
    json_close(json, '}');
    buf_add_byte(rows, '\n');
}

enum ctl_exit alias_list(struct ctl *ctl)
{
    return ctl_print_addresses(ctl, "ALIAS\tTARGETS", add_alias);
}

enum ctl_exit alias_delete(struct ctl *ctl)
{
    struct slice from;
    if (!ctl_parse_address(ctl, ctl->arguments[0], &from))
        return CTL_USAGE;
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_alias_delete(ctl->store, from);
    return err == OK ? CTL_OK
                     : ctl_fail(ctl, err, arena_printf(&ctl->arena, "delete alias %.*s", SLICE_FMT(from)));
}
