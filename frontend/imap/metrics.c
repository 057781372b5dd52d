/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/metrics.h"

#include "lib/base/metrics.h"

enum { COMMANDS_MAX = 64 }; /* names in the table of commands, and "other" */

/* Registering takes a lock, so every thread remembers what it has asked for. Names are the table's literals.
 */
static _Thread_local struct {
    const char *name;
    struct metric_counter *counters[IMAP_REPLY_NONE + 1];
} known[COMMANDS_MAX];

void imap_metrics_command(const char *name, enum imap_reply_status status)
{
    static const char *const results[] = { "ok", "no", "bad", "none" };
    unsigned i = 0;

    name = name == NULL ? "other" : name;
    while (i < COMMANDS_MAX - 1 && known[i].name != NULL && known[i].name != name)
        i++;
    known[i].name = name;
    if (known[i].counters[status] == NULL)
        known[i].counters[status] =
            metrics_counter("tern_imap_commands_total", "IMAP commands by name and by how they were answered",
                            METRIC_LABELS("command", name, "result", results[status]));
    metric_count(known[i].counters[status], 1);
}

void imap_metrics_login(bool ok)
{
    metric_count(metrics_counter("tern_imap_logins_total", "attempts to log in over IMAP",
                                 METRIC_LABELS("result", ok ? "ok" : "failed")),
                 1);
}

void imap_metrics_session(int change)
{
    metric_add(metrics_gauge("tern_imap_sessions", "open IMAP connections", NULL), change);
    if (change > 0)
        metric_count(metrics_counter("tern_imap_sessions_total", "IMAP connections served", NULL), 1);
}
