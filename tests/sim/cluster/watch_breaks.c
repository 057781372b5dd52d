/* SPDX-License-Identifier: Apache-2.0 */
/* Front-ends' watches broken on purpose: what lib/store/watch.c and lib/store/map.c say to each other and to
 * nodes is wrapped by the linker, and is what it must be but for what is broken in this run. */
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/cluster.h"
#include "tests/sim/cluster/watch.h"

static struct breaks current;

void watch_breaks_begin(const struct breaks *breaks)
{
    current = *breaks;
}

enum err __real_call_simple(struct store *store, uint32_t method, uint32_t partition,
                            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                            void *response_out);
enum err __wrap_call_simple(struct store *store, uint32_t method, uint32_t partition,
                            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                            void *response_out);

/* blind_watch: nobody looks at the epoch by which it was registered; deaf_watch: nor at what was missed. */
enum err __wrap_call_simple(struct store *store, uint32_t method, uint32_t partition,
                            const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                            void *response_out)
{
    enum err err = __real_call_simple(store, method, partition, request, descriptor, response_out);
    if (err != OK || method != METHOD_WATCH)
        return err;
    Tern__WatchResponse *response = *(Tern__WatchResponse **)response_out;
    if (current.blind_watch)
        response->epoch = 0;
    if (current.deaf_watch)
        response->modseq = 0;
    return OK;
}

void __real_watches_on_map(struct store *store);
void __wrap_watches_on_map(struct store *store);

/* fixed_watch: a new map changes nothing. */
void __wrap_watches_on_map(struct store *store)
{
    if (!current.fixed_watch)
        __real_watches_on_map(store);
}
