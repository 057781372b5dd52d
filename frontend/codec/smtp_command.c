/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/codec/smtp_command.h"

enum { BDAT_SIZE_DIGITS_MAX = 20 };

static struct slice take_word(struct slice *rest)
{
    ptrdiff_t space = slice_find(*rest, ' ');
    size_t end = space < 0 ? rest->len : (size_t)space;
    struct slice word = slice_sub(*rest, 0, end);
    *rest = slice_sub(*rest, end, rest->len);
    while (rest->len > 0 && rest->data[0] == ' ')
        *rest = slice_sub(*rest, 1, rest->len);
    return word;
}

struct smtp_command smtp_command_parse(struct slice line)
{
    struct smtp_command command;
    command.verb = take_word(&line);
    while (line.len > 0 && line.data[line.len - 1] == ' ')
        line.len--;
    command.args = line;
    return command;
}

/* The closing bracket that ends the path: not one inside a quoted local part. */
static ptrdiff_t find_path_end(struct slice s)
{
    bool quoted = false;
    for (size_t i = 1; i < s.len; i++) {
        if (quoted && s.data[i] == '\\') {
            i++;
        } else if (s.data[i] == '"') {
            quoted = !quoted;
        } else if (s.data[i] == '>' && !quoted) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

/* "<@a,@b:user@c>": a source route is read and ignored (RFC 5321 4.1.1.3). */
static struct slice without_route(struct slice path)
{
    if (path.len > 0 && path.data[0] == '@') {
        ptrdiff_t colon = slice_find(path, ':');
        if (colon >= 0)
            return slice_sub(path, (size_t)colon + 1, path.len);
    }
    return path;
}

/* Take "PREFIX:<path>" off the front. Blanks behind the colon are not RFC 5321's, but common. */
static enum err take_path(struct slice *args, const char *prefix, struct slice *path_out)
{
    if (!slice_starts_nocase(*args, prefix))
        return ERR_SYNTAX;
    struct slice rest = slice_sub(*args, strlen(prefix), args->len);
    while (rest.len > 0 && rest.data[0] == ' ')
        rest = slice_sub(rest, 1, rest.len);
    if (rest.len == 0 || rest.data[0] != '<')
        return ERR_SYNTAX;
    ptrdiff_t end = find_path_end(rest);
    if (end < 0)
        return ERR_SYNTAX;
    *path_out = without_route(slice_sub(rest, 1, (size_t)end));
    rest = slice_sub(rest, (size_t)end + 1, rest.len);
    if (rest.len > 0 && rest.data[0] != ' ')
        return ERR_SYNTAX;
    while (rest.len > 0 && rest.data[0] == ' ')
        rest = slice_sub(rest, 1, rest.len);
    *args = rest;
    return OK;
}

static enum err read_body(struct slice value, struct smtp_mail *out)
{
    if (slice_eq_nocase_str(value, "7BIT"))
        out->body = SMTP_BODY_7BIT;
    else if (slice_eq_nocase_str(value, "8BITMIME"))
        out->body = SMTP_BODY_8BITMIME;
    else
        return ERR_INVALID;
    return OK;
}

static enum err read_mail_param(struct slice name, struct slice value, bool has_value, struct smtp_mail *out)
{
    if (slice_eq_nocase_str(name, "SIZE")) {
        out->has_size = true;
        return slice_parse_u64(value, UINT64_MAX, &out->size) ? OK : ERR_INVALID;
    }
    if (slice_eq_nocase_str(name, "BODY"))
        return read_body(value, out);
    if (slice_eq_nocase_str(name, "SMTPUTF8")) {
        out->smtputf8 = true;
        return has_value ? ERR_INVALID : OK;
    }
    if (slice_eq_nocase_str(name, "AUTH")) {
        out->auth = value;
        return value.len > 0 ? OK : ERR_INVALID;
    }
    return ERR_UNSUPPORTED;
}

enum err smtp_mail_parse(struct slice args, struct smtp_mail *out)
{
    *out = (struct smtp_mail){ 0 };
    TRY(take_path(&args, "FROM:", &out->path));
    while (args.len > 0) {
        struct slice param = take_word(&args);
        ptrdiff_t equals = slice_find(param, '=');
        size_t name_len = equals < 0 ? param.len : (size_t)equals;
        TRY(read_mail_param(slice_sub(param, 0, name_len), slice_sub(param, name_len + 1, param.len),
                            equals >= 0, out));
    }
    return OK;
}

enum err smtp_rcpt_parse(struct slice args, struct slice *path_out)
{
    TRY(take_path(&args, "TO:", path_out));
    if (path_out->len == 0)
        return ERR_SYNTAX;
    return args.len > 0 ? ERR_UNSUPPORTED : OK;
}

enum err smtp_bdat_parse(struct slice args, uint64_t *size_out, bool *last_out)
{
    struct slice size = take_word(&args);
    *last_out = slice_eq_nocase_str(args, "LAST");
    if (args.len > 0 && !*last_out)
        return ERR_SYNTAX;
    if (size.len > BDAT_SIZE_DIGITS_MAX || !slice_parse_u64(size, UINT64_MAX, size_out))
        return ERR_SYNTAX;
    return OK;
}
