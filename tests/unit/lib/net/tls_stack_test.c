/* SPDX-License-Identifier: Apache-2.0 */
/* What a handshake takes of a fiber's stack. */
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/net/tls_fixture.h"

static void measure_handshake(const char *key_type)
{
    loop_measure_stacks(loop, true);
    run(echo_server, echo_client);
    size_t used = loop_get_stats(loop).stack_used_max_bytes;
    print_message("deepest stack of a TLS handshake (%s) and echo, client or server: %zu bytes\n", key_type,
                  used);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(used <= FIBER_STACK_SIZE / 2);
#endif
}

static void handshake_stack_ec(void **state)
{
    (void)state;
    measure_handshake("P-256");
}

static void handshake_stack_rsa(void **state)
{
    (void)state;
    tls_renew_cert(true);
    measure_handshake("RSA-2048");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS_TEST(handshake_stack_ec),
        TLS_TEST(handshake_stack_rsa),
    };
    return cmocka_run_group_tests(tests, tls_setup_group, tls_teardown_group);
}
