/* SPDX-License-Identifier: MIT
 * read_ahead.c -- the caller's thread reads the frames of a segment, one thread decodes them, up to DEPTH ahead of
 * what is unpacked.
 *
 * Only where the file's tables chain, so that a frame's bytes are known before it is read, and where the first
 * fault ends the reading: with skip_bad each frame is looked at before the next one is read. For the caller
 * nothing else differs: frames come in order, and a fault of frame i is told when those before it were given. */
#include "formats/segment_read.h"
#include "formats/stage.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEPTH = 2,
    FRAMES_MIN = 4,    /* to come: for fewer no thread is started */
    HEADROOM = 1 << 18 /* bytes before a frame's content, for the open record */
};

typedef struct job {
    vl_codec *codec;
    vl_buf comp, raw; /* raw: HEADROOM, then the content */
    vl_frame f;
    uint64_t at; /* of the frame */
    int rc;
    vl_err e;
} job;

struct vls_ahead {
    vl_stage *stage;
    vl_codec *codec;
    job ring[DEPTH];
    uint64_t put, taken;
    uint32_t next;    /* frame of the segment that is read next */
    uint64_t fail_at; /* the frame that could not be read, where why.code says so */
    vl_err why;
};

static void decode(void *arg, void *ctx)
{
    job *j = arg;

    (void)ctx;
    j->rc = vl_frame_decode(j->codec, j->comp.p, &j->f, j->raw.p + HEADROOM, &j->e);
}

static int start(vls_reader *r, vl_err *e)
{
    vls_ahead *a = vl_alloc(1, sizeof *a, e);
    int rc = VL_ENOMEM;

    if (!a)
        return rc;
    rc = vl_codec_new(&a->codec, e);
    if (!rc)
        rc = vl_stage_new(1, DEPTH, decode, NULL, &a->stage, e);
    if (rc)
        vls_ahead_free(a);
    else
        r->ahead = a;
    return rc;
}

static bool empty(const vls_ahead *a)
{
    return !a || a->put == a->taken;
}

/* Is there something inside, be it a fault, or is it worth beginning? */
static bool wanted(const vls_reader *r)
{
    return !empty(r->ahead) || (r->ahead && r->ahead->why.code) ||
           (!r->opts.one_thread && !r->opts.skip_bad && r->known.n >= r->seen.n + FRAMES_MIN);
}

/* Reads as many frames as there is room for. An entry without content is the record index. */
static void fill(vls_reader *r)
{
    vls_ahead *a = r->ahead;

    if (empty(a))
        a->next = r->seen.n;
    while (!a->why.code && !vl_stage_full(a->stage) && a->next < r->known.n &&
           vl_seektab_get(&r->known, a->next).dsize) {
        job *j = &a->ring[a->put % DEPTH];
        j->codec = a->codec;
        j->at = a->fail_at = r->src.at;
        j->raw.n = 0;
        a->why.code = vls_read_known(r, a->next, &j->comp, &j->f, &a->why);
        if (!a->why.code)
            a->why.code = vl_buf_room(&j->raw, HEADROOM + (size_t)j->f.dsize, &a->why);
        if (a->why.code)
            return;
        a->next++;
        a->put++;
        vl_stage_put(a->stage, j);
    }
}

int vls_ahead_take(vls_reader *r, vl_frame *f, bool tail, vl_err *e)
{
    vls_ahead *a;
    job *j;
    int rc = wanted(r) && !r->ahead ? start(r, e) : VL_OK;

    if (rc || !wanted(r))
        return rc;
    a = r->ahead;
    fill(r);
    j = vl_stage_take(a->stage);
    if (!j && !a->why.code)
        return 0;
    a->taken += j != NULL;
    r->frame_at = j ? j->at : a->fail_at;
    rc = j ? j->rc : a->why.code;
    if (rc) {
        if (e)
            *e = j ? j->e : a->why;
        return rc;
    }
    *f = j->f;
    rc = tail ? vl_buf_add(&r->tail.b, j->raw.p + HEADROOM, f->dsize, e)
              : vls_unpack_give(&r->u, &j->raw, HEADROOM, f->dsize, e);
    if (tail && !rc)
        r->tail.b.n -= f->dsize; /* the caller adds */
    return rc ? rc : 1;
}

uint64_t vls_ahead_at(const vls_reader *r)
{
    const vls_ahead *a = r->ahead;

    if (!empty(a))
        return a->ring[a->taken % DEPTH].at;
    return a && a->why.code ? a->fail_at : r->src.at;
}

int vls_ahead_drop(vls_reader *r, vl_err *e)
{
    vls_ahead *a = r->ahead;
    uint64_t at = vls_ahead_at(r);

    if (at == r->src.at)
        return VL_OK;
    while (vl_stage_take(a->stage))
        a->taken++;
    a->why.code = VL_OK;
    return vl_source_seek(&r->src, at, e);
}

void vls_ahead_free(vls_ahead *a)
{
    if (!a)
        return;
    while (a->stage && vl_stage_take(a->stage))
        ;
    vl_stage_free(a->stage);
    for (int i = 0; i < DEPTH; i++) {
        free(a->ring[i].comp.p);
        free(a->ring[i].raw.p);
    }
    vl_codec_free(a->codec);
    free(a);
}
