/* SPDX-License-Identifier: Apache-2.0 */
/* Domains and settings: rows with a name. */
#include "director/names.h"

#include <string.h>

#include "director/director_priv.h"
#include "lib/base/ascii.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

bool names_is_domain(struct slice name)
{
    size_t label = 0;
    if (name.len == 0 || name.len > NAMES_DOMAIN_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (c == '.') {
            if (label == 0 || name.data[i - 1] == '-')
                return false;
            label = 0;
            continue;
        }
        bool good = ascii_is_digit(c) || (c >= 'a' && c <= 'z') || (c == '-' && label > 0);
        if (!good || ++label > NAMES_LABEL_MAX)
            return false;
    }
    return label > 0 && name.data[name.len - 1] != '-';
}

bool names_is_setting(struct slice name)
{
    if (name.len == 0 || name.len > NAMES_SETTING_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'z') && c != '_' && c != '.')
            return false;
    }
    return true;
}

/* The store's word as the caller's: a conflict on a row that was absent or present means that somebody was
 * faster. */
static enum err status_of(enum err result, enum err when_conflict)
{
    return result == ERR_CONFLICT ? when_conflict : result;
}

static void on_domain_added(struct director *d, struct change *change, enum err result)
{
    struct rpc_request *request = change->request;
    struct map_domain *at = map_find_domain(&d->map, buf_slice(&change->name));
    change->request = NULL;
    if (result != OK || at == NULL) {
        answer(d, request, result == OK ? ERR_INTERNAL : status_of(result, ERR_EXISTS), NULL, NULL);
        return;
    }
    log_info("names", "domain %s added", at->domain->name);
    Tern__DomainAddResponse response = TERN__DOMAIN_ADD_RESPONSE__INIT;
    response.domain = at->domain;
    answer(d, request, OK, NULL, &response.base);
}

void on_domain_add(struct director *d, struct rpc_request *request)
{
    Tern__DomainAddRequest *asked =
        (Tern__DomainAddRequest *)answer_unpack(d, request, &tern__domain_add_request__descriptor);
    if (asked == NULL)
        return;
    struct slice name = slice_str(asked->name);
    if (!names_is_domain(name)) {
        answer(d, request, ERR_SYNTAX, "a domain is written in lower case, as A-labels", NULL);
    } else if (map_find_domain(&d->map, name) != NULL) {
        answer(d, request, ERR_EXISTS, NULL, NULL);
    } else if (d->map.domain_count >= MAP_DOMAINS_MAX) {
        answer(d, request, ERR_LIMIT, "the cluster has its most domains", NULL);
    } else {
        struct change *change = change_new(d, request, 1, on_domain_added);
        Tern__Domain domain = TERN__DOMAIN__INIT;
        domain.name = asked->name;
        domain.created_ms = clock_real_ms();
        buf_add_slice(&change->name, name);
        change_add_put(change, ROW_DOMAIN, 0, name, 0, &domain.base);
        change_submit(change);
    }
    tern__domain_add_request__free_unpacked(asked, NULL);
}

static void on_domain_deleted(struct director *d, struct change *change, enum err result)
{
    Tern__DomainDeleteResponse response = TERN__DOMAIN_DELETE_RESPONSE__INIT;
    struct rpc_request *request = change->request;
    change->request = NULL;
    if (result == OK)
        log_info("names", "domain %s deleted", buf_cstr(&change->name));
    answer(d, request, status_of(result, ERR_NOT_FOUND), NULL, result == OK ? &response.base : NULL);
}

void on_domain_delete(struct director *d, struct rpc_request *request)
{
    Tern__DomainDeleteRequest *asked =
        (Tern__DomainDeleteRequest *)answer_unpack(d, request, &tern__domain_delete_request__descriptor);
    if (asked == NULL)
        return;
    struct slice name = slice_str(asked->name);
    struct map_domain *at = map_find_domain(&d->map, name);
    if (at == NULL) {
        answer(d, request, ERR_NOT_FOUND, NULL, NULL);
    } else {
        struct change *change = change_new(d, request, 1, on_domain_deleted);
        buf_add_slice(&change->name, name);
        change_add_delete(change, ROW_DOMAIN, 0, name, at->mod);
        change_submit(change);
    }
    tern__domain_delete_request__free_unpacked(asked, NULL);
}

static void on_setting_stored(struct director *d, struct change *change, enum err result)
{
    Tern__SettingPutResponse response = TERN__SETTING_PUT_RESPONSE__INIT;
    struct rpc_request *request = change->request;
    change->request = NULL;
    answer(d, request, result, NULL, result == OK ? &response.base : NULL);
}

void on_setting_put(struct director *d, struct rpc_request *request)
{
    Tern__SettingPutRequest *asked =
        (Tern__SettingPutRequest *)answer_unpack(d, request, &tern__setting_put_request__descriptor);
    if (asked == NULL)
        return;
    struct slice name = slice_str(asked->name);
    struct map_setting *at = map_find_setting(&d->map, name);
    if (!names_is_setting(name) || strlen(asked->value) > NAMES_SETTING_VALUE_MAX) {
        answer(d, request, ERR_SYNTAX, "a setting's name is of a-z 0-9 _ . and its value at most 1024 bytes",
               NULL);
    } else if (at == NULL && d->map.setting_count >= MAP_SETTINGS_MAX) {
        answer(d, request, ERR_LIMIT, "the cluster has its most settings", NULL);
    } else {
        struct change *change = change_new(d, request, 1, on_setting_stored);
        Tern__Setting setting = TERN__SETTING__INIT;
        setting.name = asked->name;
        setting.value = asked->value;
        change_add_put(change, ROW_SETTING, 0, name, at != NULL ? at->mod : 0, &setting.base);
        change_submit(change);
    }
    tern__setting_put_request__free_unpacked(asked, NULL);
}
