/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of LOGIN, AUTHENTICATE, ENABLE and ID, and of commands that have none. */
#include "frontend/codec/imap_command.h"
#include "lib/base/ascii.h"
#include "lib/base/base64.h"

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

static enum err decode_base64(struct slice text, struct arena *arena, struct slice *out)
{
    struct buf bytes = { 0 };
    enum err err = base64_decode(text, &bytes);
    if (err == OK)
        *out = arena_slice(arena, buf_slice(&bytes));
    buf_fini(&bytes);
    return err;
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
