/* SPDX-License-Identifier: Apache-2.0 */
/* Syntax of SMTP commands (RFC 5321 4.1, with the parameters of RFC 1870, 3030, 4954, 6152, 6531). Pure:
 * addresses are only cut out here, lib/mail/address.h reads them. */
#ifndef FRONTEND_CODEC_SMTP_COMMAND_H
#define FRONTEND_CODEC_SMTP_COMMAND_H

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum {
    SMTP_LINE_MAX = 4096,       /* octets of a command line with CRLF: 512 and the room that extensions add */
    SMTP_AUTH_LINE_MAX = 16384, /* RFC 4954: 12288 octets of base64 and the command */
};

/* A command line without its CRLF, cut at the first space. */
struct smtp_command {
    struct slice verb;
    struct slice args; /* trimmed */
};
struct smtp_command smtp_command_parse(struct slice line);

enum smtp_body { SMTP_BODY_UNSAID, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };

struct smtp_mail {
    struct slice path; /* between the angle brackets, source route removed; empty: the null sender */
    bool has_size;
    uint64_t size; /* SIZE= */
    enum smtp_body body;
    bool smtputf8;
    struct slice auth; /* AUTH= as written */
};

/* "FROM:<path> params". ERR_SYNTAX: the path; ERR_UNSUPPORTED: a parameter that was not announced;
 * ERR_INVALID: a parameter's value. */
MUST_CHECK enum err smtp_mail_parse(struct slice args, struct smtp_mail *out);
/* "TO:<path>", no parameters. ERR_SYNTAX, ERR_UNSUPPORTED. */
MUST_CHECK enum err smtp_rcpt_parse(struct slice args, struct slice *path_out);
/* "size [LAST]". ERR_SYNTAX. */
MUST_CHECK enum err smtp_bdat_parse(struct slice args, uint64_t *size_out, bool *last_out);

#endif
