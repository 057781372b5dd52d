/* SPDX-License-Identifier: Apache-2.0 */
/* The three clocks, by what they are for. Pure code never calls these: time comes in as a value. */
#ifndef LIB_BASE_CLOCK_H
#define LIB_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ns(void); /* CLOCK_MONOTONIC: durations, deadlines */
uint64_t clock_mono_ms(void);
uint64_t clock_boot_ns(void); /* CLOCK_BOOTTIME: leases (it counts suspend) */
uint64_t clock_real_ms(void); /* CLOCK_REALTIME: what a person reads; milliseconds since 1970 */

#endif
