/* SPDX-License-Identifier: Apache-2.0 */
/* Level L has 64 slots of 64^L ms. A timer sits on the level of the highest 6-bit digit in which its deadline
 * differs from now, in the slot of that digit. So on every level the used slots lie ahead of now's digit, and
 * every timer of a lower level is due before any of a higher one: the earliest work is the first used slot of
 * the lowest used level. When time reaches a slot of a higher level, its timers sink. */
#include "lib/fiber/wheel.h"

#include <assert.h>

enum { WHEEL_REACH_BITS = WHEEL_BITS * WHEEL_LEVELS };

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){ .now_ms = now_ms, .due_end = &w->due };
}

static void list_push(struct timer **head, struct timer *t)
{
    t->next = *head;
    if (t->next != NULL)
        t->next->prev_next = &t->next;
    t->prev_next = head;
    *head = t;
}

static void list_unlink(struct timer *t)
{
    if (t->wheel->due_end == &t->next)
        t->wheel->due_end = t->prev_next;
    *t->prev_next = t->next;
    if (t->next != NULL)
        t->next->prev_next = t->prev_next;
    t->next = NULL;
    t->prev_next = NULL;
}

static unsigned digit(uint64_t time, unsigned level)
{
    return (unsigned)(time >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
}

static void place(struct wheel *w, struct timer *t)
{
    assert(t->deadline_ms > w->now_ms);
    uint64_t differs = t->deadline_ms ^ w->now_ms;
    if (differs >> WHEEL_REACH_BITS != 0) {
        list_push(&w->beyond, t);
        return;
    }
    unsigned level = (63 - (unsigned)__builtin_clzll(differs)) / WHEEL_BITS;
    unsigned slot = digit(t->deadline_ms, level);
    w->used[level] |= UINT64_C(1) << slot;
    list_push(&w->slots[level][slot], t);
}

void wheel_insert(struct wheel *w, struct timer *t)
{
    assert(t->prev_next == NULL);
    t->wheel = w;
    if (t->deadline_ms <= w->now_ms)
        list_push(&w->past, t);
    else
        place(w, t);
}

void wheel_remove(struct timer *t)
{
    if (t->prev_next == NULL)
        return;
    struct wheel *w = t->wheel;
    struct timer **head = t->prev_next;
    bool last = t->next == NULL;
    list_unlink(t);
    struct timer **first_slot = &w->slots[0][0];
    if (last && head >= first_slot && head < first_slot + WHEEL_LEVELS * WHEEL_SLOTS) {
        size_t index = (size_t)(head - first_slot);
        w->used[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << (index % WHEEL_SLOTS));
    }
}

/* The start of the first used slot on `level`, which lies after now. */
static uint64_t first_slot_ms(const struct wheel *w, unsigned level)
{
    unsigned slot = (unsigned)__builtin_ctzll(w->used[level]);
    assert(slot > digit(w->now_ms, level));
    uint64_t block = w->now_ms >> ((level + 1) * WHEEL_BITS) << ((level + 1) * WHEEL_BITS);
    return block + ((uint64_t)slot << (level * WHEEL_BITS));
}

static unsigned lowest_level(const struct wheel *w)
{
    unsigned level = 0;
    while (level < WHEEL_LEVELS && w->used[level] == 0)
        level++;
    return level;
}

static uint64_t next_slot_ms(const struct wheel *w)
{
    unsigned level = lowest_level(w);
    if (level < WHEEL_LEVELS)
        return first_slot_ms(w, level);
    if (w->beyond != NULL)
        return ((w->now_ms >> WHEEL_REACH_BITS) + 1) << WHEEL_REACH_BITS;
    return UINT64_MAX;
}

uint64_t wheel_next_ms(const struct wheel *w)
{
    if (w->due != NULL || w->past != NULL)
        return w->now_ms;
    return next_slot_ms(w);
}

/* Behind those that were due before. */
static void append_due(struct wheel *w, struct timer *list)
{
    if (list == NULL)
        return;
    *w->due_end = list;
    list->prev_next = w->due_end;
    while (list->next != NULL)
        list = list->next;
    w->due_end = &list->next;
}

/* Give every timer of the list its place as seen from now. */
static void sort_again(struct wheel *w, struct timer *list)
{
    struct timer *due = NULL;
    while (list != NULL) {
        struct timer *t = list;
        list = t->next;
        if (t->deadline_ms <= w->now_ms)
            list_push(&due, t);
        else
            place(w, t);
    }
    append_due(w, due);
}

void wheel_advance(struct wheel *w, uint64_t now_ms)
{
    struct timer *past = w->past;
    w->past = NULL;
    sort_again(w, past);
    for (;;) {
        uint64_t next_ms = next_slot_ms(w);
        if (next_ms > now_ms)
            break;
        struct timer **head = &w->beyond;
        unsigned level = lowest_level(w);
        if (level < WHEEL_LEVELS) {
            unsigned slot = (unsigned)__builtin_ctzll(w->used[level]);
            head = &w->slots[level][slot];
            w->used[level] &= ~(UINT64_C(1) << slot);
        }
        struct timer *list = *head;
        *head = NULL;
        w->now_ms = next_ms;
        sort_again(w, list);
    }
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
}

struct timer *wheel_next_due(struct wheel *w)
{
    struct timer *t = w->due;
    if (t != NULL)
        list_unlink(t);
    return t;
}
