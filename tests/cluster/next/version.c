/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/version.h"

#include "storage-node/mailbox/machine.h"
#include "storage-node/peer/codec.h"

const uint8_t version_machine = MACHINE_VERSION + 1, version_peer = PEER_VERSION + 1;
