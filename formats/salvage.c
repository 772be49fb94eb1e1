/* SPDX-License-Identifier: MIT
 * salvage.c -- skip_bad: how reading goes on behind what does not verify, and what is remembered of the loss.
 *
 * With a seek table the next frame's place is known. Without one (a pipe, a lost tail or table) the next magic
 * number is searched for: of a frame, which is then read like any other, or of a skippable frame that ends
 * the segment. A table whose entry denies a frame that verifies is as good as lost. Bytes that only look like a
 * frame fail their checksum and are searched, too; a hostile input can make that costly, so there is a limit.
 * Nothing is given that was not verified. */
#include "formats/names.h"
#include "formats/segment_read.h"
#include "formats/tarhead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 1 << 14, LOSSES_MAX = 1024, NOTED_MAX = 100, PEEK = 1 << 16 };

/* ---- what was lost -------------------------------------------------------------------------- */

int vls_note_gap(vls_reader *r, vl_err *e)
{
    uint64_t segment = vls_read_cur(r)->pub.ordinal;
    struct loss *l = r->n_loss ? &r->loss[r->n_loss - 1] : NULL;

    if ((l && l->segment == segment && !l->before) || r->n_loss == LOSSES_MAX)
        return VL_OK; /* one gap, in several pieces */
    if (!r->loss && !(r->loss = vl_alloc(LOSSES_MAX, sizeof *r->loss, e)))
        return VL_ENOMEM;
    if (!r->shown && !(r->shown = vl_alloc(LOSSES_MAX, sizeof *r->shown, e)))
        return VL_ENOMEM;
    l = &r->loss[r->n_loss];
    *l = (struct loss){segment, r->frame_at, NULL, NULL};
    if (r->last_key.n && !(l->after = vl_strdup((const char *)r->last_key.p, e)))
        return VL_ENOMEM;
    r->n_loss++;
    return VL_OK;
}

int vls_note_given(vls_reader *r, const char *key, vl_err *e)
{
    struct loss *l = r->n_loss ? &r->loss[r->n_loss - 1] : NULL;

    if (l && !l->before && l->segment == vls_read_cur(r)->pub.ordinal && !(l->before = vl_strdup(key, e)))
        return VL_ENOMEM;
    r->last_key.n = 0;
    return vl_buf_add(&r->last_key, key, strlen(key) + 1, e);
}

int vls_note_lost(vls_reader *r, vl_err *e)
{
    r->counts.bad_frames += r->u.left_out;
    r->n_lost_keys += r->tail.n_lost;
    return vl_buf_add(&r->lost_keys, r->tail.lost.p, r->tail.lost.n, e);
}

void vls_losses_free(vls_reader *r)
{
    for (size_t i = 0; i < r->n_loss; i++) {
        free(r->loss[i].after);
        free(r->loss[i].before);
    }
    free(r->loss);
    free(r->shown);
    free(r->last_key.p);
    free(r->lost_keys.p);
}

size_t vls_reader_losses(const vls_reader *r, const vls_loss **out)
{
    for (size_t i = 0; i < r->n_loss; i++)
        r->shown[i] = (vls_loss){r->loss[i].segment, r->loss[i].at, r->loss[i].after, r->loss[i].before};
    *out = r->shown;
    return r->n_loss;
}

const char *vls_reader_lost_keys(const vls_reader *r, uint64_t *n)
{
    *n = r->n_lost_keys;
    return (const char *)r->lost_keys.p;
}

json_t *vls_reader_loss_note(const vls_reader *r)
{
    const vls_read_counts *c = &r->counts;
    const char *key = (const char *)r->lost_keys.p;
    json_t *keys, *gaps;

    if (!c->bad_frames && !c->lost_tails && !c->lost_records)
        return NULL;
    keys = json_array();
    gaps = json_array();
    for (uint64_t i = 0; i < r->n_lost_keys && i < NOTED_MAX; i++, key += strlen(key) + 1)
        json_array_append_new(keys, json_string(key));
    for (size_t i = 0; i < r->n_loss && i < NOTED_MAX; i++)
        json_array_append_new(
            gaps, json_pack("{s:s?, s:s?}", "after", r->loss[i].after, "before", r->loss[i].before));
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "bad_frames", (json_int_t)c->bad_frames, "lost_records",
                     (json_int_t)c->lost_records, "lost_tails", (json_int_t)c->lost_tails, "keys", keys,
                     "gaps", gaps);
}

/* ---- frames whose places are known ---------------------------------------------------------- */

/* A frame of the open segment failed: goes on behind it, where the table says that is. */
static int leave_out(vls_reader *r, vl_err *e)
{
    vl_frame f = vl_seektab_get(&r->known, r->seen.n);
    uint64_t at = r->frame_at + f.csize;
    bool last;
    int rc = vl_seektab_add(&r->seen, &f, e);

    if (rc)
        return rc;
    r->counts.frames++;
    /* the last frame is TAIL: what is open ended before it */
    last = r->seen.n == r->known.n || !vl_seektab_get(&r->known, r->seen.n).dsize;
    if (last && r->state == DATA && vls_unpack_at_member(&r->u)) {
        r->tail_lost = true;
        r->state = FLUSH;
    } else {
        vls_unpack_gap(&r->u);
        r->state = last ? SEEK : r->state;
    }
    r->counts.lost_tails += last;
    r->gaps = true;
    return vl_source_seek(&r->src, at, e);
}

/* TAIL of the segment in r->known, if it verifies and is one frame: into r->tail, with the keys it names. 1, else 0. */
static int tail_alone(vls_reader *r)
{
    static const char sums[] = VLS_META ".sums.";
    uint32_t n = r->known.n - !vl_seektab_get(&r->known, r->known.n - 1).dsize; /* but for the index */
    vl_frame want = vl_seektab_get(&r->known, n ? n - 1 : 0), f;
    uint64_t at = r->spans[r->span].start;
    char id[VLS_ID_HEX + 1] = "";
    uint8_t *p;
    int more = 0;

    for (uint32_t i = 0; i + 1 < n; i++)
        at += vl_seektab_get(&r->known, i).csize;
    if (n < 2 || vl_source_seek(&r->src, at, NULL) || vl_frame_pull(&r->src, &r->comp, &f, &more, NULL) ||
        !more || memcmp(&f, &want, sizeof f) || f.dsize < VL_TAR_BLOCK)
        return 0;
    vls_tail_start(&r->tail, id, NULL, 0, true);
    if (vl_buf_room(&r->tail.b, f.dsize, NULL))
        return 0;
    p = r->tail.b.p;
    if (vl_frame_decode(r->codec, r->comp.p, &f, p, NULL) || memcmp(p, sums, sizeof sums - 1))
        return 0;
    memcpy(r->tail.id, p + sizeof sums - 1, VLS_ID_HEX);
    r->tail.b.n = f.dsize;
    return vls_tail_step(&r->tail, NULL) == 1 &&
           !vls_tail_check(r->tail.json, &(vls_totals){0}, true, false, NULL);
}

/* HEAD failed. The kind of the records, their schema and their licence stand only there, so none is given; how many
 * there were, and what their keys are, TAIL can say. */
static int leave_segment(vls_reader *r, vl_err *e)
{
    json_int_t records = 0;
    int rc = VL_OK;

    r->counts.bad_frames += r->spans[r->span].n - 1;
    if (tail_alone(r))
        records = json_integer_value(json_object_get(r->tail.json, "records"));
    if (records > 0 && records <= (json_int_t)VLS_RECORDS_MAX) {
        r->counts.lost_records += (uint64_t)records;
        rc = vls_note_lost(r, e);
    } else {
        r->counts.lost_tails++;
    }
    vls_tail_free(&r->tail);
    return rc ? rc : vls_skip_span(r, e);
}

/* Does the frame that failed verify without its entry (and hold a manifest, where HEAD must be)? Then it is the table
 * that is wrong. */
static bool verifies_alone(vls_reader *r)
{
    char id[VLS_ID_HEX + 1];
    json_t *m = NULL;
    vl_buf raw = {0};
    vl_frame f;
    int more = 0;
    bool good = !vl_source_seek(&r->src, r->frame_at, NULL) &&
                !vl_frame_pull(&r->src, &r->comp, &f, &more, NULL) && more &&
                !vl_buf_room(&raw, f.dsize, NULL) && !vl_frame_decode(r->codec, r->comp.p, &f, raw.p, NULL) &&
                (r->state != START || !vls_head_parse(raw.p, f.dsize, &m, id, NULL));

    json_decref(m);
    free(raw.p);
    return good;
}

/* No table is believed from here on: the rest is read as from a pipe, this frame first. The wrong one is counted when it
 * is met. */
static int doubt_tables(vls_reader *r, vl_err *e)
{
    r->n_spans = 0;
    vl_seektab_clear(&r->known);
    return vl_source_seek(&r->src, r->frame_at, e);
}

static int mend_known(vls_reader *r, vl_err *e)
{
    if ((r->state == START || r->state == DATA) && verifies_alone(r))
        return doubt_tables(r, e);
    r->counts.bad_frames++;
    if (r->state == START)
        return leave_segment(r, e);
    if (r->state == DATA) {
        int rc = vls_note_gap(r, e);
        if (!rc && r->seen.n < r->known.n)
            return leave_out(r, e);
        if (rc)
            return rc;
    }
    r->counts.lost_tails += r->state != SEEK; /* an index or a table holds no record */
    return vls_skip_span(r, e);
}

/* ---- frames that must be searched for ------------------------------------------------------- */

static bool is_magic(uint32_t m)
{
    return m == VL_FRAME_MAGIC || m == VL_SEEK_MAGIC || m == VL_VLIX_MAGIC;
}

/* The source goes back to `at`, which lies in the frame at hand (r->comp, which was read last). */
static int go_back(vls_reader *r, uint64_t at, vl_err *e)
{
    size_t n = (size_t)(r->src.at - at);

    if (n > r->comp.n) /* more was read than the frame itself: what is kept of it will do */
        n = r->comp.n;
    return r->src.regular ? vl_source_seek(&r->src, at, e)
                          : vl_source_unread(&r->src, r->comp.p + (r->comp.n - n), n, e);
}

/* Stands at the next magic number, *magic; 0 at the end of the input. */
static int find_magic(vls_reader *r, uint32_t *magic, vl_err *e)
{
    const uint8_t *p;
    size_t n, i;
    int rc;

    for (;;) {
        rc = vl_source_peek(&r->src, PEEK, &p, &n, e);
        if (rc)
            return rc;
        for (i = 0; i + 4 <= n; i++)
            if (is_magic(*magic = vl_le32(p + i)))
                return vl_source_skip(&r->src, i, e);
        *magic = 0;
        if (n < PEEK)
            return vl_source_skip(&r->src, n, e);
        rc = vl_source_skip(&r->src, n - 3, e);
        if (rc)
            return rc;
    }
}

/* A skippable frame lies here: steps over it if it is what it looks like, else over its magic number. */
static int step_over(vls_reader *r, uint32_t magic, bool *table, vl_err *e)
{
    const uint8_t *p;
    size_t n;
    uint32_t bytes;
    bool fits;
    int rc = vl_source_peek(&r->src, 12, &p, &n, e);

    if (rc)
        return rc;
    bytes = n == 12 ? vl_le32(p + 4) : 0;
    fits = magic == VL_SEEK_MAGIC ? bytes % VL_SEEK_ENTRY == 9 && bytes / VL_SEEK_ENTRY <= VL_SEEK_FRAMES_MAX
                                  : bytes >= VLS_VLIX_FIXED && !memcmp(p + 8, "VLIX", 4);
    *table = fits && magic == VL_SEEK_MAGIC;
    return vl_source_skip(&r->src, fits ? 8 + (uint64_t)bytes : 4, e);
}

/* Stands at the next frame, with the state in which it is read, or at the end. */
static int find_frame(vls_reader *r, vl_err *e)
{
    uint32_t magic;
    bool table;
    int rc;

    for (;;) {
        rc = find_magic(r, &magic, e);
        if (rc || magic == VL_FRAME_MAGIC)
            return rc;
        if (!magic)
            break;
        rc = step_over(r, magic, &table, e);
        if (rc)
            return rc;
        if (table) { /* the segment ends here */
            r->counts.lost_tails += r->state == DATA;
            r->state = START;
        }
    }
    r->counts.lost_tails += r->state == DATA;
    r->state = END;
    return VL_OK;
}

static int mend_stream(vls_reader *r, vl_err *e)
{
    bool skippable = r->state != SEEK && r->comp.n >= 4 && !r->whole &&
                     (vl_le32(r->comp.p) == VL_SEEK_MAGIC || vl_le32(r->comp.p) == VL_VLIX_MAGIC);
    const uint8_t *p;
    size_t n;
    int rc = VL_OK;

    if (r->state == SEEK) { /* all records of the segment were given; its table is not there or wrong */
        r->counts.bad_frames++;
        r->counts.lost_tails++;
        r->state = START;
        return find_frame(r, e);
    }
    r->counts.bad_frames += !skippable || r->state == DATA || r->state == TAIL; /* there it costs a record */
    if (r->state == DATA || r->state == TAIL) {
        rc = vls_note_gap(r, e);
        vls_unpack_gap(&r->u);
        r->gaps = true;
        r->state = DATA;
    }
    if (!rc && r->whole) { /* are its ends where it says? */
        rc = vl_source_peek(&r->src, 4, &p, &n, e);
        if (!rc && (!n || (n == 4 && is_magic(vl_le32(p)))))
            return find_frame(r, e);
    }
    if (!rc)
        rc = go_back(r, r->frame_at + (r->comp.n && !skippable), e);
    return rc ? rc : find_frame(r, e);
}

/* ---- both ----------------------------------------------------------------------------------- */

int vls_other_head(vls_reader *r, const uint8_t *raw, const vl_frame *f, vl_err *e)
{
    char id[VLS_ID_HEX + 1];
    json_t *m = NULL;
    size_t n = f->dsize;
    int rc;

    if (n < sizeof VLS_META || memcmp(raw, VLS_META ".manifest.", 17) || vls_head_parse(raw, n, &m, id, NULL))
        return 0;
    json_decref(m);
    r->counts.lost_tails++;
    vls_read_begin(r);
    rc = vls_take_head(r, raw, n, e);
    if (!rc)
        rc = vl_seektab_add(&r->seen, f, e);
    return rc ? rc : 1;
}

static int mend_plain(vls_reader *r, vl_err *e)
{
    vl_buf *tail = &r->tail.b;
    int rc = VL_OK;

    r->counts.bad_frames++;
    if (r->state == TAIL &&
        tail->n > r->tail.at) /* what was taken for sums may hold the next segment's head */
        rc = vl_source_unread(&r->src, tail->p + r->tail.at, tail->n - r->tail.at, e);
    if (!rc && r->state != START) {
        rc = vls_note_gap(r, e);
        vls_unpack_gap(&r->u);
        r->gaps = true;
    }
    return rc ? rc : vls_plain_mend(r, e);
}

int vls_mend(vls_reader *r, int rc, vl_err *e)
{
    bool known = r->known.n != 0;
    vl_err why = *e;
    int fault;

    if (rc != VL_EFORMAT)
        return rc;
    if (++r->tries > TRIES_MAX)
        return vl_within(e, "more than %d places that do not verify, the last one", TRIES_MAX);
    if (r->is_plain)
        fault = mend_plain(r, e);
    else
        fault = known ? mend_known(r, e) : mend_stream(r, e);
    if (!fault && r->state == END && !r->counts.segments) { /* nothing at all could be read */
        *e = why;
        return rc;
    }
    return fault;
}
