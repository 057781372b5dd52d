/* SPDX-License-Identifier: Apache-2.0 */
/* Files of keys that may hold anything: refused with a line that says why, or keys that are keys, each of one
 * role. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "lib/rpc/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the text of a string that never ends: a little, once a file that is refused. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_role(struct slice text, enum rpc_role role)
{
    struct buf errors = { 0 };
    struct role_keys keys;
    enum err err = keyfile_parse("x", role, text, &keys, &errors);
    must(err == OK || errors.len > 0);
    for (int age = 0; err == OK && age < KEY_AGES; age++) {
        char public[KEY_TEXT_SIZE];
        const struct key_pair *pair = &keys.pairs[age];
        if (age != KEY_CURRENT && pair->public[0] == '\0')
            must(pair->secret[0] == '\0');
        else
            must(zmq_curve_public(public, pair->secret) == 0 && strcmp(public, pair->public) == 0);
    }
    buf_fini(&errors);
}

static void check_public(struct slice text)
{
    struct buf errors = { 0 };
    struct public_keys keys;
    enum err err = keyfile_parse_public("x", text, &keys, &errors);
    must(err == OK || errors.len > 0);
    for (int role = RPC_ROLE_NONE + 1; err == OK && role < RPC_ROLE_COUNT; role++) {
        must(strlen(keys.keys[role][KEY_CURRENT]) == KEY_TEXT_SIZE - 1);
        for (int age = 0; age < KEY_AGES; age++) {
            const char *key = keys.keys[role][age];
            must(key[0] == '\0' || public_keys_find(&keys, key) == (enum rpc_role)role);
        }
    }
    buf_fini(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    check_role(text, RPC_ROLE_CTL);
    check_role(text, RPC_ROLE_STORAGE_NODE);
    check_public(text);
    return 0;
}
