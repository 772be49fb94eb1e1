/* SPDX-License-Identifier: MIT */
#include "formats/sha_queue.h"
#include "formats/bytes.h"
#include "formats/stage.h"

#include <stdlib.h>

enum { DEPTH = 3 }; /* one that is filled, one that is hashed, one to spare */

typedef struct job {
    vl_buf bytes;
    vl_sha *a, *b;
    int rc;
    vl_err e;
} job;

struct vl_sha_queue {
    vl_stage *stage;
    job ring[DEPTH];
    uint64_t put;
    vl_err stuck;
};

static void hash(void *arg, void *ctx)
{
    job *j = arg;

    (void)ctx;
    j->rc = vl_sha_add(j->a, j->bytes.p, j->bytes.n, &j->e);
    if (!j->rc && j->b)
        j->rc = vl_sha_add(j->b, j->bytes.p, j->bytes.n, &j->e);
}

int vl_sha_queue_new(vl_sha_queue **out, vl_err *e)
{
    vl_sha_queue *q = vl_alloc(1, sizeof *q, e);
    int rc;

    if (!q)
        return VL_ENOMEM;
    rc = vl_stage_new(1, DEPTH, hash, NULL, &q->stage, e);
    if (rc)
        vl_sha_queue_free(q);
    else
        *out = q;
    return rc;
}

/* The oldest piece leaves; false when there is none. */
static bool take(vl_sha_queue *q)
{
    job *j = vl_stage_take(q->stage);

    if (j && j->rc && !q->stuck.code)
        q->stuck = j->e;
    return j != NULL;
}

static int state(const vl_sha_queue *q, vl_err *e)
{
    if (q->stuck.code && e)
        *e = q->stuck;
    return q->stuck.code;
}

int vl_sha_queue_add(vl_sha_queue *q, vl_sha *a, vl_sha *b, const uint8_t *p, size_t n, vl_err *e)
{
    job *j = &q->ring[q->put % DEPTH];
    int rc;

    if (vl_stage_full(q->stage))
        take(q);
    rc = state(q, e);
    j->bytes.n = 0;
    if (!rc)
        rc = vl_buf_add(&j->bytes, p, n, e);
    if (rc)
        return rc;
    j->a = a;
    j->b = b;
    q->put++;
    vl_stage_put(q->stage, j);
    return VL_OK;
}

int vl_sha_queue_drain(vl_sha_queue *q, vl_err *e)
{
    while (take(q))
        ;
    return state(q, e);
}

void vl_sha_queue_free(vl_sha_queue *q)
{
    if (!q)
        return;
    while (q->stage && take(q))
        ;
    vl_stage_free(q->stage);
    for (int i = 0; i < DEPTH; i++)
        free(q->ring[i].bytes.p);
    free(q);
}
