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

static void add_alias(struct json *json, struct buf *rows, const struct address_row *alias)
{
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
    struct slice domain = SLICE_NULL;
    struct address_row *found = NULL;
    size_t count = 0;
    if (ctl->argument_count > 0 && !ctl_parse_domain(ctl, ctl->arguments[0], &domain))
        return CTL_USAGE;
    if (!ctl_wait_ready(ctl) || !ctl_list_addresses(ctl, domain, &found, &count))
        return CTL_FAILED;
    struct json json = { 0 };
    struct buf rows = { 0 };
    buf_add_str(&rows, "ALIAS\tTARGETS\n");
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < count; i++) {
        if (found[i].account == NULL)
            add_alias(&json, &rows, &found[i]);
    }
    json_close(&json, ']');
    if (ctl->given & CTL_JSON)
        ctl_print_json(&json);
    else
        ctl_print_table(&rows);
    buf_fini(&json.out);
    buf_fini(&rows);
    return CTL_OK;
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
