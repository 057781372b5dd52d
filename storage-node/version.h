/* SPDX-License-Identifier: Apache-2.0 */
/* What this program speaks. The linker decides: version.c is the program's; tests/cluster/next/version.c
 * makes of the rest what its next version will be, so that the two can be tried side by side. */
#ifndef STORAGE_NODE_VERSION_H
#define STORAGE_NODE_VERSION_H

#include <stdint.h>

/* The highest version of the state machine, and of messages between storage nodes. */
extern const uint8_t version_machine, version_peer;

#endif
