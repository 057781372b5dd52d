/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of LOGIN, AUTHENTICATE, ENABLE and ID, and of commands that have none. */
#include "frontend/codec/imap_command.h"
#include "lib/base/ascii.h"

enum err imap_parse_none(struct imap_args *args)
{
    return imap_args_end(args);
}

enum err imap_parse_login(struct imap_args *args, struct imap_login *out)
{
    *out = (struct imap_login){ 0 };
    TRY(imap_args_astring(args, "a user name", &out->user));
    TRY(imap_args_space(args));
    TRY(imap_args_astring(args, "a password", &out->password));
    return imap_args_end(args);
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 4, strict: padded, no blanks, unused bits zero. */
static enum err decode_base64(struct slice text, struct arena *arena, struct slice *out)
{
    if (text.len % 4 != 0)
        return ERR_SYNTAX;
    size_t digits = text.len;
    while (digits > 0 && text.len - digits < 2 && text.data[digits - 1] == '=')
        digits--;
    uint8_t *bytes = arena_alloc(arena, text.len / 4 * 3 + 1);
    size_t len = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0)
            return ERR_SYNTAX;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            bytes[len++] = (uint8_t)(bits >> bit_count);
            bits &= (1u << bit_count) - 1;
        }
    }
    if (bits != 0)
        return ERR_SYNTAX;
    *out = slice_of(bytes, len);
    return OK;
}

enum err imap_parse_sasl_line(struct slice line, struct arena *arena, struct slice *out)
{
    if (slice_eq_str(line, "*"))
        return ERR_CANCELLED;
    return decode_base64(line, arena, out);
}

static struct slice capitals(struct slice s, struct arena *arena)
{
    uint8_t *copy = (uint8_t *)arena_strdup(arena, s);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = ascii_upper(copy[i]);
    return slice_of(copy, s.len);
}

enum err imap_parse_authenticate(struct imap_args *args, struct imap_authenticate *out)
{
    struct slice mechanism;
    *out = (struct imap_authenticate){ 0 };
    TRY(imap_args_atom(args, "a SASL mechanism", &mechanism));
    out->mechanism = (const char *)capitals(mechanism, args->arena).data;
    if (imap_args_at_end(args))
        return OK;
    TRY(imap_args_space(args));
    struct slice initial = slice_sub(args->text, args->at, args->text.len);
    out->has_initial = true;
    /* RFC 4959: "=" is an initial response of no octets. */
    if (slice_eq_str(initial, "="))
        initial.len = 0;
    else if (initial.len == 0)
        return imap_args_fail(args, "an initial response in base64");
    if (decode_base64(initial, args->arena, &out->initial) != OK)
        return imap_args_fail(args, "an initial response in base64");
    args->at = args->text.len;
    return OK;
}

enum err imap_parse_enable(struct imap_args *args, uint32_t *out)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } known[] = { { "CONDSTORE", IMAP_ENABLE_CONDSTORE },
                  { "QRESYNC", IMAP_ENABLE_QRESYNC },
                  { "UTF8=ACCEPT", IMAP_ENABLE_UTF8_ACCEPT },
                  { "IMAP4REV2", IMAP_ENABLE_REV2 } };
    *out = 0;
    do {
        struct slice name;
        TRY(imap_args_atom(args, "a capability", &name));
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (slice_eq_nocase_str(name, known[i].name))
                *out |= known[i].bit;
        }
    } while (imap_args_skip(args, ' '));
    return imap_args_end(args);
}

static enum err parse_id_pair(struct imap_args *args, struct imap_id_pair *out)
{
    size_t from = args->at;
    TRY(imap_args_string(args, "a field name", &out->field));
    TRY(imap_args_space(args));
    TRY(imap_args_nstring(args, "a string or NIL", &out->value));
    if (out->field.len > IMAP_ID_FIELD_MAX || out->value.len > IMAP_ID_VALUE_MAX) {
        args->at = from;
        return imap_args_fail(args, "a shorter ID field");
    }
    return OK;
}

enum err imap_parse_id(struct imap_args *args, struct imap_id *out)
{
    *out = (struct imap_id){ 0 };
    if (imap_args_skip_word(args, "NIL"))
        return imap_args_end(args);
    TRY(imap_args_char(args, '(', "NIL or a list"));
    out->pairs = ARENA_ARRAY(args->arena, struct imap_id_pair, IMAP_ID_PAIRS_MAX);
    while (!imap_args_skip(args, ')')) {
        if (out->count > 0)
            TRY(imap_args_space(args));
        if (out->count == IMAP_ID_PAIRS_MAX)
            return imap_args_fail(args, "at most 30 fields");
        TRY(parse_id_pair(args, &out->pairs[out->count]));
        out->count++;
    }
    return imap_args_end(args);
}
