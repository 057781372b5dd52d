/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/status.h"
#include "lib/fiber/fiber.h"

enum { WATCH_INTERVAL_MS = 1000 };

#define CURSOR_HOME  "\x1b[H"
#define CLEAR_SCREEN "\x1b[2J"
#define CLEAR_LINE   "\x1b[K" /* to its end */
#define CLEAR_BELOW  "\x1b[J"

static enum ctl_exit fail(struct ctl *ctl, enum err err)
{
    if (err != ERR_UNAVAILABLE)
        return ctl_fail(ctl, err, "cluster status");
    return ctl_refuse(CTL_FAILED, "cluster status",
                      arena_printf(&ctl->arena, "no director answers at %s", ctl->directors),
                      CTL_NO_DIRECTOR);
}

static void show(struct ctl *ctl, const struct status *s, struct buf *text)
{
    if (ctl->given & CTL_JSON) {
        struct json json = { 0 };
        status_json(s, &json);
        buf_add_slice(text, buf_slice(&json.out));
        buf_add_byte(text, '\n');
        buf_fini(&json.out);
    } else {
        status_text(s, text);
    }
}

/* ---- watching */

static size_t screen_lines(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row - 1u : SIZE_MAX;
}

/* In place, and no more than the screen has: what is drawn over stands still. */
static void draw(struct slice text)
{
    size_t lines = screen_lines();
    fputs(CURSOR_HOME, stdout);
    while (text.len > 0 && lines-- > 0) {
        size_t end = 0;
        while (end < text.len && text.data[end] != '\n')
            end++;
        printf("%.*s" CLEAR_LINE "\n", (int)end, (const char *)text.data);
        text = slice_sub(text, end + 1, text.len);
    }
    fputs(CLEAR_BELOW, stdout);
}

static void add_moment(struct buf *out)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[32] = "";
    if (gmtime_r(&now, &tm) != NULL)
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    buf_addf(out, "%s\n", text);
}

/* Until somebody ends it (^C). A terminal shows the newest; anything else gets one after the other. */
static enum ctl_exit watch(struct ctl *ctl)
{
    bool in_place = isatty(STDOUT_FILENO) && !(ctl->given & CTL_JSON);
    struct buf text = { 0 };
    struct arena arena = { 0 };
    if (in_place)
        fputs(CLEAR_SCREEN, stdout);
    while (!ferror(stdout)) {
        struct status status;
        buf_clear(&text);
        enum err err = store_status_read(ctl->store, false, &arena, &status);
        if (!(ctl->given & CTL_JSON))
            add_moment(&text);
        if (err == OK)
            show(ctl, &status, &text);
        else if (in_place)
            buf_addf(&text, "No director answers at %s.\n", ctl->directors);
        else
            fail(ctl, err);
        if (in_place)
            draw(buf_slice(&text));
        else if (err == OK)
            printf("%s%s", buf_cstr(&text), ctl->given & CTL_JSON ? "" : "\n");
        fflush(stdout);
        arena_clear(&arena);
        fiber_sleep_ms(WATCH_INTERVAL_MS);
    }
    arena_fini(&arena);
    buf_fini(&text);
    return CTL_FAILED;
}

enum ctl_exit cluster_status(struct ctl *ctl)
{
    struct status status;
    struct buf text = { 0 };
    if (ctl->given & CTL_WATCH)
        return watch(ctl);
    enum err err = store_status_read(ctl->store, false, &ctl->arena, &status);
    if (err != OK)
        return fail(ctl, err);
    show(ctl, &status, &text);
    fwrite(text.data, 1, text.len, stdout);
    buf_fini(&text);
    return CTL_OK;
}
