/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/net/pair_fixture.h"

struct loop *loop;
struct stream *a, *b;

int pair_open(struct stream **one_out, struct stream **other_out)
{
    if (loop_new(&loop) != OK)
        return -1;
    fixture_pair(loop, one_out, other_out);
    return 0;
}

int pair_close(struct stream **one, struct stream **other)
{
    stream_close(one);
    stream_close(other);
    loop_free(&loop);
    return 0;
}

int pair_setup(void **state)
{
    (void)state;
    return pair_open(&a, &b);
}

int pair_teardown(void **state)
{
    (void)state;
    return pair_close(&a, &b);
}

uint64_t soon(void)
{
    return loop_deadline_ms(10000);
}

void run(void (*fa)(void *), void (*fb)(void *))
{
    fixture_spawn(loop, fa, NULL);
    if (fb != NULL)
        fixture_spawn(loop, fb, NULL);
    fixture_run(loop);
}
