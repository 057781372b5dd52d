/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/net/pair_fixture.h"

struct loop *loop;

int pair_open(struct stream **a_out, struct stream **b_out)
{
    if (loop_new(&loop) != OK)
        return -1;
    fixture_pair(loop, a_out, b_out);
    return 0;
}

int pair_close(struct stream **a, struct stream **b)
{
    stream_close(a);
    stream_close(b);
    loop_free(&loop);
    return 0;
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
