/* SPDX-License-Identifier: MIT */
#include "distill/single.h"
#include "pipeline/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct vld_single {
    vld_single_opts o;
    const vlm_model *m;
    const vld_experts *x; /* NULL: no teacher */
    const vl_data *data;
    vl_pool *pool;
    vld_set *set;
    vld_set grad, real, seen; /* seen: the set under its views; without any it has no arrays */
    vl_real *theta;           /* the teacher */
    vld_real_stats stats;
    vld_single_loss *loss;
    vld_optim part[2]; /* VLD_PART_IMAGE, VLD_PART_TEXT */
    uint32_t *order;   /* [data->n] of pass number `pass` */
    uint64_t pass;
    bool common; /* the experts start alike */
    int diverged;
};

/* ---- setting up ------------------------------------------------------------------------------------ */

static bool start_alike(const vld_experts *x)
{
    for (int i = 1; i < x->n; i++)
        if (memcmp(x->theta[0], x->theta[i], x->model.n * sizeof(vl_real)) != 0)
            return false;
    return x->n > 1;
}

static int check_teachers(const vld_single_opts *o, const vlm_model *m, const vld_experts *x, vl_err *e)
{
    if (o->first_snap < 1 || !(o->alpha >= 0 && o->alpha <= 1))
        return vl_fail(e, VL_EARG, "teachers from snapshot %d, a share of %g: 1 or more, and 0 to 1 wanted",
                       o->first_snap, o->alpha);
    if (!x || x->n < 1)
        return vl_fail(e, VL_EARG, "%s needs experts to make a teacher of", o->method->name);
    if (x->model.n != m->n || strcmp(x->model.spec, m->spec) != 0)
        return vl_fail(e, VL_EARG, "experts of %s for a set of %s", x->model.spec, m->spec);
    for (int i = 0; i < x->n; i++)
        if (x->n_snaps[i] <= o->first_snap)
            return vl_fail(e, VL_EARG, "expert %d has %d snapshots; teachers need snapshot %d", i,
                           x->n_snaps[i], o->first_snap);
    return VL_OK;
}

static int check(const vld_single_opts *o, const vlm_model *m, const vl_data *d, vl_err *e)
{
    bool pixels = m->kind != VLM_HEADS;
    int rc = vld_data_fits(m, d, e);

    if (rc)
        return rc;
    if (o->iterations < 1 || o->batch < 1 || o->batch > d->n)
        return vl_fail(e, VL_EARG,
                       "%d iterations with %zu of %zu real pairs: at least 1, and 1 to all wanted",
                       o->iterations, o->batch, d->n);
    if (!pixels && (vl_augment_any(&o->aug)))
        return vl_fail(e, VL_EARG, "features have no views");
    return VL_OK;
}

/* Record row with its caption number cap to pair b of the set out. */
static void take_real(const vld_single *u, size_t row, size_t cap, size_t b, vl_view view, vld_set *out)
{
    vld_set_pair(u->m, u->data, row, u->data->cap[row] + cap, b, out);
    if (!vl_view_still(&view))
        vld_data_image(u->m, u->data, row, view, out->image + b * u->m->image_n);
}

/* Every caption with its record's image. */
static int gather_stats(vld_single *u, vl_err *e)
{
    const vl_view still = {0};
    vld_set chunk = {0};
    size_t used = 0;
    int rc = vld_real_stats_new(u->m->image_n, u->m->text_dim, u->o.method->needs & VLD_NEEDS_CROSS, u->pool,
                                &u->stats, e);

    if (!rc)
        rc = vld_set_new(u->m, VLD_STATS_CHUNK, &chunk, e);
    for (size_t row = 0; !rc && row < u->data->n; row++)
        for (size_t c = 0; !rc && c < u->data->cap[row + 1] - u->data->cap[row]; c++) {
            take_real(u, row, c, used++, still, &chunk);
            if (used == VLD_STATS_CHUNK) {
                rc = vld_real_stats_add(&u->stats, chunk.image, chunk.text, used, e);
                used = 0;
            }
        }
    if (!rc)
        rc = vld_real_stats_add(&u->stats, chunk.image, chunk.text, used, e);
    vld_set_free(&chunk);
    return rc;
}

static int make(vld_single *u, vl_err *e)
{
    const vld_single_method *how = u->o.method;
    vld_single_setup s = {.n = u->set->n,
                          .batch = u->o.batch,
                          .image_n = u->m->image_n,
                          .text_dim = u->m->text_dim,
                          .pool = u->pool,
                          .p = u->o.params};
    int rc = VL_OK;

    if (how->needs & VLD_NEEDS_STATS) {
        rc = gather_stats(u, e);
        s.stats = &u->stats;
    }
    s.model = u->x ? u->m : NULL;
    if (!rc)
        rc = vld_single_loss_new(how, &s, &u->loss, e);
    if (!rc)
        rc = vld_set_new(u->m, u->set->n, &u->grad, e);
    if (!rc)
        rc = vld_set_new(u->m, u->o.batch, &u->real, e);
    if (!rc && (vl_augment_any(&u->o.aug)))
        rc = vld_set_new(u->m, u->set->n, &u->seen, e);
    for (vld_set_part p = VLD_PART_IMAGE; !rc && p <= VLD_PART_TEXT; p++)
        rc =
            vld_optim_new(u->o.optimiser, u->o.momentum,
                          u->set->n * (p == VLD_PART_IMAGE ? u->m->image_n : u->m->text_dim), &u->part[p], e);
    if (!rc && (!(u->order = vl_alloc(u->data->n, sizeof *u->order, e)) ||
                (u->x && !(u->theta = vl_alloc(u->m->n, sizeof *u->theta, e)))))
        rc = VL_ENOMEM;
    return rc;
}

int vld_single_new(const vld_single_opts *o, const vlm_model *model, const vld_experts *experts,
                   const vl_data *data, vl_pool *pool, vld_set *set, vld_single **out, vl_err *e)
{
    bool teacher =
        (o->method->needs & VLD_NEEDS_TEACHER) || ((o->method->needs & VLD_TAKES_TEACHER) && o->teacher);
    vld_single *u;
    int rc = check(o, model, data, e);

    if (!rc && teacher)
        rc = check_teachers(o, model, experts, e);
    if (rc)
        return rc;
    if (!(u = vl_alloc(1, sizeof *u, e)))
        return VL_ENOMEM;
    u->o = *o;
    u->m = model;
    u->x = teacher ? experts : NULL;
    u->data = data;
    u->pool = pool;
    u->set = set;
    u->common = teacher && start_alike(experts);
    u->pass = UINT64_MAX;
    rc = make(u, e);
    if (rc)
        vld_single_free(u);
    else
        *out = u;
    return rc;
}

void vld_single_free(vld_single *u)
{
    if (!u)
        return;
    free(u->theta);
    free(u->order);
    for (vld_set_part p = VLD_PART_IMAGE; p <= VLD_PART_TEXT; p++)
        vld_optim_free(&u->part[p]);
    vld_set_free(&u->seen);
    vld_set_free(&u->real);
    vld_set_free(&u->grad);
    vld_single_loss_free(u->loss);
    vld_real_stats_free(&u->stats);
    free(u);
}

size_t vld_single_bytes(const vld_single *u)
{
    size_t pair = u->m->image_n + u->m->text_dim, pairs = u->set->n + u->o.batch;
    size_t moments = u->o.optimiser == VLD_ADAM ? 2 : 1, stats = 0;

    if (u->stats.mean_x)
        stats = pair * sizeof(double) + VLD_STATS_CHUNK * pair * sizeof(vl_real);
    if (u->stats.sum_xy)
        stats += u->m->image_n * u->m->text_dim * sizeof(double);
    if (u->seen.image)
        pairs += u->set->n;
    return sizeof *u + stats + vld_single_loss_bytes(u->loss) + u->data->n * sizeof *u->order +
           ((pairs + moments * u->set->n) * pair + (u->x ? u->m->n : 0)) * sizeof(vl_real);
}

/* ---- draws ------------------------------------------------------------------------------------------ */

static vl_view view_of(const vld_single *u, int k, size_t b)
{
    return vl_view_draw(&u->o.aug, u->o.seed, vl_rng_stream("single view", (uint64_t)k, 0, 0), b);
}

typedef struct gathering {
    vld_single *u;
    int k;
    const uint32_t *rows; /* [batch] */
} gathering;

static void gather_one(void *arg, size_t b, int worker)
{
    const gathering *g = arg;
    vld_single *u = g->u;
    size_t row = g->rows[b];
    uint64_t stream = vl_rng_stream("single caption", (uint64_t)g->k, 0, 0);

    (void)worker;
    take_real(u, row, vl_rng_below(u->o.seed, stream, b, u->data->cap[row + 1] - u->data->cap[row]), b,
              view_of(u, g->k, b), &u->real);
}

/* The iteration's real pairs: batch number k of all passes. */
static void gather_batch(vld_single *u, int k)
{
    size_t per_pass = u->data->n / u->o.batch;
    uint64_t pass = (uint64_t)k / per_pass;
    gathering g = {u, k, u->order + (size_t)k % per_pass * u->o.batch};

    if (pass != u->pass)
        vl_rng_shuffle(u->o.seed, vl_rng_stream("single rows", pass, 0, 0), u->data->n, u->order);
    u->pass = pass;
    vl_pool_run(u->pool, u->o.batch, gather_one, &g);
}

/* A number below n that is not `taken`; 0 where there is no other. */
static int other_than(const vld_single *u, uint64_t stream, uint64_t index, int n, int taken)
{
    int i = n > 1 ? (int)vl_rng_below(u->o.seed, stream, index, (uint64_t)n - 1) : 0;

    return i + (n > 1 && i >= taken);
}

static int make_teacher(vld_single *u, int k, vld_single_report *r, vl_err *e)
{
    uint64_t seed = u->o.seed, stream = vl_rng_stream("teacher", (uint64_t)k, 0, 0);
    const vld_experts *x = u->x;
    const vl_real *at[2];
    double ratio[VLM_MAX_PARAMS];
    int first = u->o.first_snap, choice, rc;

    r->expert[0] = r->expert[1] = (int)vl_rng_below(seed, stream, 0, (uint64_t)x->n);
    choice = x->n_snaps[r->expert[0]] - first;
    r->snap[0] = r->snap[1] = (int)vl_rng_below(seed, stream, 1, (uint64_t)choice);
    if (u->common) {
        r->expert[1] = other_than(u, stream, 2, x->n, r->expert[0]);
        choice = x->n_snaps[r->expert[1]] - first;
        r->snap[1] = (int)vl_rng_below(seed, stream, 3, (uint64_t)choice);
    } else
        r->snap[1] = other_than(u, stream, 3, choice, r->snap[0]);
    for (int i = 0; i < 2; i++) {
        r->snap[i] += first;
        at[i] = x->theta[r->expert[i]] + (size_t)r->snap[i] * u->m->n;
    }
    rc = vld_merge_experts(u->m, u->pool, at[0], at[1], x->theta[r->expert[0]], u->o.alpha, u->theta, ratio,
                           e);
    for (int i = 0; !rc && i < u->m->n_params; i++)
        r->ratio += ratio[i] / u->m->n_params;
    return rc;
}

/* ---- views of the set --------------------------------------------------------------------------------- */

typedef struct viewing {
    vld_single *u;
    int k;
} viewing;

static void view_one(void *arg, size_t i, int worker)
{
    const viewing *v = arg;
    vld_single *u = v->u;
    size_t at = i * u->m->image_n;

    (void)worker;
    vl_view_apply(u->set->image + at, u->m->size, view_of(u, v->k, i), u->seen.image + at);
}

/* The gradient of what was seen becomes that of the set; `seen` serves as scratch. */
static void view_back(void *arg, size_t i, int worker)
{
    const viewing *v = arg;
    vld_single *u = v->u;
    size_t at = i * u->m->image_n;

    (void)worker;
    memcpy(u->seen.image + at, u->grad.image + at, u->m->image_n * sizeof(vl_real));
    memset(u->grad.image + at, 0, u->m->image_n * sizeof(vl_real));
    vl_view_adjoint_add(u->seen.image + at, u->m->size, view_of(u, v->k, i), 1, u->grad.image + at);
}

/* ---- an iteration ------------------------------------------------------------------------------------- */

static int gradient(vld_single *u, int k, vld_single_report *r, vl_err *e)
{
    bool views = u->seen.image;
    vld_single_in in = {.x = views ? u->seen.image : u->set->image,
                        .y = u->set->text,
                        .xr = u->real.image,
                        .yr = u->real.text,
                        .theta = u->theta};
    vld_single_out out = {.gx = u->grad.image, .gy = u->grad.text};
    viewing v = {u, k};
    int rc = VL_OK;

    if ((u->o.method->needs & VLD_NEEDS_BATCH) || u->x)
        gather_batch(u, k);
    if (u->x)
        rc = make_teacher(u, k, r, e);
    if (rc)
        return rc;
    if (views)
        vl_pool_run(u->pool, u->set->n, view_one, &v);
    rc = vld_single_loss_run(u->loss, &in, &out, e);
    r->loss = out.loss;
    memcpy(r->part, out.part, sizeof r->part);
    if (!rc && views)
        vl_pool_run(u->pool, u->set->n, view_back, &v);
    return rc;
}

int vld_single_step(vld_single *u, int k, vld_single_report *r, vl_err *e)
{
    double fall = u->o.constant ? 1 : 0.55 + 0.45 * cos(3.14159265358979 * k / u->o.iterations);
    int rc;

    *r = (vld_single_report){.expert = {-1, -1}, .snap = {-1, -1}};
    rc = gradient(u, k, r, e);
    if (rc == VL_EMATH) {
        r->diverged = true;
        return ++u->diverged > VLD_MAX_DIVERGED ? vl_within(e, "%d iterations diverged in a row", u->diverged)
                                                : VL_OK;
    }
    if (rc)
        return rc;
    u->diverged = 0;
    for (vld_set_part p = VLD_PART_IMAGE; p <= VLD_PART_TEXT; p++) {
        const vl_real *g = vld_set_part_of(&u->grad, p);
        vld_optim_step(&u->part[p], u->pool, fall * (p == VLD_PART_IMAGE ? u->o.step_image : u->o.step_text),
                       vld_clip_scale(u->o.clip, g, u->part[p].n), g, vld_set_part_of(u->set, p));
    }
    return VL_OK;
}

void vld_single_state(vld_single *u, vld_state *s)
{
    for (vld_set_part p = 0; p <= VLD_PART_TEXT; p++)
        vld_optim_state(&u->part[p], vld_set_part_name[p], s);
    vld_state_count(s, "diverged_in_a_row", &u->diverged);
}
