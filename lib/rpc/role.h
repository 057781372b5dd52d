/* SPDX-License-Identifier: Apache-2.0 */
/* The roles that keys speak for, and what each may do: who may connect to which socket, and call what there.
 * Pure. */
#ifndef LIB_RPC_ROLE_H
#define LIB_RPC_ROLE_H

#include <stdbool.h>
#include <stdint.h>

enum rpc_role {
    RPC_ROLE_NONE, /* no keys are in use */
    RPC_ROLE_FRONTEND,
    RPC_ROLE_STORAGE_NODE,
    RPC_ROLE_DIRECTOR,
    RPC_ROLE_CTL,
    RPC_ROLE_COUNT,
};

/* The sockets that are bound. Their names are the ZAP domains. */
enum rpc_service {
    RPC_SERVICE_DIRECTOR, /* requests to a director */
    RPC_SERVICE_STORAGE,  /* requests to a storage node */
    RPC_SERVICE_PEER,     /* entries between storage nodes */
    RPC_SERVICE_BEAT,     /* beats between storage nodes */
    RPC_SERVICE_COUNT,
};

/* "frontend", "storage-node", "director", "ctl"; "none". */
const char *rpc_role_name(enum rpc_role role);
/* RPC_ROLE_NONE if no role has that name. NULL is no name. */
enum rpc_role rpc_role_find(const char *name);
/* "director", "storage", "peer", "beat". */
const char *rpc_service_name(enum rpc_service service);
/* RPC_SERVICE_COUNT if there is none. `name` need not end in NUL. */
enum rpc_service rpc_service_find(const char *name, uint32_t len);

bool rpc_role_may_connect(enum rpc_role role, enum rpc_service service);
/* Of one that may connect. Methods that the service does not know are let through: it says so itself. */
bool rpc_role_may_call(enum rpc_role role, enum rpc_service service, uint32_t method);

#endif
