/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON (RFC 8259). `name` is NULL inside arrays and at the top. Text that is not UTF-8 comes out with
 * U+FFFD. */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include "lib/base/buf.h"

struct json {
    struct buf out;
    bool comma; /* something stands before in this array or object */
};

void json_open(struct json *j, const char *name, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);                  /* '}' or ']' */
void json_text(struct json *j, const char *name, struct slice value);
void json_number(struct json *j, const char *name, uint64_t value);
void json_bool(struct json *j, const char *name, bool value);
/* As hexadecimal digits in a string. */
void json_hex(struct json *j, const char *name, struct slice value);

#endif
