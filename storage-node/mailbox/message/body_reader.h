/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a stored message, read through its chunks. Only for the state machine. */
#ifndef STORAGE_NODE_MAILBOX_MESSAGE_BODY_READER_H
#define STORAGE_NODE_MAILBOX_MESSAGE_BODY_READER_H

#include "storage-node/mailbox/rows/state.h"

struct body_reader {
    const struct state *state;
    struct body_row row;
    struct cursor chunks;  /* behind the current chunk */
    struct chunk chunk;    /* the current one */
    uint64_t chunk_offset; /* where it begins in the message */
    struct kv_value value; /* its bytes, once loaded */
    bool loaded;
};

/* ERR_NOT_FOUND: no such body any more. The reader must be ended, also after an error. */
MUST_CHECK enum err body_reader_begin(const struct state *s, uint64_t body, struct body_reader *out);
void body_reader_end(struct body_reader *b);
/* Bytes from `offset` on, as many as are at hand: at least one and at most `len`, valid until the next call.
 * ERR_NOT_FOUND at the end. */
MUST_CHECK enum err body_reader_at(struct body_reader *b, uint64_t offset, uint64_t len, struct slice *out);
/* Append bytes [offset, offset + len), fewer at the end. */
MUST_CHECK enum err body_reader_copy(struct body_reader *b, uint64_t offset, uint64_t len, struct buf *out);
/* Octets of the header with its empty line: as the summary says, else searched for. */
MUST_CHECK enum err body_reader_header_size(struct body_reader *b, struct slice summary, uint64_t *out);

#endif
