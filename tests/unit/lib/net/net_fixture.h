/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of lib/net: a loop that ends when its fibers have, and certificates made on the spot. */
#ifndef TESTS_UNIT_LIB_NET_NET_FIXTURE_H
#define TESTS_UNIT_LIB_NET_NET_FIXTURE_H

#include "lib/fiber/loop.h"
#include "lib/net/stream.h"
#include "lib/net/tls.h"

/* A directory with ca.pem (which is the certificate itself), cert.pem, key.pem for `name` ("localhost"). */
struct fixture_cert {
    char dir[64], cert_file[96], key_file[96];
};
void fixture_cert_make(struct fixture_cert *cert, const char *name);
void fixture_cert_write(struct fixture_cert *cert, const char *name); /* new ones in the old place */
void fixture_cert_write_rsa(struct fixture_cert *cert, const char *name);
void fixture_cert_remove(struct fixture_cert *cert);

/* Run every fiber spawned with fixture_spawn to its end, at most 60 s. */
void fixture_spawn(struct loop *loop, void (*fn)(void *arg), void *arg);
void fixture_run(struct loop *loop);

/* Two ends of a TCP connection over loopback, as streams of the loop. */
void fixture_pair(struct loop *loop, struct stream **a_out, struct stream **b_out);
/* One end as stream, the other as a blocking file descriptor. */
int fixture_half(struct loop *loop, struct stream **out);

#endif
