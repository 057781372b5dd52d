/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/smtp/incoming.h"

#include <stdio.h>
#include <stdlib.h>

#include "frontend/queue/queue.h"
#include "frontend/smtp/missing.h"
#include "frontend/smtp/patience.h"
#include "frontend/smtp/trace.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/mail/summary.h"

struct incoming {
    struct upload *upload;
    struct summary_builder *summary;
    struct smtp_data data;
    struct delivery_id id;
    char name[24]; /* of the message, in logs and Received */
    uint64_t size, size_max;
    enum err upload_err;
    /* Counting Received fields while the header goes by. */
    bool in_header;
    bool at_line_start;
    uint8_t match; /* octets of "received:" matched, NO_MATCH inside a line of something else */
    unsigned hops;
    /* Of a submission: the header, until it is known what is missing in it. */
    bool holding;
    struct buf held;
    const char *hostname;
};

enum { NO_MATCH = 0xff };

static uint32_t *home_partitions(const struct smtp_session *s, size_t *count_out)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < s->recipient_count; i++)
        count += s->recipients[i].account_count;
    uint32_t *partitions = NEW_ARRAY(uint32_t, count);
    for (size_t i = 0; i < s->recipient_count; i++) {
        for (size_t j = 0; j < s->recipients[i].account_count; j++)
            partitions[at++] = s->recipients[i].accounts[j].ref.home;
    }
    *count_out = count;
    return partitions;
}

static uint32_t home_wait_ms(const struct smtp_session *s, const uint32_t *partitions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (queue_home_is_away(s->context->queue, partitions[i]))
            return QUEUE_HOME_WAIT_AWAY_MS;
    }
    return patience_wait_ms(s->context->patience);
}

/* Into the upload and the summary. */
static void add(struct incoming *in, struct slice text)
{
    if (in->upload_err != OK)
        return;
    summary_builder_push(in->summary, text);
    in->upload_err = upload_write(in->upload, text);
}

struct incoming *incoming_new(struct smtp_session *s)
{
    struct incoming *in = NEW(struct incoming);
    struct buf trace = { 0 };
    size_t count;
    uint32_t *partitions = home_partitions(s, &count);
    in->upload = upload_new(s->context->store, partitions, count);
    upload_limit_wait(in->upload, home_wait_ms(s, partitions, count));
    upload_want_spare(in->upload);
    free(partitions);
    in->summary = summary_builder_new(SUMMARY_STORED_MAX);
    in->id = delivery_id_new();
    snprintf(in->name, sizeof in->name, "%016llx", (unsigned long long)rand_u64());
    in->size_max = s->context->settings->message_size_max;
    in->in_header = in->at_line_start = true;
    in->holding = s->kind == SMTP_SUBMISSION;
    in->hostname = s->context->settings->hostname;
    trace_write(s, in->name, clock_real_ms(), &trace);
    add(in, buf_slice(&trace));
    buf_fini(&trace);
    return in;
}

void incoming_free(struct incoming **in)
{
    if (*in == NULL)
        return;
    upload_free(&(*in)->upload);
    summary_builder_free(&(*in)->summary);
    buf_fini(&(*in)->held);
    free(*in);
    *in = NULL;
}

uint64_t incoming_size(const struct incoming *in)
{
    return in->size;
}

/* ---- the client's bytes */

/* One octet of the header, for counting "Received:" at the start of lines and finding the empty line. */
static void count_hop_octet(struct incoming *in, uint8_t c)
{
    static const char field[] = "received:";
    if (c == '\n') {
        in->in_header = !in->at_line_start;
        in->at_line_start = true;
        in->match = 0;
        return;
    }
    if (c == '\r')
        return;
    in->at_line_start = false;
    if (in->match == NO_MATCH)
        return;
    if ((c | 0x20) != field[in->match] && c != field[in->match]) {
        in->match = NO_MATCH;
    } else if (field[++in->match] == '\0') {
        in->hops++;
        in->match = NO_MATCH;
    }
}

/* Let go of what was held back, behind what was missing. If the end of the header is out of sight, nothing is
 * known to be missing. */
static void release(struct incoming *in)
{
    struct buf missing = { 0 };
    struct slice held = buf_slice(&in->held);
    if (held.len <= MISSING_HEADER_MAX)
        missing_write(held, in->name, in->hostname, clock_real_ms(), &missing);
    in->holding = false;
    add(in, buf_slice(&missing));
    add(in, held);
    buf_fini(&missing);
    buf_fini(&in->held);
}

static void hold(struct incoming *in, struct slice text)
{
    buf_add_slice(&in->held, text);
    if (!in->in_header || in->held.len > MISSING_HEADER_MAX)
        release(in);
}

static void take(struct incoming *in, struct slice text)
{
    in->size += text.len;
    for (size_t i = 0; i < text.len && in->in_header; i++)
        count_hop_octet(in, text.data[i]);
    /* A refused message is read to its end for nothing. */
    if (in->size > in->size_max || in->data.faults != 0 || in->hops > SMTP_HOPS_MAX)
        return;
    if (in->holding)
        hold(in, text);
    else
        add(in, text);
}

void incoming_push_data(struct incoming *in, struct slice bytes, size_t *used_out, bool *end_out)
{
    size_t used = 0;
    while (used < bytes.len && in->data.state != SMTP_DATA_END) {
        struct slice text;
        used += smtp_data_next(&in->data, slice_sub(bytes, used, bytes.len), &text);
        if (text.len > 0)
            take(in, text);
    }
    *used_out = used;
    *end_out = in->data.state == SMTP_DATA_END;
}

void incoming_push_bdat(struct incoming *in, struct slice bytes)
{
    smtp_text_check(&in->data, bytes);
    take(in, bytes);
}

/* ---- the end */

/* True if the message must be refused, and was. */
static bool refuse(struct incoming *in, struct smtp_session *s)
{
    if (in->data.faults & SMTP_DATA_NUL)
        smtp_reject(s, 550, "5.6.0", "message contains NUL");
    else if (in->data.faults != 0)
        smtp_reject(s, 550, "5.6.0", "message contains a bare CR or LF");
    else if (in->size > in->size_max)
        smtp_reject(s, 552, "5.3.4", "message is larger than %llu octets", (unsigned long long)in->size_max);
    else if (in->hops > SMTP_HOPS_MAX)
        smtp_reject(s, 554, "5.4.6", "too many hops, this message goes in circles");
    else if (in->upload_err != OK)
        /* Nothing was delivered, whatever became of the chunks. */
        smtp_reply_err(s, in->upload_err == ERR_IN_DOUBT ? ERR_UNAVAILABLE : in->upload_err, "message");
    else
        return false;
    return true;
}

static bool has_target(const struct delivery_target *targets, size_t count, uint64_t account)
{
    for (size_t i = 0; i < count; i++) {
        if (targets[i].account.id == account)
            return true;
    }
    return false;
}

/* Whom the message is for: one target an account, however many recipients reach it. */
struct crowd {
    struct delivery_target *targets;
    struct slice *paths; /* of the first recipient that reaches each */
    size_t count;
    size_t queued; /* of them, in the end */
};

static struct crowd make_crowd(struct smtp_session *s)
{
    size_t most = 0;
    for (size_t i = 0; i < s->recipient_count; i++)
        most += s->recipients[i].account_count;
    struct crowd c = { .targets = ARENA_ARRAY(&s->mail_arena, struct delivery_target, most),
                       .paths = ARENA_ARRAY(&s->mail_arena, struct slice, most) };
    for (size_t i = 0; i < s->recipient_count; i++) {
        for (size_t j = 0; j < s->recipients[i].account_count; j++) {
            struct account_ref ref = s->recipients[i].accounts[j].ref;
            if (has_target(c.targets, c.count, ref.id))
                continue;
            c.paths[c.count] = s->recipients[i].path;
            c.targets[c.count++].account = ref;
        }
    }
    return c;
}

/* Deliver to those whose partitions are not known to be away: nobody should wait for what will not happen. Of
 * a larger message the partitions have been asked already. */
static void deliver(struct incoming *in, struct smtp_session *s, struct crowd *c)
{
    struct delivery_target *near = ARENA_ARRAY(&s->mail_arena, struct delivery_target, c->count);
    size_t *numbers = ARENA_ARRAY(&s->mail_arena, size_t, c->count), count = 0;
    bool may_skip = upload_is_inline(in->upload);
    for (size_t i = 0; i < c->count; i++) {
        c->targets[i].status = ERR_UNAVAILABLE;
        if (may_skip && queue_home_is_away(s->context->queue, c->targets[i].account.home))
            continue;
        numbers[count] = i;
        near[count++] = c->targets[i];
    }
    uint64_t began_ms = loop_now_ms();
    bool all_stored = count > 0;
    if (count > 0)
        store_deliver(s->context->store, in->upload, in->id, near, count);
    for (size_t i = 0; i < count; i++) {
        c->targets[numbers[i]] = near[i];
        all_stored &= near[i].status == OK;
    }
    if (all_stored)
        patience_learn(s->context->patience, loop_now_ms() - began_ms);
}

/* Not the recipient's fault: it may have the message later, or has it already and we were not told. */
static bool can_wait(enum err err)
{
    return err != OK && err_class(err) != ERR_CLASS_CALLER;
}

/* Those whose partitions did not take the message get it from the queue, under the same delivery id. */
static void queue_rest(struct incoming *in, struct smtp_session *s, struct crowd *c)
{
    struct queue_put_recipient *rest = ARENA_ARRAY(&s->mail_arena, struct queue_put_recipient, c->count);
    struct queue_put put = { .delivery = in->id,
                             .sender = s->mail.path,
                             .smtputf8 = s->mail.smtputf8,
                             .recipients = rest,
                             .delay_ms = QUEUE_FIRST_DELAY_MS };
    for (size_t i = 0; i < c->count; i++) {
        if (can_wait(c->targets[i].status))
            rest[put.recipient_count++] = (struct queue_put_recipient){ c->paths[i], c->targets[i].account };
    }
    if (put.recipient_count == 0)
        return;
    enum err err = queue_put(s->context->queue, s->context->store, in->upload, &put);
    if (err != OK) {
        log_warn("smtp", "not queued id=%s recipients=%zu: %s", in->name, put.recipient_count, err_name(err));
        /* A full disk is what the sender is to hear, also where its home was not asked again. */
        for (size_t i = 0; err == ERR_NO_SPACE && i < c->count; i++)
            c->targets[i].status = can_wait(c->targets[i].status) ? err : c->targets[i].status;
        return;
    }
    c->queued = put.recipient_count;
    for (size_t i = 0; i < c->count; i++) {
        if (can_wait(c->targets[i].status))
            c->targets[i].status = OK;
    }
}

/* One reply speaks for all recipients: anything but success everywhere makes the sender try again, and the
 * log says for whom. */
static void reply_result(struct incoming *in, struct smtp_session *s, const struct crowd *c)
{
    enum err worst = OK;
    for (size_t i = 0; i < c->count; i++) {
        if (c->targets[i].status == OK)
            continue;
        worst = c->targets[i].status;
        log_warn("smtp", "not delivered id=%s account=%llu: %s", in->name,
                 (unsigned long long)c->targets[i].account.id, err_name(c->targets[i].status));
    }
    log_info("smtp", "message id=%s from=<%.*s> recipients=%zu queued=%zu size=%llu status=%s", in->name,
             SLICE_FMT(s->mail.path), c->count, c->queued, (unsigned long long)in->size,
             worst != OK     ? err_name(worst)
             : c->queued > 0 ? "queued"
                             : "delivered");
    if (worst == OK)
        smtp_reply(s, 250, "2.0.0", "%s, id %s", c->queued > 0 ? "queued" : "delivered", in->name);
    else if (err_class(worst) == ERR_CLASS_SYSTEM)
        smtp_reply_err(s, worst, "delivery");
    else
        smtp_reply(s, 451, "4.3.0", "delivery: %s, try again later", err_text(worst));
}

void incoming_finish(struct incoming *in, struct smtp_session *s)
{
    smtp_text_finish(&in->data);
    if (in->holding)
        release(in);
    if (refuse(in, s))
        return;
    struct buf summary = { 0 };
    struct crowd crowd = make_crowd(s);
    if (s->mail.smtputf8)
        summary_builder_international(in->summary);
    summary_builder_finish(in->summary, &summary);
    upload_finish(in->upload, buf_slice(&summary));
    deliver(in, s, &crowd);
    queue_rest(in, s, &crowd);
    reply_result(in, s, &crowd);
    buf_fini(&summary);
}
