/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of the IMAP server (lib/base/metrics.h), registered at their first use. */
#ifndef FRONTEND_IMAP_METRICS_H
#define FRONTEND_IMAP_METRICS_H

#include <stdbool.h>

#include "frontend/imap/command.h"

/* One command was answered; name NULL: it was none. tern_imap_commands_total{command,result} */
void imap_metrics_command(const char *name, enum imap_reply_status status);
/* tern_imap_logins_total{result} */
void imap_metrics_login(bool ok);
/* A session began (1) or ended (-1). tern_imap_sessions, tern_imap_sessions_total */
void imap_metrics_session(int change);

#endif
