/* SPDX-License-Identifier: Apache-2.0 */
/* The front-end's listening ports: which protocol is served where. */
#ifndef FRONTEND_LISTENERS_H
#define FRONTEND_LISTENERS_H

#include "frontend/config.h"
#include "lib/net/listener.h"

struct listeners;

/* Bind every address of the configuration. Ends the process with a line in the log if one cannot be bound.
 * `tls` may be NULL: then the ports that need it must not be configured. */
struct listeners *listeners_bind(const struct frontend_config *config, struct tls_server *tls);
void listeners_start(struct listeners *all, struct loop *const *loops, size_t count);
void listeners_drain(struct listeners *all); /* thread-safe, as the two below */
void listeners_abort(struct listeners *all);
size_t listeners_connections(const struct listeners *all);

#endif
