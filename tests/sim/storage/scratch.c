/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "tests/sim/storage/op.h"

enum { NAME_MAX_BYTES = 48 };

uint32_t scratch_method(int step)
{
    static const uint32_t methods[] = { METHOD_MAILBOX_CREATE, METHOD_COPY,           METHOD_MAILBOX_RENAME,
                                        METHOD_MAILBOX_DELETE, METHOD_MAILBOX_DELETE, METHOD_MAILBOX_DELETE };
    return (size_t)step < sizeof methods / sizeof methods[0] ? methods[step] : 0;
}

static void make_create(struct op *op, char *name)
{
    Tern__MailboxCreateRequest request = TERN__MAILBOX_CREATE_REQUEST__INIT;
    request.account = op->targets[0]->id;
    request.name = name;
    op_pack(op, &request.base);
}

static void make_copy(struct op *op)
{
    Tern__CopyRequest request = TERN__COPY_REQUEST__INIT;
    struct buf uids = { 0 };
    uidset_encode(&op->uids, &uids);
    request.account = op->targets[0]->id;
    request.from = op->targets[0]->boxes[op->box].id;
    request.to = op->scratch;
    request.uids = (ProtobufCBinaryData){ uids.len, uids.data };
    op_pack(op, &request.base);
    buf_fini(&uids);
}

static void make_rename(struct op *op, char *from, char *to)
{
    Tern__MailboxRenameRequest request = TERN__MAILBOX_RENAME_REQUEST__INIT;
    request.account = op->targets[0]->id;
    request.from = from;
    request.to = to;
    op_pack(op, &request.base);
}

static void make_delete(struct op *op, char *name)
{
    Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
    request.account = op->targets[0]->id;
    request.name = name;
    op_pack(op, &request.base);
}

void scratch_make(struct op *op)
{
    char first[NAME_MAX_BYTES], above[NAME_MAX_BYTES], below[2 * NAME_MAX_BYTES];
    unsigned long long number = op->token;
    snprintf(first, sizeof first, "first %llu", number);
    snprintf(above, sizeof above, "above %llu", number);
    snprintf(below, sizeof below, "%s/below", above);
    if (op->step == 0)
        make_create(op, first);
    else if (op->step == 1)
        make_copy(op);
    else if (op->step == 2)
        make_rename(op, first, below);
    else
        make_delete(op, op->step == 4 ? below : above); /* with a child the name stays as noselect */
}

void scratch_evaluate(struct op *op)
{
    if (op->step != 0)
        return;
    Tern__MailboxCreateResponse *r =
        tern__mailbox_create_response__unpack(NULL, op->response.len, op->response.data);
    if (r == NULL || r->mailbox == NULL || r->mailbox->id == 0)
        world_fail(op->c->w, "MailboxCreate answered without a mailbox");
    else
        op->scratch = r->mailbox->id;
    if (r != NULL)
        tern__mailbox_create_response__free_unpacked(r, NULL);
}
