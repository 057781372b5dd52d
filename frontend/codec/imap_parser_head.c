/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of a command's line: tag and name at its start, a literal announced at its end. */
#include "frontend/codec/imap_parser_priv.h"
#include "lib/base/ascii.h"

/* RFC 9051 literal, RFC 7888 literal+, RFC 3516 literal8. */
struct imap_literal imap_literal_find(struct slice line)
{
    struct imap_literal l = { .sync = true };
    size_t i = line.len;
    if (i == 0 || line.data[--i] != '}')
        return l;
    if (i > 0 && line.data[i - 1] == '+') {
        l.sync = false;
        i--;
    }
    size_t end = i;
    while (i > 0 && ascii_is_digit(line.data[i - 1]))
        i--;
    if (i == end || i == 0 || line.data[i - 1] != '{')
        return l;
    if (!slice_parse_u64(slice_sub(line, i, end), INT64_MAX, &l.size))
        l.size = UINT64_MAX;
    l.at = i - 1;
    l.literal8 = l.at > 0 && line.data[l.at - 1] == '~';
    l.at -= l.literal8;
    l.found = true;
    return l;
}

/* tag = 1*<any ASTRING-CHAR except "+">; atom-specials are those of RFC 9051. */
static bool is_tag_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("(){%*\"\\+", c) == NULL;
}

static size_t word_length(struct slice s)
{
    ptrdiff_t blank = slice_find(s, ' ');
    return blank < 0 ? s.len : (size_t)blank;
}

const char *imap_parser_read_tag(struct imap_parser *p, struct slice line)
{
    size_t len = word_length(line);
    if (line.len == 0)
        return "Empty command line";
    if (len == 0 || len > IMAP_TAG_MAX)
        return "Invalid tag";
    for (size_t i = 0; i < len; i++) {
        if (!is_tag_char(line.data[i]))
            return "Invalid tag";
    }
    memcpy(p->tag, line.data, len);
    p->tag[len] = '\0';
    return NULL;
}

/* One word of the name, in capitals; what is behind it and its blank starts at *at_out. */
static const char *read_name(struct imap_parser *p, struct slice line, size_t *at_out)
{
    struct slice rest = slice_sub(line, *at_out, line.len);
    size_t len = word_length(rest);
    if (len == 0)
        return "Missing command";
    if (len > IMAP_NAME_MAX)
        return "Unknown command";
    for (size_t i = 0; i < len; i++) {
        if (!is_tag_char(rest.data[i]))
            return "Invalid command name";
        p->name[i] = (char)ascii_upper(rest.data[i]);
    }
    p->name[len] = '\0';
    *at_out += len < rest.len ? len + 1 : len;
    return NULL;
}

/* Returns NULL, or what is wrong. */
const char *imap_parser_read_head(struct imap_parser *p)
{
    struct slice line = buf_slice(&p->command);
    p->head_read = true;
    const char *wrong = imap_parser_read_tag(p, line);
    if (wrong != NULL)
        return wrong;
    size_t at = strlen(p->tag);
    if (at == line.len)
        return "Missing command";
    at++;
    wrong = read_name(p, line, &at);
    if (wrong == NULL && strcmp(p->name, "UID") == 0) {
        p->uid = true;
        wrong = read_name(p, line, &at);
    }
    p->args_at = at;
    return wrong;
}
