/* SPDX-License-Identifier: MIT
 * augment.c -- how views are named and drawn; view.c carries them out. */
#include "pipeline/rng.h"
#include "pipeline/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The parts in the order of their names. A part without a number has bits alone. */
enum { FLIP, SHIFT, CROP, COLOUR, CUTOUT, PARTS };

static const struct part {
    const char *name;
    int usual, least, most; /* of the number; usual 0: it must be given; most 0: the part has none */
} parts[PARTS] = {{"flip", 1, 0, 0},
                  {"shift", 0, 0, VL_SHIFT_MAX},
                  {"crop", VL_CROP_USUAL, 1, 100},
                  {"colour", 1, 0, 0},
                  {"cutout", VL_CUTOUT_USUAL, 1, 100}};

/* The part that s begins with, its number in *n and what follows in *end; -1: none. */
static int read_part(const char *s, long *n, const char **end)
{
    for (int i = 0; i < PARTS; i++) {
        const struct part *p = &parts[i];
        size_t len = strlen(p->name);
        char *behind = (char *)s + len;

        if (strncmp(s, p->name, len))
            continue;
        *n = p->usual;
        if (p->most && *behind >= '0' && *behind <= '9')
            *n = strtol(behind, &behind, 10);
        else if (!p->usual)
            return -1;
        *end = behind;
        return p->most && (*n < p->least || *n > p->most) ? -1 : i;
    }
    return -1;
}

int vl_augment_parse(const char *text, vl_augment *out, vl_err *e)
{
    long n[PARTS] = {0}, value = 0;
    bool seen[PARTS] = {false};
    const char *s = text, *end = text;
    int part;

    if (!strcmp(text, "none")) {
        *out = (vl_augment){0};
        return VL_OK;
    }
    do {
        part = read_part(s, &value, &end);
        if (part < 0 || seen[part] || (*end && *end != '+'))
            return vl_fail(e, VL_EARG,
                           "'%.60s': none wanted, or with + between them flip, shiftN (N up to %d), crop or "
                           "cropN, colour, cutout or cutoutN (N of 1 to 100), each once",
                           text, VL_SHIFT_MAX);
        seen[part] = true;
        n[part] = value;
        s = end + 1;
    } while (*end);
    *out = (vl_augment){.flip = n[FLIP],
                        .shift = (int)n[SHIFT],
                        .crop = (int)n[CROP],
                        .cutout = (int)n[CUTOUT],
                        .colour = n[COLOUR]};
    return VL_OK;
}

void vl_augment_text(const vl_augment *a, char out[VL_AUGMENT_TEXT])
{
    const int n[PARTS] = {a->flip, a->shift, a->crop, a->colour, a->cutout};
    int used = 0;

    for (int i = 0; i < PARTS; i++) {
        const char *plus = used ? "+" : "";
        if (n[i] && parts[i].most)
            used += snprintf(out + used, VL_AUGMENT_TEXT - (size_t)used, "%s%s%d", plus, parts[i].name, n[i]);
        else if (n[i])
            used += snprintf(out + used, VL_AUGMENT_TEXT - (size_t)used, "%s%s", plus, parts[i].name);
    }
    if (!used)
        snprintf(out, VL_AUGMENT_TEXT, "none");
}

bool vl_augment_any(const vl_augment *a)
{
    return a->flip || a->shift || a->crop || a->colour || a->cutout;
}

bool vl_augment_equal(const vl_augment *a, const vl_augment *b)
{
    return a->flip == b->flip && a->shift == b->shift && a->crop == b->crop && a->colour == b->colour &&
           a->cutout == b->cutout;
}

/* ---- draws -------------------------------------------------------------------------------------------- */

/* Uniform in [0, 1): further numbers of a view, whose first one is r. */
static double further(uint64_t r, uint64_t index)
{
    return vl_rng_unit(r, vl_rng_stream("view", 0, 0, 0), index);
}

/* Uniform in 3/4 .. 1, or one over that. */
static double draw_ratio(uint64_t r)
{
    double x = 0.75 + 0.25 * further(r, 1);

    return further(r, 2) < 0.5 ? x : 1 / x;
}

static void draw_box(const vl_augment *a, uint64_t r, vl_view *v)
{
    double least = a->crop / 100.0, area = least + (1 - least) * further(r, 0), ratio = draw_ratio(r);

    v->wide = area * ratio > 1 ? 1 : area / ratio > 1 ? area : sqrt(area * ratio);
    v->high = area / v->wide;
    v->left = (1 - v->wide) * further(r, 3);
    v->top = (1 - v->high) * further(r, 4);
}

vl_view vl_view_draw(const vl_augment *a, uint64_t seed, uint64_t stream, uint64_t index)
{
    uint64_t r = vl_rng(seed, stream, index);
    uint64_t span = 2 * (uint64_t)a->shift + 1;
    vl_view v = {0};

    v.flip = a->flip && (r & 1);
    if (a->shift > 0) {
        v.dx = (int)((r >> 8 & 0xffffff) % span) - a->shift;
        v.dy = (int)((r >> 32 & 0xffffff) % span) - a->shift;
    }
    if (a->crop)
        draw_box(a, r, &v);
    if (a->colour) {
        v.colour = true;
        v.brightness = further(r, 5) - 0.5;
        v.saturation = 2 * further(r, 6);
        v.contrast = 0.5 + further(r, 7);
    }
    if (a->cutout) {
        v.cut = a->cutout / 100.0;
        v.cut_x = further(r, 8);
        v.cut_y = further(r, 9);
    }
    return v;
}
