/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's status as text for a person and as JSON for a script. Pure. */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include "ctl/json.h"
#include "lib/store/status.h"

enum { STATUS_WIDTH = 80 }; /* columns of the text, whatever the names are */

/* All is served, and there are as many copies of everything as are wanted. */
bool status_is_healthy(const struct status *s);
void status_text(const struct status *s, struct buf *out);
void status_json(const struct status *s, struct json *json);

/* "alive", "silent 12 s", "draining", "drained" (nothing is left there), "leaving". */
void status_node_state(const struct status_node *node, struct buf *out);
/* "12 s", "3 min", "5 h", "4 d". */
void status_duration(uint64_t ms, struct buf *out);
/* "512 B", "1.2 GiB". */
void status_size(uint64_t bytes, struct buf *out);
const struct status_node *status_find_node(const struct status *s, uint32_t id);
/* Its name, or its number if it has none or is not known; clipped to `columns`. */
void status_node_name(const struct status *s, uint32_t id, size_t columns, struct buf *out);

#endif
