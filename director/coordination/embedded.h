/* SPDX-License-Identifier: Apache-2.0 */
/* The coordination store of a cluster with one director: a RocksDB database of its own. Every change is on
 * stable storage (fsync) before it is answered or published (R27). Transactions submitted meanwhile share the
 * next fsync. A write or fsync that fails ends the process (P9). */
#ifndef DIRECTOR_COORDINATION_EMBEDDED_H
#define DIRECTOR_COORDINATION_EMBEDDED_H

#include "director/coordination/coordination.h"

/* Opens or makes the database in folder `path`. ERR_IN_USE: another process has it; ERR_CORRUPT; ERR_IO
 * (logged). */
MUST_CHECK enum err embedded_open(const char *path, struct coordination **out);

#endif
