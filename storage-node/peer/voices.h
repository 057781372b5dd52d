/* SPDX-License-Identifier: Apache-2.0 */
/* What other nodes have said that they speak, each by its newest message: which version frames to it are
 * written in, and who cannot be talked to at all. Thread-safe. */
#ifndef STORAGE_NODE_PEER_VOICES_H
#define STORAGE_NODE_PEER_VOICES_H

#include "storage-node/peer/codec.h"

enum { VOICES_MAX = 1024 }; /* further ones are spoken to in the lowest version */

struct voices;

/* `own`: what this node speaks. */
struct voices *voices_new(struct peer_speech own);
void voices_free(struct voices **voices);

struct peer_speech voices_own(const struct voices *voices);
/* The node has sent something. Logged when no version of frames is spoken by both, and when one is again. */
void voices_hear(struct voices *voices, struct replica_node node, struct peer_speech says);
/* The version for frames to it; PEER_VERSION_MIN if it has not been heard, or there is none for both. */
uint8_t voices_version(struct voices *voices, struct replica_node node);
/* The highest version of the state machine that it speaks; 0: it has not been heard. */
uint8_t voices_machine(struct voices *voices, struct replica_node node);
/* Nodes without a version for both. */
size_t voices_strangers(struct voices *voices);

#endif
