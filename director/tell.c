/* SPDX-License-Identifier: Apache-2.0 */
#include "director/tell.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
    GATHER_MS = 1000, /* what comes so soon after the first is told with it */
    GROUPS_MAX = 256, /* then told at once */
    NAMED_MAX = 4,    /* partitions that a line names */
};

/* Partitions with which the same was done, by and for the same nodes. */
struct tell_group {
    struct conf_request asked;
    uint32_t count;
    uint32_t first[NAMED_MAX];
};

/* Who asked matters only where a seat goes from one to another. */
static bool is_same(const struct conf_request *a, const struct conf_request *b)
{
    return a->change == b->change && a->subject == b->subject &&
           (a->change != TERN__CONF_CHANGE__CONF_HANDOVER || a->asker == b->asker);
}

static struct tell_group *find(struct tell *t, const struct conf_request *asked)
{
    for (size_t i = 0; i < t->count; i++) {
        if (is_same(&t->groups[i].asked, asked))
            return &t->groups[i];
    }
    if (t->groups == NULL)
        t->groups = NEW_ARRAY(struct tell_group, GROUPS_MAX);
    t->groups[t->count] = (struct tell_group){ .asked = *asked };
    return &t->groups[t->count++];
}

void tell_add(struct tell *t, uint32_t partition, const struct conf_request *asked, uint64_t now_mono_ms)
{
    if (t->count == GROUPS_MAX)
        tell_flush(t, now_mono_ms, true);
    if (t->count == 0)
        t->first_ms = now_mono_ms;
    struct tell_group *group = find(t, asked);
    if (group->count < NAMED_MAX)
        group->first[group->count] = partition;
    group->count++;
}

static void add_partitions(const struct tell_group *group, struct buf *out)
{
    buf_addf(out, "%u partition%s (", group->count, group->count == 1 ? "" : "s");
    for (uint32_t i = 0; i < group->count && i < NAMED_MAX; i++)
        buf_addf(out, "%s%u", i > 0 ? ", " : "", group->first[i]);
    buf_add_str(out, group->count > NAMED_MAX ? " ...)" : ")");
}

void tell_text(const struct tell *t, size_t index, struct buf *out)
{
    const struct tell_group *group = &t->groups[index];
    const struct conf_request *asked = &group->asked;
    static const struct {
        const char *before, *after;
    } texts[] = {
        [TERN__CONF_CHANGE__CONF_PROMOTE] = { "becomes the primary of ",
                                              ", whose primary was lost or restarted" },
        [TERN__CONF_CHANGE__CONF_EVICT] = { "is no member any more of ", "" },
        [TERN__CONF_CHANGE__CONF_ADD] = { "has caught up and is a member of ", "" },
        [TERN__CONF_CHANGE__CONF_ADD_LEARNER] = { "is to have a copy of ", "" },
        [TERN__CONF_CHANGE__CONF_DROP_LEARNER] = { "is not waited for any more in ", "" },
    };
    if (asked->change == TERN__CONF_CHANGE__CONF_HANDOVER) {
        buf_addf(out, "node %u hands over to node %u: ", asked->asker, asked->subject);
        add_partitions(group, out);
        return;
    }
    buf_addf(out, "node %u %s", asked->subject, texts[asked->change].before);
    add_partitions(group, out);
    buf_add_str(out, texts[asked->change].after);
}

void tell_flush(struct tell *t, uint64_t now_mono_ms, bool now)
{
    struct buf text = { 0 };
    if (t->count == 0 || (!now && now_mono_ms < t->first_ms + GATHER_MS))
        return;
    for (size_t i = 0; i < t->count; i++) {
        tell_text(t, i, &text);
        log_info("partitions", "%s", buf_cstr(&text));
        buf_clear(&text);
    }
    t->count = 0;
    buf_fini(&text);
}

void tell_fini(struct tell *t)
{
    free(t->groups);
    *t = (struct tell){ 0 };
}
