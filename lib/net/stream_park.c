/* SPDX-License-Identifier: Apache-2.0 */
/* A parked stream has no fiber and no buffers. Whatever wakes it from inside somebody's call (unpark, cancel,
 * input that is there already) goes through the timer, set to be due at once, so that the callback never runs
 * inside that call. */
#include <assert.h>

#include "lib/net/stream_priv.h"

static void wake(struct stream *s, enum stream_wake why)
{
    struct stream_park park = s->park;
    timer_stop(&s->park.timer);
    s->park.fn = NULL;
    park.fn(s, why, park.arg);
}

static void on_timer(void *arg)
{
    struct stream *s = arg;
    wake(s, s->park.why);
}

void stream_park_wake_soon(struct stream *s, enum stream_wake why)
{
    if (s->park.fn == NULL)
        return;
    s->park.why = why;
    timer_start(s->loop, &s->park.timer, 0, on_timer, s);
}

void stream_park_on_readable(struct stream *s)
{
    if (s->park.why != STREAM_WAKE_TIMEOUT)
        return; /* another reason is due in this turn */
    if (s->ssl == NULL || stream_tls_input_ready(s))
        wake(s, STREAM_WAKE_INPUT);
}

static bool input_ready(struct stream *s)
{
    if (stream_has_input(s) || s->read_fail != OK)
        return true;
    return s->ssl != NULL && SSL_has_pending(s->ssl) && stream_tls_input_ready(s);
}

void stream_park(struct stream *s, uint64_t deadline_ms, stream_park_fn *fn, void *arg)
{
    assert(s->park.fn == NULL && stream_output_pending(s) == 0);
    assert(s->waits[STREAM_READER].fiber == NULL && s->waits[STREAM_WRITER].fiber == NULL);
    stream_free_input_if_empty(s);
    stream_free_output_if_empty(s);
    s->park.fn = fn;
    s->park.arg = arg;
    s->park.why = STREAM_WAKE_TIMEOUT;
    timer_start(s->loop, &s->park.timer, deadline_ms, on_timer, s);
    if (s->aborted || s->input_cancelled)
        stream_park_wake_soon(s, STREAM_WAKE_CANCEL);
    else if (input_ready(s))
        stream_park_wake_soon(s, STREAM_WAKE_INPUT);
    stream_watch(s);
}

void stream_unpark(struct stream *s)
{
    if (s->park.fn != NULL && s->park.why == STREAM_WAKE_TIMEOUT)
        stream_park_wake_soon(s, STREAM_WAKE_UNPARK);
}

bool stream_is_parked(const struct stream *s)
{
    return s->park.fn != NULL;
}
