/* SPDX-License-Identifier: Apache-2.0 */
/* What the sanitizers must be told about stacks that change under them; nothing in plain builds. */
#ifndef LIB_FIBER_SANITIZER_PRIV_H
#define LIB_FIBER_SANITIZER_PRIV_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZE_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZE_THREAD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ADDRESS 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SANITIZE_THREAD 1
#endif

#if defined(SANITIZE_ADDRESS) || defined(SANITIZE_THREAD)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#ifdef SANITIZE_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/* Just before leaving a stack for the one at [low, low+size). fake_save NULL: the stack left will not run
 * again. */
static inline void sanitizer_leave(void **fake_save, const void *low, size_t size)
{
    __sanitizer_start_switch_fiber(fake_save, low, size);
}

/* First thing on the new stack; tells where we came from. */
static inline void sanitizer_arrive(void *fake, const void **low_out, size_t *size_out)
{
    __sanitizer_finish_switch_fiber(fake, low_out, size_out);
}

static inline void sanitizer_stack_unpoison(void *low, size_t size)
{
    __asan_unpoison_memory_region(low, size);
}
#else
static inline void sanitizer_leave(void **fake_save, const void *low, size_t size)
{
    (void)fake_save, (void)low, (void)size;
}

static inline void sanitizer_arrive(void *fake, const void **low_out, size_t *size_out)
{
    (void)fake, (void)low_out, (void)size_out;
}

static inline void sanitizer_stack_unpoison(void *low, size_t size)
{
    (void)low, (void)size;
}
#endif

#ifdef SANITIZE_THREAD
#include <sanitizer/tsan_interface.h>

static inline void *sanitizer_thread_here(void)
{
    return __tsan_get_current_fiber();
}

static inline void *sanitizer_thread_new(void)
{
    return __tsan_create_fiber(0);
}

static inline void sanitizer_thread_free(void *thread)
{
    __tsan_destroy_fiber(thread);
}

static inline void sanitizer_thread_switch(void *thread)
{
    __tsan_switch_to_fiber(thread, 0);
}
#else
static inline void *sanitizer_thread_here(void)
{
    return NULL;
}

static inline void *sanitizer_thread_new(void)
{
    return NULL;
}

static inline void sanitizer_thread_free(void *thread)
{
    (void)thread;
}

static inline void sanitizer_thread_switch(void *thread)
{
    (void)thread;
}
#endif

#endif
