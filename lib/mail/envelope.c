/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/envelope.h"

#include "lib/mail/header.h"

static struct addrlist *list_of(struct envelope *env, struct slice name)
{
    const struct {
        const char *name;
        struct addrlist *list;
    } table[] = {
        { "From", &env->from }, { "Sender", &env->sender }, { "Reply-To", &env->reply_to },
        { "To", &env->to },     { "Cc", &env->cc },         { "Bcc", &env->bcc },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (slice_eq_nocase_str(name, table[i].name))
            return table[i].list;
    }
    return NULL;
}

static struct slice *text_of(struct envelope *env, struct slice name)
{
    const struct {
        const char *name;
        struct slice *text;
    } table[] = {
        { "Date", &env->date },
        { "Subject", &env->subject },
        { "In-Reply-To", &env->in_reply_to },
        { "Message-ID", &env->message_id },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (slice_eq_nocase_str(name, table[i].name))
            return table[i].text;
    }
    return NULL;
}

/* Most fields of real mail are none of ours; their names' first letters say so at once. */
static bool may_matter(struct slice name)
{
    return name.len <= sizeof "In-Reply-To" - 1 && strchr("fFsSrRtTcCbBdDiImM", name.data[0]) != NULL;
}

void envelope_parse(struct arena *arena, struct slice block, struct envelope *env)
{
    *env = (struct envelope){ 0 };
    struct header_field field;
    while (header_next(&block, &field)) {
        if (!may_matter(field.name))
            continue;
        struct addrlist *list = list_of(env, field.name);
        if (list != NULL) {
            addrlist_parse(arena, field.value, list);
            continue;
        }
        struct slice *text = text_of(env, field.name);
        if (text != NULL && text->data == NULL)
            *text = header_unfold(arena, field.value);
    }
}
