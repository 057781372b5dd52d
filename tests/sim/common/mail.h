/* SPDX-License-Identifier: Apache-2.0 */
/* What simulated clients send: messages of which a number, the token, makes all, so that whoever reads one
 * can say what it must be; and the requests that bring them. */
#ifndef TESTS_SIM_COMMON_MAIL_H
#define TESTS_SIM_COMMON_MAIL_H

#include <protobuf-c/protobuf-c.h>

#include "lib/base/buf.h"
#include "proto/methods.h"

/* Octets that messages have at most: most are small, one in sixteen may be large. Each simulator has its own.
 */
struct mail_sizes {
    uint64_t small_max, large_max;
};
extern const struct mail_sizes mail_sizes;

uint64_t mail_size(uint64_t token);
void mail_bytes(uint64_t token, struct buf *out);
void mail_summary(uint64_t token, struct buf *out);
/* The token of a message read back; false if it is none of ours. */
bool mail_token(struct slice summary, uint64_t *token_out);

/* Of a request, a delivery or an upload: a time and chance. */
void mail_id(uint64_t time_ms, uint64_t chance, uint8_t out[static REQUEST_ID_SIZE]);

/* These replace *request, and *body by what travels beside it. */
void mail_pack(const ProtobufCMessage *message, struct buf *request);
void mail_pack_delivery(uint64_t token, const uint8_t id[static REQUEST_ID_SIZE], const uint64_t *accounts,
                        size_t count, struct buf *request, struct buf *body);
/* Chunk `chunk` of `chunks` about equal ones. */
void mail_pack_chunk(uint64_t token, const uint8_t id[static REQUEST_ID_SIZE], int chunk, int chunks,
                     struct buf *request, struct buf *body);

static inline ProtobufCBinaryData mail_binary(const struct buf *b)
{
    return (ProtobufCBinaryData){ b->len, b->data };
}

#endif
