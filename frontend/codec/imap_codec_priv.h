/* SPDX-License-Identifier: Apache-2.0 */
/* What the families of IMAP commands share. For frontend/codec only. */
#ifndef FRONTEND_CODEC_IMAP_CODEC_PRIV_H
#define FRONTEND_CODEC_IMAP_CODEC_PRIV_H

#include "frontend/codec/imap_command.h"

/* Words and the bits they stand for; the last name is NULL. */
struct imap_codec_name {
    const char *name;
    uint32_t bit;
};
extern const struct imap_codec_name imap_codec_status_names[];

/* Take one of the words if it stands here and set its bit. */
bool imap_codec_skip_name(struct imap_args *args, const struct imap_codec_name *table, uint32_t *bits);

/* "$" or a sequence set. */
MUST_CHECK enum err imap_codec_set(struct imap_args *args, struct imap_set *out);
/* "\Name" or a keyword, as written with its backslash. */
MUST_CHECK enum err imap_codec_flag(struct imap_args *args, const char *expected, struct slice *out);
/* "(MESSAGES UNSEEN)" */
MUST_CHECK enum err imap_codec_status_items(struct imap_args *args, uint32_t *items_out);

#endif
