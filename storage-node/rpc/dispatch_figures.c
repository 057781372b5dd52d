/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/rpc/dispatch_figures.h"

#include "proto/methods.h"

static const char *const class_names[] = {
    [ERR_CLASS_OK] = "ok",
    [ERR_CLASS_CALLER] = "caller",
    [ERR_CLASS_ROUTING] = "routing",
    [ERR_CLASS_TEMPORARY] = "temporary",
    [ERR_CLASS_IN_DOUBT] = "in_doubt",
    [ERR_CLASS_SYSTEM] = "system",
};

void dispatch_figures_init(struct dispatch_figures *f)
{
    for (uint32_t method = 0; method < FIGURE_METHODS_MAX; method++) {
        enum method_kind kind;
        bool known = method_find(method, &kind);
        if (!known && method != 0)
            continue;
        const char *name = known ? method_name(method) : "unknown";
        f->seconds[method] = metrics_histogram_seconds(
            "tern_request_seconds", "time from arrival to answer of requests", METRIC_LABELS("method", name));
        for (int class = 0; class <= ERR_CLASS_SYSTEM; class ++)
            f->answers[method][class] =
                metrics_counter("tern_requests_total", "answered requests",
                                METRIC_LABELS("method", name, "status", class_names[class]));
    }
}

void dispatch_figures_count(struct dispatch_figures *f, uint32_t method, enum err status, uint64_t ns)
{
    uint32_t row = method < FIGURE_METHODS_MAX && f->seconds[method] != NULL ? method : 0;
    metric_count(f->answers[row][err_class(status)], 1);
    if (ns > 0)
        metric_observe(f->seconds[row], ns / 1000);
}
