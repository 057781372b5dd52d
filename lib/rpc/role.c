/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/role.h"

#include <stddef.h>
#include <string.h>

#include "proto/methods.h"

static const char *const role_names[RPC_ROLE_COUNT] = { "none", "frontend", "storage-node", "director",
                                                        "ctl" };
static const char *const service_names[RPC_SERVICE_COUNT] = { "director", "storage", "peer", "beat" };

const char *rpc_role_name(enum rpc_role role)
{
    return role < RPC_ROLE_COUNT ? role_names[role] : role_names[RPC_ROLE_NONE];
}

enum rpc_role rpc_role_find(const char *name)
{
    for (int i = RPC_ROLE_NONE + 1; name != NULL && i < RPC_ROLE_COUNT; i++) {
        if (strcmp(name, role_names[i]) == 0)
            return (enum rpc_role)i;
    }
    return RPC_ROLE_NONE;
}

const char *rpc_service_name(enum rpc_service service)
{
    return service < RPC_SERVICE_COUNT ? service_names[service] : "?";
}

enum rpc_service rpc_service_find(const char *name, uint32_t len)
{
    int i = 0;
    while (i < RPC_SERVICE_COUNT &&
           (strlen(service_names[i]) != len || memcmp(name, service_names[i], len) != 0))
        i++;
    return (enum rpc_service)i;
}

bool rpc_role_may_connect(enum rpc_role role, enum rpc_service service)
{
    switch (service) {
    case RPC_SERVICE_DIRECTOR:
        return role == RPC_ROLE_FRONTEND || role == RPC_ROLE_STORAGE_NODE || role == RPC_ROLE_CTL;
    case RPC_SERVICE_STORAGE:
        return role == RPC_ROLE_FRONTEND || role == RPC_ROLE_CTL;
    case RPC_SERVICE_PEER:
    case RPC_SERVICE_BEAT:
        return role == RPC_ROLE_STORAGE_NODE;
    default:
        return false;
    }
}

/* The map is for everybody; nodes alone say what they are and change configurations; the rest of what a
 * director does is an operator's. */
static bool may_call_director(enum rpc_role role, uint32_t method)
{
    switch (method) {
    case METHOD_MAP:
        return true;
    case METHOD_NODE_HELLO:
    case METHOD_CONF_CHANGE:
        return role == RPC_ROLE_STORAGE_NODE;
    default: {
        enum method_kind kind;
        return role == RPC_ROLE_CTL || !method_find(method, &kind);
    }
    }
}

/* A front-end works on mailboxes and on mail in the queue; what accounts and aliases there are and what
 * becomes of stuck mail is an operator's business, as is looking over all of it. */
static bool may_call_storage(enum rpc_role role, uint32_t method)
{
    switch (method) {
    case METHOD_ACCOUNT_CREATE:
    case METHOD_ACCOUNT_UPDATE:
    case METHOD_ACCOUNT_DELETE:
    case METHOD_ALIAS_PUT:
    case METHOD_ALIAS_DELETE:
    case METHOD_ADDRESS_LIST:
    case METHOD_QUEUE_LIST:
    case METHOD_QUEUE_CHANGE:
    case METHOD_CHECK:
        return role == RPC_ROLE_CTL;
    default:
        return true;
    }
}

bool rpc_role_may_call(enum rpc_role role, enum rpc_service service, uint32_t method)
{
    if (!rpc_role_may_connect(role, service))
        return false;
    if (service == RPC_SERVICE_DIRECTOR)
        return may_call_director(role, method);
    return service != RPC_SERVICE_STORAGE || may_call_storage(role, method);
}
