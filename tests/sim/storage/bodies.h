/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_STORAGE_BODIES_H
#define TESTS_SIM_STORAGE_BODIES_H

#include "tests/sim/storage/world.h"

/* Fails the world unless the bytes in KV_BODY are exactly those that rows refer to; everything is applied.
 * `none`: and there are none, nor rows of any account. */
void bodies_check(struct world *w, bool none);

#endif
