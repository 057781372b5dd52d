/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections each client has open: one table shared by the loops of a listener. Thread-safe. */
#ifndef LIB_NET_PEER_COUNT_H
#define LIB_NET_PEER_COUNT_H

#include "lib/net/addr.h"

struct peer_count;

struct peer_count *peer_count_new(size_t max_each); /* 0: everything is allowed and nothing counted */
void peer_count_free(struct peer_count **p);
/* Count one more; false, and not counted, if that client has max_each. Clients are told apart by IPv4 address
 * or IPv6 /64 (one customer); addresses of no family are always allowed. */
bool peer_count_enter(struct peer_count *p, const struct addr *peer);
/* Takes back what peer_count_enter counted for the same address. */
void peer_count_leave(struct peer_count *p, const struct addr *peer);

#endif
