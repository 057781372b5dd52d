/* SPDX-License-Identifier: Apache-2.0 */
/* Values of configuration keys: text to number, bounds, storing in the struct. Used by config.c; the
 * two parsers also where people type such values elsewhere. */
#ifndef LIB_BASE_CONFIG_VALUE_H
#define LIB_BASE_CONFIG_VALUE_H

#include "lib/base/config.h"

/* "64M" to bytes; false if it is none or does not fit. */
bool config_parse_size(struct slice text, uint64_t *bytes_out);
/* "10s" to milliseconds; false likewise. */
bool config_parse_duration(struct slice text, uint64_t *ms_out);

/* Store a value of the key's type in its field, freeing what was there. On ERR_INVALID the reason is added to
 * `why` and the field keeps its value. */
MUST_CHECK enum err config_put_number(const struct config_key *key, int64_t value, void *out,
                                      struct buf *why);
MUST_CHECK enum err config_put_string(const struct config_key *key, struct slice text, void *out,
                                      struct buf *why);
MUST_CHECK enum err config_put_strings(const struct config_key *key, const struct slice *items, size_t count,
                                       void *out, struct buf *why);
void config_put_bool(const struct config_key *key, bool value, void *out);
/* From the form of a default: any type. */
MUST_CHECK enum err config_put_text(const struct config_key *key, struct slice text, void *out,
                                    struct buf *why);
void config_free_field(const struct config_key *key, void *out);

/* "a size like \"64M\"", for messages and help. */
const char *config_type_text(enum config_type type);

#endif
