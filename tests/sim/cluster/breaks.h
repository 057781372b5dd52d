/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SIM_CLUSTER_BREAKS_H
#define TESTS_SIM_CLUSTER_BREAKS_H

#include "tests/sim/cluster/cluster.h"

/* False: no such break. *weather_out: in which it does most harm, < 0: any. */
bool breaks_find(const char *name, struct breaks *out, int *weather_out);
void breaks_list(void);

#endif
