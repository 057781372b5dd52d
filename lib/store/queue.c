/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the queue, leasing, reporting, changing. */
#include "lib/store/queue.h"

#include <stdio.h>

#include "lib/store/store_priv.h"
#include "proto/queue.pb-c.h"

_Static_assert((int)STORE_QUEUE_LEASE_MAX == (int)QUEUE_LEASE_MAX &&
                   (int)STORE_QUEUE_LIST_MAX == (int)QUEUE_LIST_MAX &&
                   (int)STORE_QUEUE_TOTALS_MAX == (int)QUEUE_TOTALS_MAX &&
                   (int)QUEUE_CHANGE_DELETE == (int)TERN__QUEUE_CHANGE__QUEUE_DELETE &&
                   (int)QUEUE_OUTCOME_FAILED == (int)TERN__QUEUE_OUTCOME__QUEUE_GIVEN_UP &&
                   (int)QUEUE_RECIPIENT_FAILED == (int)TERN__QUEUE_STATE__QUEUE_FAILED,
               "what callers are told must be what the nodes hold to");

/* ---- names */

void queue_id_format(const struct queue_id *id, char out[static QUEUE_ID_TEXT_MAX])
{
    int at = snprintf(out, QUEUE_ID_TEXT_MAX, "%u-", id->partition);
    for (size_t i = 0; i < sizeof id->bytes; i++)
        at += snprintf(out + at, QUEUE_ID_TEXT_MAX - (size_t)at, "%02x", id->bytes[i]);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool queue_id_parse(struct slice text, struct queue_id *out)
{
    ptrdiff_t dash = slice_find(text, '-');
    uint64_t partition;
    if (dash < 0 || !slice_parse_u64(slice_sub(text, 0, (size_t)dash), UINT32_MAX, &partition))
        return false;
    out->partition = (uint32_t)partition;
    struct slice hex = slice_sub(text, (size_t)dash + 1, text.len);
    if (hex.len != 2 * sizeof out->bytes)
        return false;
    for (size_t i = 0; i < sizeof out->bytes; i++) {
        int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* ---- calls */

/* As call_simple, with the queue's own patience. */
static enum err ask(struct store *store, uint32_t method, uint32_t partition, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *descriptor, void *response_out)
{
    return call_within(store, STORE_QUEUE_WAIT_MS, method, partition, request, descriptor, response_out);
}

static ProtobufCBinaryData id_of(const struct queue_id *id)
{
    return (ProtobufCBinaryData){ sizeof id->bytes, (uint8_t *)id->bytes };
}

static void read_recipients(const Tern__QueueItem *from, struct arena *arena, struct queue_item *to)
{
    to->recipient_count = from->n_recipients;
    to->recipients = ARENA_ARRAY(arena, struct queue_recipient, from->n_recipients);
    for (size_t i = 0; i < from->n_recipients; i++) {
        const Tern__QueueRecipient *r = from->recipients[i];
        to->recipients[i] = (struct queue_recipient){
            .number = r->number,
            .path = text_read(r->path, arena),
            .account = { .id = r->account, .home = r->home },
            .state = (enum queue_recipient_state)r->state,
            .changed_ms = r->changed_ms,
            .error = text_read(r->error, arena),
        };
    }
}

static enum err read_item(const Tern__QueueItem *from, uint32_t partition, struct arena *arena,
                          struct queue_item *to)
{
    *to = (struct queue_item){
        .id.partition = partition,
        .sender = text_read(from->sender, arena),
        .smtputf8 = from->smtputf8,
        .size = from->size,
        .created_ms = from->created_ms,
        .next_ms = from->next_ms,
        .attempts = from->attempts,
        .held = from->held,
        .fence = from->fence,
        .lease_until_ms = from->lease_until_ms,
        .holder = text_read(from->holder, arena),
        .pending = from->pending,
        .failed = from->failed,
    };
    if (from->item_id.len != sizeof to->id.bytes || from->delivery_id.len != sizeof to->delivery.bytes)
        return ERR_PROTOCOL;
    memcpy(to->id.bytes, from->item_id.data, sizeof to->id.bytes);
    memcpy(to->delivery.bytes, from->delivery_id.data, sizeof to->delivery.bytes);
    read_recipients(from, arena, to);
    return OK;
}

static enum err read_items(Tern__QueueItem *const *from, size_t count, uint32_t partition,
                           struct arena *arena, struct queue_item **items_out)
{
    *items_out = ARENA_ARRAY(arena, struct queue_item, count);
    for (size_t i = 0; i < count; i++)
        TRY(read_item(from[i], partition, arena, &(*items_out)[i]));
    return OK;
}

/* ---- looking */

enum err store_queue_list(struct store *store, uint32_t partition, const struct queue_id *after,
                          uint32_t limit, struct arena *arena, struct queue_item **items_out,
                          size_t *count_out, bool *more_out)
{
    Tern__QueueListRequest request = TERN__QUEUE_LIST_REQUEST__INIT;
    Tern__QueueListResponse *response;
    request.limit = limit;
    if (after != NULL)
        request.after = id_of(after);
    TRY(ask(store, METHOD_QUEUE_LIST, partition, &request.base, &tern__queue_list_response__descriptor,
            &response));
    enum err err = read_items(response->items, response->n_items, partition, arena, items_out);
    *count_out = response->n_items;
    *more_out = response->more;
    tern__queue_list_response__free_unpacked(response, NULL);
    return err;
}

enum err store_queue_show(struct store *store, const struct queue_id *id, struct arena *arena,
                          struct queue_item *out)
{
    Tern__QueueListRequest request = TERN__QUEUE_LIST_REQUEST__INIT;
    Tern__QueueListResponse *response;
    request.item_id = id_of(id);
    TRY(ask(store, METHOD_QUEUE_LIST, id->partition, &request.base, &tern__queue_list_response__descriptor,
            &response));
    enum err err =
        response->n_items == 1 ? read_item(response->items[0], id->partition, arena, out) : ERR_PROTOCOL;
    tern__queue_list_response__free_unpacked(response, NULL);
    return err;
}

enum err store_queue_body_read(struct store *store, const struct queue_id *id, uint64_t offset,
                               uint32_t length, struct buf *out)
{
    Tern__QueueBodyRequest request = TERN__QUEUE_BODY_REQUEST__INIT;
    request.item_id = id_of(id);
    request.offset = offset;
    request.length = length;
    struct call call = { .method = METHOD_QUEUE_BODY,
                         .partition = id->partition,
                         .request = &request.base,
                         .timeout_ms = STORE_QUEUE_WAIT_MS };
    enum err err = call_run(store, &call);
    if (err == OK && call_body(&call).len > length)
        err = ERR_PROTOCOL;
    if (err == OK)
        buf_add_slice(out, call_body(&call));
    call_fini(&call);
    return err;
}

static void read_status(const Tern__QueueStatusResponse *from, struct queue_status *to)
{
    *to = (struct queue_status){ .items = from->items,
                                 .bytes = from->bytes,
                                 .held = from->held,
                                 .failed = from->failed,
                                 .next_ms = from->next_ms,
                                 .oldest_ms = from->oldest_ms };
}

enum err store_queue_status(struct store *store, uint32_t partition, struct queue_status *out)
{
    Tern__QueueStatusRequest request = TERN__QUEUE_STATUS_REQUEST__INIT;
    Tern__QueueStatusResponse *response;
    TRY(ask(store, METHOD_QUEUE_STATUS, partition, &request.base, &tern__queue_status_response__descriptor,
            &response));
    read_status(response, out);
    tern__queue_status_response__free_unpacked(response, NULL);
    return OK;
}

static size_t find_partition(const uint32_t *partitions, size_t count, uint32_t partition)
{
    size_t i = 0;
    while (i < count && partitions[i] != partition)
        i++;
    return i;
}

/* False: it speaks of partitions that were not asked for. */
static bool read_totals(const Tern__QueueTotalsResponse *response, const uint32_t *partitions, size_t count,
                        bool *answered_out, struct queue_status *out)
{
    for (size_t i = 0; i < count; i++) {
        answered_out[i] = true;
        out[i] = (struct queue_status){ 0 };
    }
    for (size_t k = 0; k < response->n_unknown; k++) {
        size_t i = find_partition(partitions, count, response->unknown[k]);
        if (i == count)
            return false;
        answered_out[i] = false;
    }
    for (size_t k = 0; k < response->n_rows; k++) {
        size_t i = find_partition(partitions, count, response->rows[k]->partition);
        if (i == count || response->rows[k]->status == NULL)
            return false;
        read_status(response->rows[k]->status, &out[i]);
    }
    return true;
}

enum err store_queue_totals(struct store *store, const uint32_t *partitions, size_t count, bool *answered_out,
                            struct queue_status *out)
{
    Tern__QueueTotalsRequest request = TERN__QUEUE_TOTALS_REQUEST__INIT;
    Tern__QueueTotalsResponse *response;
    request.n_partitions = count;
    request.partitions = (uint32_t *)partitions;
    TRY(ask(store, METHOD_QUEUE_TOTALS, partitions[0], &request.base,
            &tern__queue_totals_response__descriptor, &response));
    bool good = read_totals(response, partitions, count, answered_out, out);
    tern__queue_totals_response__free_unpacked(response, NULL);
    return good ? OK : ERR_PROTOCOL;
}

/* ---- delivering */

enum err store_queue_lease(struct store *store, uint32_t partition, const struct queue_lease_options *options,
                           struct arena *arena, struct queue_lease *out)
{
    Tern__QueueLeaseRequest request = TERN__QUEUE_LEASE_REQUEST__INIT;
    Tern__QueueLeaseResponse *response;
    request.limit = options->limit;
    request.lease_ms = options->lease_ms;
    request.holder = arena_strdup(arena, options->holder);
    request.early_before_ms = options->early_before_ms;
    TRY(ask(store, METHOD_QUEUE_LEASE, partition, &request.base, &tern__queue_lease_response__descriptor,
            &response));
    enum err err = read_items(response->items, response->n_items, partition, arena, &out->items);
    out->count = response->n_items;
    out->now_ms = response->now_ms;
    out->next_ms = response->next_ms;
    tern__queue_lease_response__free_unpacked(response, NULL);
    return err;
}

static char *error_text(const char *error, struct arena *arena)
{
    return error == NULL ? (char *)""
                         : arena_strdup(arena, slice_sub(slice_str(error), 0, STORE_QUEUE_ERROR_MAX));
}

static Tern__QueueReport *write_report(const struct queue_report *from, struct arena *arena)
{
    Tern__QueueReport *to = ARENA_NEW(arena, Tern__QueueReport);
    tern__queue_report__init(to);
    to->item_id = id_of(&from->item->id);
    to->fence = from->item->fence;
    to->delay_ms = from->delay_ms;
    if (from->outcomes == NULL)
        return to;
    to->n_recipients = from->item->recipient_count;
    to->recipients = ARENA_ARRAY(arena, Tern__QueueRecipientReport *, to->n_recipients);
    for (size_t i = 0; i < to->n_recipients; i++) {
        Tern__QueueRecipientReport *r = ARENA_NEW(arena, Tern__QueueRecipientReport);
        tern__queue_recipient_report__init(r);
        r->number = from->item->recipients[i].number;
        r->outcome = (Tern__QueueOutcome)from->outcomes[i];
        r->error = error_text(from->errors[i], arena);
        to->recipients[i] = r;
    }
    return to;
}

/* As many of the reports as an entry holds, at least one; how many. */
static size_t write_reports(const struct queue_report *reports, size_t count, struct arena *arena,
                            Tern__QueueReportRequest *request)
{
    enum { BYTES_MAX = ENTRY_BYTES_MAX / 4 };
    size_t bytes = 0;
    if (count > QUEUE_LEASE_MAX)
        count = QUEUE_LEASE_MAX;
    request->reports = ARENA_ARRAY(arena, Tern__QueueReport *, count);
    while (request->n_reports < count && bytes < BYTES_MAX) {
        Tern__QueueReport *report = write_report(&reports[request->n_reports], arena);
        bytes += tern__queue_report__get_packed_size(report);
        if (request->n_reports > 0 && bytes > BYTES_MAX)
            break;
        request->reports[request->n_reports++] = report;
    }
    return request->n_reports;
}

static enum err send_reports(struct store *store, struct queue_report *reports, size_t count,
                             struct arena *arena, size_t *sent_out, uint64_t *now_ms_out,
                             uint64_t *next_ms_out)
{
    Tern__QueueReportRequest request = TERN__QUEUE_REPORT_REQUEST__INIT;
    Tern__QueueReportResponse *response;
    *sent_out = write_reports(reports, count, arena, &request);
    TRY(ask(store, METHOD_QUEUE_REPORT, reports[0].item->id.partition, &request.base,
            &tern__queue_report_response__descriptor, &response));
    enum err err = response->n_statuses == *sent_out ? OK : ERR_PROTOCOL;
    for (size_t i = 0; err == OK && i < *sent_out; i++)
        reports[i].status =
            response->statuses[i] < ERR_COUNT ? (enum err)response->statuses[i] : ERR_PROTOCOL;
    *now_ms_out = response->now_ms;
    *next_ms_out = response->next_ms;
    tern__queue_report_response__free_unpacked(response, NULL);
    return err;
}

enum err store_queue_report(struct store *store, struct queue_report *reports, size_t count,
                            uint64_t *now_ms_out, uint64_t *next_ms_out)
{
    enum err err = OK;
    struct arena arena = { 0 };
    for (size_t at = 0; at < count && err == OK;) {
        size_t sent;
        err = send_reports(store, reports + at, count - at, &arena, &sent, now_ms_out, next_ms_out);
        for (size_t i = at; err != OK && i < count; i++)
            reports[i].status = err;
        at += sent;
        arena_clear(&arena);
    }
    arena_fini(&arena);
    return err;
}

/* ---- people */

enum err store_queue_change(struct store *store, const struct queue_id *id, enum queue_change change)
{
    Tern__QueueChangeRequest request = TERN__QUEUE_CHANGE_REQUEST__INIT;
    Tern__QueueChangeResponse *response;
    request.item_id = id_of(id);
    request.change = (Tern__QueueChange)change;
    TRY(ask(store, METHOD_QUEUE_CHANGE, id->partition, &request.base,
            &tern__queue_change_response__descriptor, &response));
    tern__queue_change_response__free_unpacked(response, NULL);
    return OK;
}
