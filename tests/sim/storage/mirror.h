/* SPDX-License-Identifier: Apache-2.0 */
/* A second node that is sent copies of one partition of the world (R24), with power cuts at any write of its
 * own. The sender is made here, so that nothing but the receiving end decides; threads are queues that go on
 * in any order. After each cut its disk must hold the `installing` mark, or all rows of the state at its
 * applied index. */
#ifndef TESTS_SIM_STORAGE_MIRROR_H
#define TESTS_SIM_STORAGE_MIRROR_H

#include "tests/sim/storage/world.h"

struct mirror;

struct mirror *mirror_new(struct world *w, uint32_t partition);
void mirror_free(struct mirror **mirror);
/* Remember what the partition holds now: to be sent with the next copy. The world has settled. */
void mirror_take(struct mirror *m);
/* Send that, and the entries since as far as they are in the world's log. The world has settled. */
void mirror_copy(struct mirror *m);
/* Copies that arrived, cuts in the middle. */
void mirror_figures(const struct mirror *m, uint64_t *copies_out, uint64_t *crashes_out);

#endif
