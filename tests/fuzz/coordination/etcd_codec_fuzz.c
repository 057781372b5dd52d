/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of something that claims to be etcd. */
#include <stdint.h>
#include <stdlib.h>

#include "director/coordination/etcd_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 100 }; /* bytes of what is said where etcd says nothing */

static void check(struct etcd_kv *kvs, size_t count, size_t size, bool may_be_absent)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!may_be_absent && (kvs[i].mod == 0 || kvs[i].key.len == 0))
            abort();
        bytes += kvs[i].key.len + kvs[i].value.len;
    }
    if (bytes > size)
        abort();
    etcd_kvs_free(kvs, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct etcd_answer answer;
    struct etcd_kv *kvs;
    size_t count;
    bool flag;
    if (etcd_decode(slice_of(data, size), &answer) != OK)
        return 0;
    if (answer.message == NULL) {
        if (etcd_decode_kvs(answer.body, &kvs, &count, &flag) == OK)
            check(kvs, count, size, false);
        if (etcd_decode_events(answer.body, &kvs, &count) == OK)
            check(kvs, count, size, false);
        if (etcd_decode_txn(answer.body, &flag, &kvs, &count) == OK)
            check(kvs, count, size, true);
        struct buf why = { 0 };
        if (etcd_decode_status(answer.body, &why) != (why.len == 0) || why.len > size + WORDS_MAX)
            abort();
        buf_fini(&why);
    }
    etcd_answer_fini(&answer);
    return 0;
}
