/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of ZAP (ZeroMQ RFC 27): who may connect. A question is six frames or more, version, request id,
 * domain, address, identity, mechanism, credentials; the answer is version, request id, status code, status
 * text, user id, metadata. The questions come from ZeroMQ in this process; the client has already proved that
 * it has the secret of its key. */
#include <string.h>

#include "lib/base/log.h"
#include "lib/rpc/keys_priv.h"

enum {
    ZAP_FRAMES = 7, /* with one credential, the key */
    ZAP_FRAME_MAX = 256,
    CURVE_KEY_SIZE = 32,
};

enum { ZAP_VERSION, ZAP_REQUEST_ID, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_CREDENTIALS };

struct zap_frame {
    uint32_t len;
    char data[ZAP_FRAME_MAX + 1]; /* and NUL */
};

struct zap_question {
    struct zap_frame frames[ZAP_FRAMES];
    int count; /* of frames that came */
};

static void receive(void *socket, struct zap_question *question)
{
    bool more = true;
    question->count = 0;
    while (more) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        if (zmq_msg_recv(&msg, socket, 0) < 0) {
            zmq_msg_close(&msg);
            return;
        }
        size_t size = zmq_msg_size(&msg);
        if (question->count < ZAP_FRAMES && size <= ZAP_FRAME_MAX) {
            struct zap_frame *frame = &question->frames[question->count];
            frame->len = (uint32_t)size;
            memcpy(frame->data, zmq_msg_data(&msg), size);
            frame->data[size] = '\0';
        }
        question->count = size > ZAP_FRAME_MAX ? ZAP_FRAMES + 1 : question->count + 1;
        more = zmq_msg_more(&msg);
        zmq_msg_close(&msg);
    }
}

static bool is_wellformed(const struct zap_question *question)
{
    const struct zap_frame *frames = question->frames;
    return question->count == ZAP_FRAMES && strcmp(frames[ZAP_VERSION].data, "1.0") == 0 &&
           strcmp(frames[ZAP_MECHANISM].data, "CURVE") == 0 && frames[ZAP_CREDENTIALS].len == CURVE_KEY_SIZE;
}

static enum rpc_role role_of(struct rpc_keys *keys, const struct zap_frame *credentials)
{
    char text[KEY_TEXT_SIZE];
    zmq_z85_encode(text, (const uint8_t *)credentials->data, CURVE_KEY_SIZE);
    pthread_mutex_lock(&keys->lock);
    enum rpc_role role = public_keys_find(&keys->allowed, text);
    pthread_mutex_unlock(&keys->lock);
    return role;
}

/* The role it comes in as; RPC_ROLE_NONE: refused. */
static enum rpc_role judge(struct rpc_keys *keys, const struct zap_question *question)
{
    const struct zap_frame *domain = &question->frames[ZAP_DOMAIN];
    const char *address = question->frames[ZAP_ADDRESS].data;
    enum rpc_service service = rpc_service_find(domain->data, domain->len);
    if (!is_wellformed(question) || service == RPC_SERVICE_COUNT) {
        log_error("keys", "ZeroMQ asked something unknown of the allow-list");
        return RPC_ROLE_NONE;
    }
    enum rpc_role role = role_of(keys, &question->frames[ZAP_CREDENTIALS]);
    if (role == RPC_ROLE_NONE) {
        keys_refused(keys, service, REFUSAL_UNKNOWN_KEY, address, "");
    } else if (!rpc_role_may_connect(role, service)) {
        keys_refused(keys, service, REFUSAL_WRONG_ROLE, address, rpc_role_name(role));
        role = RPC_ROLE_NONE;
    }
    return role;
}

static void send_text(void *socket, const char *text, int flags)
{
    zmq_send(socket, text, strlen(text), flags);
}

void zap_answer(struct rpc_keys *keys)
{
    struct zap_question question;
    memset(&question, 0, sizeof question);
    receive(keys->zap, &question);
    if (question.count == 0)
        return;
    enum rpc_role role = judge(keys, &question);
    send_text(keys->zap, "1.0", ZMQ_SNDMORE);
    zmq_send(keys->zap, question.frames[ZAP_REQUEST_ID].data, question.frames[ZAP_REQUEST_ID].len,
             ZMQ_SNDMORE);
    send_text(keys->zap, role == RPC_ROLE_NONE ? "400" : "200", ZMQ_SNDMORE);
    send_text(keys->zap, role == RPC_ROLE_NONE ? "refused" : "", ZMQ_SNDMORE);
    send_text(keys->zap, role == RPC_ROLE_NONE ? "" : rpc_role_name(role), ZMQ_SNDMORE);
    send_text(keys->zap, "", 0);
}
