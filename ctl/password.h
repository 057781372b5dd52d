/* SPDX-License-Identifier: Apache-2.0 */
/* From a password, or an imported hash, to the credential that is stored. The password leaves this program
 * nowhere. */
#ifndef CTL_PASSWORD_H
#define CTL_PASSWORD_H

#include "ctl/command.h"

/* By the options given: --password-stdin (the first line of standard input, without its line end) or
 * --password-hash. What it points to lives in the arena. False and told if there is none, or it cannot be
 * used. Yields. */
enum ctl_exit password_read_credential(struct ctl *ctl, const char *what, struct account_credential *out);

#endif
