/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/progress.h"

#include "lib/fiber/loop.h"

static void tell(uint64_t done, uint64_t total, void *arg)
{
    struct imap_progress *p = arg;

    if (loop_now_ms() < p->next_ms)
        return;
    buf_addf(&p->s->out, "* OK [INPROGRESS (\"%.*s\" %llu %llu)] Still working\r\n", SLICE_FMT(p->cmd->tag),
             (unsigned long long)done, (unsigned long long)total);
    imap_session_flush(p->s);
    p->next_ms = loop_deadline_ms(IMAP_PROGRESS_MS);
}

void imap_progress_init(struct imap_progress *p, struct imap_session *s, const struct imap_command *cmd)
{
    *p = (struct imap_progress){ { tell, p }, s, cmd, loop_deadline_ms(IMAP_PROGRESS_MS) };
}
