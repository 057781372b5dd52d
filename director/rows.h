/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in the coordination store: every key layout, and how a value is read. A value is a version byte
 * and a protobuf message.
 *
 *   cluster              Map, its first five fields: cluster id, number of partitions, copies, min_members
 *   node-id              NodeInfo, only id: the last one given out (ids are never reused)
 *   node/0000000017      NodeInfo
 *   removed/0000000017   NodeInfo, only id, store id and name: a node that must not come back
 *   partition/000042     PartitionConf
 *   domain/example.org   Domain
 *   setting/name         Setting
 */
#ifndef DIRECTOR_ROWS_H
#define DIRECTOR_ROWS_H

#include <protobuf-c/protobuf-c.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum row_kind { ROW_CLUSTER, ROW_NODE_ID, ROW_NODE, ROW_REMOVED, ROW_PARTITION, ROW_DOMAIN, ROW_SETTING };

/* The key of a row: `number` for nodes and partitions, `name` for domains and settings. Replaces what is in
 * `out`. */
void row_key(struct buf *out, enum row_kind kind, uint32_t number, struct slice name);

/* What a key names. ERR_CORRUPT if it is none of the above. `name_out` borrows from `key`. */
MUST_CHECK enum err row_parse_key(struct slice key, enum row_kind *kind_out, uint32_t *number_out,
                                  struct slice *name_out);

/* Replaces what is in `out`. */
void row_value(struct buf *out, const ProtobufCMessage *message);
/* NULL if it does not decode (or has a newer version); else the caller frees it with
 * protobuf_c_message_free_unpacked. */
ProtobufCMessage *row_parse_value(struct slice value, const ProtobufCMessageDescriptor *descriptor);

#endif
