/* SPDX-License-Identifier: Apache-2.0 */
/* The encoding of a summary, version 1. Numbers are LEB128 varints.
 *
 *   version(1 byte) has flags size header_len zigzag(sent seconds) zigzag(zone minutes) left_out
 *   then runs of bytes, each with its length before: preview headers (byte: other_names_whole) other_names
 * envelope tree
 *
 *   string    0 = NIL, else 1 + (length << 1 | plain), then the bytes. plain: may stand in an IMAP quoted
 * string as it is. list      its length in bytes, then the items. address   name route mailbox host (strings)
 *   envelope  date subject from sender reply-to to cc bcc in-reply-to message-id (strings and lists of
 * addresses) tree      parts in preorder: bits(1 byte) header_offset(from the last part's) header_len
 * body_len body_lines [child_count: multipart] type subtype [params] [id] [description] [encoding] [md5]
 *             [disposition params languages location] [length and envelope: message]; in brackets: if its bit
 * says so left_out  bit i: the i-th popular name is in the header but not in `headers` other_names  16-bit
 * hashes (big-endian) of the names of the header's unpopular fields
 */
#ifndef LIB_MAIL_SUMMARY_PRIV_H
#define LIB_MAIL_SUMMARY_PRIV_H

#include "lib/mail/summary.h"

enum {
    PART_KIND_MASK = 3,
    PART_HAS_PARAMS = 1 << 2,
    PART_HAS_ID = 1 << 3,
    PART_HAS_DESCRIPTION = 1 << 4,
    PART_HAS_ENCODING = 1 << 5,
    PART_HAS_MD5 = 1 << 6,
    PART_HAS_EXTENSION = 1 << 7, /* disposition, languages or location */
};

enum { SUMMARY_QUOTED_MAX = 1024 }; /* longer strings are never marked plain */

struct nstring {
    struct slice text; /* SLICE_NULL: NIL */
    bool plain;
};

void summary_put_string(struct buf *out, struct slice s);
struct nstring summary_take_string(struct cursor *c);

/* Append the encoded envelope of a header block. `scratch` is cleared. */
void summary_put_envelope(struct buf *out, struct arena *scratch, struct slice block);
/* Append the encoded parts. `envelopes` gives the encoded envelope of the message in part `index`. */
typedef struct slice (*summary_envelope_fn)(void *ctx, uint32_t index);
void summary_put_tree(struct buf *out, const struct mime_part *parts, size_t count,
                      summary_envelope_fn envelopes, void *ctx);

/* Index of a popular field's name, -1 for others. The order is part of the encoding. */
enum { POPULAR_COUNT_MAX = 64 };
int summary_popular_find(struct slice name);
uint16_t summary_name_hash(struct slice name);

#endif
