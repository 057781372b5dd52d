/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/json.h"

#include "lib/mail/utf8.h"

/* Octets of the sequence at the front; 0 if it is none. */
static size_t sequence_len(struct slice text)
{
    uint8_t c = text.data[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return len <= text.len && utf8_is_valid(slice_sub(text, 0, len)) ? len : 0;
}

static void add_string(struct buf *out, struct slice text)
{
    buf_add_byte(out, '"');
    while (text.len > 0) {
        size_t len = sequence_len(text);
        uint8_t c = text.data[0];
        if (len == 0)
            buf_add_str(out, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\u%04x", c);
        else
            buf_add(out, text.data, len);
        text = slice_sub(text, len == 0 ? 1 : len, text.len);
    }
    buf_add_byte(out, '"');
}

static void begin(struct json *j, const char *name)
{
    if (j->comma)
        buf_add_byte(&j->out, ',');
    j->comma = true;
    if (name != NULL) {
        add_string(&j->out, slice_str(name));
        buf_add_byte(&j->out, ':');
    }
}

void json_open(struct json *j, const char *name, char bracket)
{
    begin(j, name);
    buf_add_byte(&j->out, (uint8_t)bracket);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    buf_add_byte(&j->out, (uint8_t)bracket);
    j->comma = true;
}

void json_text(struct json *j, const char *name, struct slice value)
{
    begin(j, name);
    add_string(&j->out, value);
}

void json_number(struct json *j, const char *name, uint64_t value)
{
    begin(j, name);
    buf_add_u64(&j->out, value);
}

void json_bool(struct json *j, const char *name, bool value)
{
    begin(j, name);
    buf_add_str(&j->out, value ? "true" : "false");
}

void json_hex(struct json *j, const char *name, struct slice value)
{
    begin(j, name);
    buf_add_byte(&j->out, '"');
    for (size_t i = 0; i < value.len; i++)
        buf_addf(&j->out, "%02x", value.data[i]);
    buf_add_byte(&j->out, '"');
}
