/* SPDX-License-Identifier: MIT
 * frame_queue.c -- a ring of frames that pass two stages at once: `zip` with several threads, `sum` with one,
 * which keeps their order. A frame leaves when both are done with it; the ring's size bounds the memory. */
#include "formats/frame_queue.h"
#include "formats/stage.h"

#include <stdlib.h>

typedef struct job {
    vl_buf raw, seams;
    int level;
    bool plain;
    vl_codec *codec; /* holds the compressed bytes, too */
    const uint8_t *comp;
    vl_frame f;
    vl_sha *sha;
    int zip_rc, sum_rc;
    vl_err zip_e, sum_e;
} job;

struct vls_frame_queue {
    vl_outfile *f;
    vl_sha *sha;
    vl_seektab *tab;
    bool plain;
    vl_stage *zip, *sum;
    job *ring;
    size_t depth;
    uint64_t put;
    vl_err stuck;
};

static void zip(void *arg, void *ctx)
{
    job *j = arg;

    (void)ctx;
    if (!j->plain)
        j->zip_rc = vl_frame_encode_seams(j->codec, j->raw.p, j->raw.n, j->level,
                                          (const uint32_t *)(const void *)j->seams.p,
                                          j->seams.n / sizeof(uint32_t), &j->comp, &j->f, &j->zip_e);
}

static void sum(void *arg, void *ctx)
{
    job *j = arg;

    (void)ctx;
    j->sum_rc = vl_sha_add(j->sha, j->raw.p, j->raw.n, &j->sum_e);
}

int vls_frame_queue_new(int threads, bool plain, vl_outfile *f, vl_sha *sha, vl_seektab *tab,
                        vls_frame_queue **out, vl_err *e)
{
    vls_frame_queue *q = vl_alloc(1, sizeof *q, e);
    size_t depth = plain ? 2 : (size_t)threads + 2;
    int rc;

    if (!q)
        return VL_ENOMEM;
    q->f = f;
    q->sha = sha;
    q->tab = tab;
    q->plain = plain;
    q->ring = vl_alloc(depth, sizeof *q->ring, e);
    rc = q->ring ? VL_OK : VL_ENOMEM;
    for (; !rc && q->depth < depth; q->depth++)
        rc = vl_codec_new(&q->ring[q->depth].codec, e);
    if (!rc)
        rc = vl_stage_new(plain ? 1 : threads, depth, zip, NULL, &q->zip, e);
    if (!rc)
        rc = vl_stage_new(1, depth, sum, NULL, &q->sum, e);
    if (rc)
        vls_frame_queue_free(q);
    else
        *out = q;
    return rc;
}

static int write_frame(vls_frame_queue *q, const job *j, vl_err *e)
{
    int rc;

    if (q->plain)
        return vl_outfile_write(q->f, j->raw.p, j->raw.n, e);
    rc = vl_seektab_add(q->tab, &j->f, e);
    return rc ? rc : vl_outfile_write(q->f, j->comp, j->f.csize, e);
}

/* The oldest frame leaves. *job NULL: there is none. */
static int take(vls_frame_queue *q, job **out, vl_err *e)
{
    job *j = vl_stage_take(q->zip);
    int rc;

    *out = j;
    if (!j)
        return VL_OK;
    vl_stage_take(q->sum);
    if (q->stuck.code) {
        if (e)
            *e = q->stuck;
        return q->stuck.code;
    }
    if (j->zip_rc || j->sum_rc) {
        q->stuck = j->zip_rc ? j->zip_e : j->sum_e;
        if (e)
            *e = q->stuck;
        return q->stuck.code;
    }
    rc = write_frame(q, j, &q->stuck);
    q->stuck.code = rc;
    if (rc && e)
        *e = q->stuck;
    return rc;
}

int vls_frame_queue_put(vls_frame_queue *q, vl_buf *raw, vl_buf *seams, int level, vl_err *e)
{
    vl_buf swap;
    job *j;
    int rc = VL_OK;

    if (vl_stage_full(q->zip))
        rc = take(q, &j, e);
    if (rc)
        return rc;
    j = &q->ring[q->put++ % q->depth];
    swap = j->raw;
    j->raw = *raw;
    *raw = swap;
    raw->n = 0;
    swap = j->seams;
    j->seams = *seams;
    *seams = swap;
    seams->n = 0;
    j->level = level;
    j->plain = q->plain;
    j->sha = q->sha;
    j->zip_rc = j->sum_rc = 0;
    vl_stage_put(q->zip, j);
    vl_stage_put(q->sum, j);
    return VL_OK;
}

int vls_frame_queue_drain(vls_frame_queue *q, vl_err *e)
{
    int rc = VL_OK, now;
    job *j;

    do {
        now = take(q, &j, rc ? NULL : e);
        rc = rc ? rc : now;
    } while (j);
    return rc;
}

void vls_frame_queue_free(vls_frame_queue *q)
{
    if (!q)
        return;
    while (q->zip && q->sum && vl_stage_take(q->zip))
        vl_stage_take(q->sum);
    vl_stage_free(q->zip);
    vl_stage_free(q->sum);
    for (size_t i = 0; q->ring && i < q->depth; i++) {
        free(q->ring[i].raw.p);
        free(q->ring[i].seams.p);
        vl_codec_free(q->ring[i].codec);
    }
    free(q->ring);
    free(q);
}
