/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/rpc/peer_state.h"

#include "lib/rpc/client_priv.h"

bool peer_is_connected(const struct rpc_peer *peer)
{
    return conn_can_send(peer->conn);
}

bool peer_has_input(const struct rpc_peer *peer)
{
    return rpc_socket_has_input(peer->conn->socket);
}

bool peer_is_settled(const struct rpc_peer *peer)
{
    return peer->fresh == NULL;
}
