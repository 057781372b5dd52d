/* SPDX-License-Identifier: Apache-2.0 */
/* What a client's inside says of a peer, for tests that wait for it. On the loop's thread. */
#ifndef TESTS_UNIT_LIB_RPC_PEER_STATE_H
#define TESTS_UNIT_LIB_RPC_PEER_STATE_H

#include <stdbool.h>

#include "lib/rpc/client.h"

enum { PEER_STATE_MS = 30 * 1000 }; /* patience of whoever waits for one of them */

/* Its connection stands, as far as is known here. */
bool peer_is_connected(const struct rpc_peer *peer);
/* Something came and waits to be read. */
bool peer_has_input(const struct rpc_peer *peer);
/* No connection with newer keys is on its way beside the one in use. */
bool peer_is_settled(const struct rpc_peer *peer);

#endif
