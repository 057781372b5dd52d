/* SPDX-License-Identifier: Apache-2.0 */
/* Counts and durations of requests by method and outcome. */
#ifndef STORAGE_NODE_RPC_DISPATCH_FIGURES_H
#define STORAGE_NODE_RPC_DISPATCH_FIGURES_H

#include "lib/base/err.h"
#include "lib/base/metrics.h"

enum { FIGURE_METHODS_MAX = 128 /* method numbers; those beyond and unknown ones are counted as 0 */ };

struct dispatch_figures {
    struct metric_histogram *seconds[FIGURE_METHODS_MAX];
    struct metric_counter *answers[FIGURE_METHODS_MAX][ERR_CLASS_SYSTEM + 1];
};

void dispatch_figures_init(struct dispatch_figures *f);
/* ns 0: answered at once, not timed. */
void dispatch_figures_count(struct dispatch_figures *f, uint32_t method, enum err status, uint64_t ns);

#endif
