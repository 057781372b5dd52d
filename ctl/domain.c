/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"

enum ctl_exit domain_add(struct ctl *ctl)
{
    struct slice domain;
    if (!ctl_parse_domain(ctl, ctl->arguments[0], &domain))
        return CTL_USAGE;
    enum err err = store_domain_add(ctl->store, domain);
    return err == OK ? CTL_OK
                     : ctl_fail(ctl, err, arena_printf(&ctl->arena, "add domain %.*s", SLICE_FMT(domain)));
}

enum ctl_exit domain_list(struct ctl *ctl)
{
    struct cluster cluster;
    enum err err = store_cluster_read(ctl->store, &ctl->arena, &cluster);
    if (err != OK)
        return ctl_fail(ctl, err, "list the domains");
    struct json json = { 0 };
    struct buf rows = { 0 };
    json_open(&json, NULL, '[');
    for (size_t i = 0; i < cluster.domain_count; i++) {
        const struct cluster_domain *d = &cluster.domains[i];
        json_open(&json, NULL, '{');
        json_text(&json, "domain", d->name);
        json_number(&json, "created_ms", d->created_ms);
        json_close(&json, '}');
        buf_addf(&rows, "%.*s\n", SLICE_FMT(d->name));
    }
    json_close(&json, ']');
    return ctl_print_list(ctl, &json, &rows);
}

enum ctl_exit domain_delete(struct ctl *ctl)
{
    struct slice domain;
    if (!ctl_parse_domain(ctl, ctl->arguments[0], &domain))
        return CTL_USAGE;
    const char *what = arena_printf(&ctl->arena, "delete domain %.*s", SLICE_FMT(domain));
    if (!(ctl->given & CTL_FORCE)) {
        struct address_row *rows;
        size_t count;
        if (!ctl_wait_ready(ctl) || !ctl_list_addresses(ctl, domain, &rows, &count))
            return CTL_FAILED;
        if (count > 0)
            return ctl_refuse(CTL_FAILED, what, arena_printf(&ctl->arena, "%zu addresses are in it", count),
                              "Delete them first, or say --force: they stay, but get no mail and cannot log "
                              "in until the domain is "
                              "added again.");
    }
    enum err err = store_domain_delete(ctl->store, domain);
    return err == OK ? CTL_OK : ctl_fail(ctl, err, what);
}
