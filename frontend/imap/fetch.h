/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of FETCH share. */
#ifndef FRONTEND_IMAP_FETCH_H
#define FRONTEND_IMAP_FETCH_H

#include "frontend/imap/command.h"
#include "frontend/imap/message.h"
#include "lib/mail/row.h"

struct imap_fetching {
    struct imap_session *s;
    struct imap_command *cmd;
    const struct imap_fetch *fetch;
    uint32_t parts; /* ROW_* to ask for; may grow while rows are written */
    uint64_t row_count;
    struct uidset unseen;     /* to be marked \Seen when the rows are out */
    struct uidset marked;     /* marked \Seen before their rows are written, ... */
    uint64_t marked_modseq;   /* ... with this modseq */
    uint64_t known_modseq;    /* that too, if nobody else had changed anything; else 0 */
    struct uidset downgraded; /* shown as surrogates */
    struct imap_message message;
    struct buf scratch;  /* a header, or decoded bytes */
    unsigned item_count; /* written of the row under way */
    bool sent_part;      /* some of the row under way has left: it cannot be taken back */
    bool unknown_cte;    /* a BINARY could not be decoded (RFC 3516 4.3) */
};

/* Write "* seq FETCH (...)" for one row. On an error nothing of it remains, or the session is broken. Yields.
 */
MUST_CHECK enum err imap_fetch_write_row(struct imap_fetching *f, struct row *row, uint32_t seq);

/* The ROW_* parts that one section is answered from; `alone`: only one message is fetched. */
uint32_t imap_section_parts(const struct imap_section *section, bool alone);
/* Write "BODY[...] {n}..." for the current message. Yields. */
MUST_CHECK enum err imap_section_fetch(struct imap_fetching *f, const struct imap_section *section);
/* Write "BINARY[...]" or "BINARY.SIZE[...]". Yields. */
MUST_CHECK enum err imap_binary_fetch(struct imap_fetching *f, const struct imap_section *section);

/* Where a section lies in the current message. ERR_NOT_FOUND: there is no such part. Yields. */
struct section;
MUST_CHECK enum err imap_section_find(struct imap_fetching *f, const struct imap_section *section,
                                      struct section *out);
/* Cut [0, len) of a section to what "<offset.length>" asks for; false if nothing is left. */
bool imap_section_cut(const struct imap_section *section, uint64_t *from, uint64_t *len);
/* Octets of a literal: copied to the output if few, else sent. NULs are shown as 0x80 unless `raw`: a literal
 * must not hold them (RFC 9051 4.3), and the announced size must stay. Yields. */
void imap_section_write_octets(struct imap_fetching *f, struct slice bytes, bool raw);

/* The value of PREVIEW (RFC 8970). Yields. */
MUST_CHECK enum err imap_preview_fetch(struct imap_fetching *f, bool lazy);

#endif
