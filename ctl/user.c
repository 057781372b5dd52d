/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/password.h"

/* ---- showing */

static void add_json(struct json *json, const char *name, const struct account *a)
{
    static const char *const schemes[] = { "none", "SCRAM-SHA-256", "crypt", "argon2" };
    json_open(json, name, '{');
    json_text(json, "address", a->address);
    json_number(json, "id", a->ref.id);
    json_number(json, "partition", a->ref.home);
    json_number(json, "quota_bytes", a->quota_bytes);
    json_number(json, "used_bytes", a->used_bytes);
    json_number(json, "messages", a->message_count);
    json_bool(json, "suspended", a->suspended);
    json_text(json, "credential", slice_str(schemes[a->credential.scheme]));
    json_number(json, "created_ms", a->created_ms);
    json_close(json, '}');
}

static void add_account(struct ctl *ctl, struct json *json, struct buf *rows, const struct address_row *row)
{
    const struct account *a = row->account;
    if (a == NULL)
        return;
    add_json(json, NULL, a);
    buf_addf(rows, "%.*s\t%s\t%s\t%llu\t%s\n", SLICE_FMT(a->address), ctl_size(ctl, a->used_bytes),
             a->quota_bytes == 0 ? "none" : ctl_size(ctl, a->quota_bytes),
             (unsigned long long)a->message_count, a->suspended ? "suspended" : "active");
}

enum ctl_exit user_list(struct ctl *ctl)
{
    return ctl_print_addresses(ctl, "ADDRESS\tUSED\tQUOTA\tMESSAGES\tSTATE", add_account);
}

enum ctl_exit user_show(struct ctl *ctl)
{
    struct slice address;
    struct address_row row;
    if (!ctl_parse_address(ctl, ctl->arguments[0], &address))
        return CTL_USAGE;
    const char *what = arena_printf(&ctl->arena, "show %.*s", SLICE_FMT(address));
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_address_lookup(ctl->store, address, &ctl->arena, &row);
    if (err != OK)
        return ctl_fail(ctl, err, what);
    if (row.account == NULL)
        return ctl_refuse(CTL_FAILED, what, "it is an alias", "See: ternctl alias list");
    const struct account *a = row.account;
    if (ctl->given & CTL_JSON) {
        struct json json = { 0 };
        add_json(&json, NULL, a);
        ctl_print_json(&json);
        return CTL_OK;
    }
    struct buf rows = { 0 };
    buf_addf(&rows,
             "address\t%.*s\nid\t%llu\npartition\t%u\nused\t%s\nquota\t%s\nmessages\t%llu\nstate\t%"
             "s\ncreated\t%s\n",
             SLICE_FMT(a->address), (unsigned long long)a->ref.id, a->ref.home, ctl_size(ctl, a->used_bytes),
             a->quota_bytes == 0 ? "none" : ctl_size(ctl, a->quota_bytes),
             (unsigned long long)a->message_count, a->suspended ? "suspended" : "active",
             ctl_time(ctl, a->created_ms));
    ctl_print_table(&rows);
    return CTL_OK;
}

/* ---- changing */

enum ctl_exit user_add(struct ctl *ctl)
{
    struct slice address;
    struct account_credential credential;
    struct account account;
    uint64_t quota = 0;
    if (!ctl_parse_address(ctl, ctl->arguments[0], &address) ||
        ((ctl->given & CTL_QUOTA) && !ctl_parse_quota(ctl->quota, &quota)))
        return CTL_USAGE;
    const char *what = arena_printf(&ctl->arena, "add %.*s", SLICE_FMT(address));
    enum ctl_exit status = password_read_credential(ctl, what, &credential);
    if (status != CTL_OK)
        return status;
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_account_create(ctl->store, address, &credential, quota, &ctl->arena, &account);
    if (err == ERR_EXISTS)
        return ctl_refuse(CTL_FAILED, what, err_text(err),
                          "To change the password: ternctl user passwd ADDRESS --password-stdin");
    return err == OK ? CTL_OK : ctl_fail(ctl, err, what);
}

/* The address of the first argument, and the change of its account. */
static enum ctl_exit update(struct ctl *ctl, const char *verb, const struct account_update *update)
{
    struct slice address;
    struct account account;
    if (!ctl_parse_address(ctl, ctl->arguments[0], &address))
        return CTL_USAGE;
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_account_update(ctl->store, address, update, &ctl->arena, &account);
    return err == OK ? CTL_OK
                     : ctl_fail(ctl, err, arena_printf(&ctl->arena, "%s %.*s", verb, SLICE_FMT(address)));
}

enum ctl_exit user_passwd(struct ctl *ctl)
{
    struct account_credential credential;
    enum ctl_exit status = password_read_credential(ctl, "change the password", &credential);
    if (status != CTL_OK)
        return status;
    return update(ctl, "change the password of", &(struct account_update){ .credential = &credential });
}

enum ctl_exit user_set(struct ctl *ctl)
{
    uint64_t quota;
    if (!(ctl->given & CTL_QUOTA))
        return ctl_refuse(CTL_USAGE, "user set", "nothing to set", "Say --quota SIZE.");
    if (!ctl_parse_quota(ctl->quota, &quota))
        return CTL_USAGE;
    return update(ctl, "set the quota of", &(struct account_update){ .quota_bytes = &quota });
}

enum ctl_exit user_suspend(struct ctl *ctl)
{
    static const bool suspended = true;
    return update(ctl, "suspend", &(struct account_update){ .suspended = &suspended });
}

enum ctl_exit user_resume(struct ctl *ctl)
{
    static const bool suspended = false;
    return update(ctl, "resume", &(struct account_update){ .suspended = &suspended });
}

enum ctl_exit user_delete(struct ctl *ctl)
{
    struct slice address;
    if (!ctl_parse_address(ctl, ctl->arguments[0], &address))
        return CTL_USAGE;
    if (!ctl_wait_ready(ctl))
        return CTL_FAILED;
    enum err err = store_account_delete(ctl->store, address);
    return err == OK ? CTL_OK
                     : ctl_fail(ctl, err, arena_printf(&ctl->arena, "delete %.*s", SLICE_FMT(address)));
}
