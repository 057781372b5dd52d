/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever names UIDs says under which UIDVALIDITY they were learned, and hears if that is another one now.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/store/message.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/store/fake_cluster.h"

static const struct {
    uint32_t method;
    const ProtobufCMessageDescriptor *request;
    const char *field;
} named[] = {
    { METHOD_FETCH, &tern__fetch_request__descriptor, "uidvalidity" },
    { METHOD_BODY, &tern__body_request__descriptor, "uidvalidity" },
    { METHOD_CHANGES, &tern__changes_request__descriptor, "uidvalidity" },
    { METHOD_SEARCH, &tern__search_request__descriptor, "uidvalidity" },
    { METHOD_STORE_FLAGS, &tern__store_flags_request__descriptor, "uidvalidity" },
    { METHOD_EXPUNGE, &tern__expunge_request__descriptor, "uidvalidity" },
    { METHOD_RECENT_ADVANCE, &tern__recent_advance_request__descriptor, "uidvalidity" },
    { METHOD_COPY, &tern__copy_request__descriptor, "from_uidvalidity" },
    { METHOD_COPY_STAGE, &tern__copy_stage_request__descriptor, "from_uidvalidity" },
};
enum { NAMED_COUNT = sizeof named / sizeof named[0] };

static const struct account_ref account = { 7, 1 };
static const struct mailbox_ref mailbox = { 5, 4711 };
static struct store *store;
static unsigned asked[NAMED_COUNT];

static void on_request(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    for (size_t i = 0; i < NAMED_COUNT; i++) {
        if (named[i].method != request->method)
            continue;
        ProtobufCMessage *message =
            protobuf_c_message_unpack(named[i].request, NULL, request->request.len, request->request.data);
        assert_non_null(message);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(named[i].request, named[i].field);
        assert_non_null(field);
        assert_int_equal(*(const uint32_t *)((const char *)message + field->offset), 4711);
        asked[i]++;
        protobuf_c_message_free_unpacked(message, NULL);
    }
    fake_reply(request, ERR_UIDVALIDITY, NULL, SLICE_NULL); /* also to CopyAbandon, which nobody waits for */
}

static void read_all(const struct uidset *uids)
{
    struct fetch_options options = { .account = account, .mailbox = mailbox, .uids = uids };
    struct fetch *fetch = fetch_new(store, &options);
    struct fetch_page page;
    struct buf body = { 0 };
    struct arena arena = { 0 };
    struct changes changes;
    struct uidset found = { 0 };
    uint64_t modseq;
    assert_int_equal(fetch_next(fetch, &page), ERR_UIDVALIDITY);
    fetch_free(&fetch);
    assert_int_equal(store_body_read(store, account, mailbox, 1, 0, 100, &body), ERR_UIDVALIDITY);
    assert_int_equal(store_changes(store, account, mailbox, 10, NULL, &arena, &changes), ERR_UIDVALIDITY);
    assert_int_equal(store_search(store, account, mailbox, SLICE_LIT("x"), NULL, &found, &modseq),
                     ERR_UIDVALIDITY);
    buf_fini(&body);
    arena_fini(&arena);
    uidset_fini(&found);
}

static void change_all(const struct uidset *uids)
{
    struct arena arena = { 0 };
    struct store_flags_request request = { .account = account, .mailbox = mailbox, .uids = uids };
    struct store_flags_result result;
    struct uidset vanished = { 0 };
    uint64_t modseq;
    assert_int_equal(store_flags(store, &request, &arena, &result), ERR_UIDVALIDITY);
    store_flags_result_fini(&result);
    assert_int_equal(store_expunge(store, account, mailbox, uids, true, NULL, &vanished, &modseq),
                     ERR_UIDVALIDITY);
    uidset_fini(&vanished);
    arena_fini(&arena);
}

static void copy_all(const struct uidset *uids)
{
    struct copy_request request = { .account = account, .from = mailbox, .to = 6, .uids = uids };
    struct copy_result result;
    assert_int_equal(store_copy(store, &request, &result), ERR_UIDVALIDITY);
    copy_result_fini(&result);
}

static void call_everything(void)
{
    struct uidset few = { 0 }, many = { 0 };
    uidset_add_range(&few, 1, 3);
    uidset_add_range(&many, 1, COPY_UIDS_MAX + 1);
    store_recent_advance(store, account, mailbox, 3);
    read_all(&few);
    change_all(&few);
    copy_all(&few);
    copy_all(&many);
    uidset_fini(&few);
    uidset_fini(&many);
}

static void calls_say_which_life_they_mean(void **state)
{
    store = fake_start(on_request);
    fake_run(call_everything);
    fake_teardown(state); /* not before what nobody waits for has ended */
    for (size_t i = 0; i < NAMED_COUNT; i++)
        assert_int_equal(asked[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_say_which_life_they_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
