/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the director keeps: which are well-formed. Pure. */
#ifndef DIRECTOR_NAMES_H
#define DIRECTOR_NAMES_H

#include "lib/base/slice.h"

enum {
    NAMES_DOMAIN_MAX = 253,
    NAMES_LABEL_MAX = 63,
    NAMES_SETTING_MAX = 64,
    NAMES_SETTING_VALUE_MAX = 1024,
};

/* Labels of a-z, 0-9 and inner hyphens (RFC 1035 2.3.1, RFC 1123 2.1), lower case, no final dot. Callers have
 * turned Unicode into A-labels before. */
bool names_is_domain(struct slice name);
bool names_is_setting(struct slice name);

#endif
