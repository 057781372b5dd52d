/* SPDX-License-Identifier: Apache-2.0 */
/* Files of keys that are damaged, of another role, or not there. */
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/lib/rpc/keys_fixture.h"

static void bad_files(void **state)
{
    static const char *const texts[] = {
        "",
        "role = \"ctl\";",
        "role = 7;",
        "role = \"ctl\"; current: { public = \"x\"; secret = \"y\"; };",
        "@include \"x\"\n",
    };
    struct role_keys out;
    struct public_keys public;
    struct buf errors = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(keyfile_parse("x", RPC_ROLE_CTL, slice_str(texts[i]), &out, &errors), ERR_INVALID);
        assert_int_equal(keyfile_parse_public("x", slice_str(texts[i]), &public, &errors), ERR_INVALID);
    }
    assert_true(errors.len > 0);
    /* Another role's, no pair, the same key for two roles, nothing there. */
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_CTL, &out, &errors), OK);
    assert_string_equal(out.pairs[0].secret, t.roles[RPC_ROLE_CTL].pairs[0].secret);
    char from[KEY_PATH_MAX], to[KEY_PATH_MAX];
    assert_int_equal(keyfile_path(t.folder, RPC_ROLE_CTL, from), OK);
    assert_int_equal(keyfile_path(t.folder, RPC_ROLE_DIRECTOR, to), OK);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_DIRECTOR, &out, &errors), ERR_INVALID);
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_CTL, &out, &errors), ERR_NOT_FOUND);
    t.roles[RPC_ROLE_CTL].pairs[0].secret[3] ^= 1;
    write_keys(t.folder, t.roles);
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_CTL, &out, &errors), ERR_INVALID);
    t.roles[RPC_ROLE_CTL].pairs[0] = t.roles[RPC_ROLE_DIRECTOR].pairs[0];
    write_keys(t.folder, t.roles);
    assert_int_equal(keyfile_read_public(t.folder, &public, &errors), ERR_INVALID);
    struct stat st;
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* A program whose files do not fit does not start. */
    struct rpc_keys *keys;
    void *zmq = zmq_ctx_new();
    assert_int_equal(rpc_keys_open(zmq, t.folder, RPC_ROLE_CTL, &keys), ERR_INVALID);
    assert_int_equal(rpc_keys_open(zmq, "/nowhere", RPC_ROLE_CTL, &keys), ERR_NOT_FOUND);
    zmq_ctx_term(zmq);
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
