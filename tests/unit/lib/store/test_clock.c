/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/store/test_clock.h"

static _Thread_local uint64_t ahead_ms, slow_since_ms; /* since: 0, it is not slow */
static _Thread_local unsigned slower;

uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

uint64_t __wrap_clock_mono_ms(void)
{
    uint64_t now_ms = __real_clock_mono_ms();
    if (slow_since_ms != 0)
        now_ms = slow_since_ms + (now_ms - slow_since_ms) / slower;
    return now_ms + ahead_ms;
}

void test_clock_reset(void)
{
    ahead_ms = slow_since_ms = 0;
}

void test_clock_ahead(uint64_t ms)
{
    ahead_ms += ms;
}

void test_clock_slow(unsigned times)
{
    slower = times;
    slow_since_ms = __real_clock_mono_ms();
}

uint64_t test_clock_real_ms(void)
{
    return __real_clock_mono_ms();
}
