/* SPDX-License-Identifier: MIT
 * eval_report.c -- the page: conclusions, the table with bars, settings and cost, curves of each row, the
 * pictures of the first distilled set before and after, protocol and content ids. */
#include "cli/eval.h"
#include "cli/report.h"
#include "pipeline/image.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHEET_MAX = 200 }; /* pairs shown */

static void results(cli_report *p, const eval *v, cli_report_row *rows, char (*note)[128])
{
    for (size_t i = 0; i < v->n_rows; i++) {
        const eval_row *r = &v->row[i];
        const vld_row_stats *s = &r->stats;
        rows[i] = (cli_report_row){.name = r->name,
                                   .note = note[i],
                                   .mean = s->mean.mean,
                                   .sd = s->mean.sd,
                                   .low = s->mean.low,
                                   .high = s->mean.high,
                                   .query_low = s->query_low,
                                   .query_high = s->query_high,
                                   .strong = r->kind == EVAL_DISTILLED};
        memcpy(rows[i].ir, s->ir, sizeof rows[i].ir);
        memcpy(rows[i].tr, s->tr, sizeof rows[i].tr);
        if (r->kind == EVAL_CHANCE)
            snprintf(note[i], sizeof note[i], "what random scores give in expectation");
        else
            snprintf(note[i], sizeof note[i], "%zu set%s x %d student%s, %d epochs%s", r->n_draws,
                     r->n_draws == 1 ? "" : "s", r->task.students, r->task.students == 1 ? "" : "s",
                     r->out->epochs, r->select == VLD_BY_TEST ? ", LEGACY: best of them ON TEST" : "");
    }
    cli_report_heading(p, "Results");
    for (size_t i = 0; i < v->verdict.n; i++)
        cli_report_text(p, "%s", v->verdict.line[i]);
    cli_report_table(p, "Recall on test, percent", rows, v->n_rows);
}

enum { COST_COLUMNS = 9 };

/* Cells are cut from text, COST_COLUMNS of 48 bytes a row. */
static void cost(cli_report *p, const eval *v, char (*text)[48], const char **cell)
{
    static const char *const head[COST_COLUMNS] = {
        "set",     "pairs",  "grid point", "rates chosen from", "epochs", "validation", "bytes of a set",
        "seconds", "GFLOP/s"};
    size_t n = 0;

    for (size_t i = 0; i < v->n_rows; i++) {
        const eval_row *r = &v->row[i];
        const vld_row_stats *s = &r->stats;
        char(*t)[48] = text + n * COST_COLUMNS;
        if (r->kind == EVAL_CHANCE)
            continue;
        const double *rate = r->grid->rate[r->out->best];
        snprintf(t[0], sizeof *t, "%.47s", r->name);
        snprintf(t[1], sizeof *t, "%zu", r->n);
        snprintf(t[2], sizeof *t, "%.4g:%.4g", rate[VLM_IMAGE], rate[VLM_TEXT]);
        snprintf(t[3], sizeof *t, "%s",
                 r->grid == &v->o.grid || r->grid == &v->o.full_grid ? "grid" : "times learned");
        snprintf(t[4], sizeof *t, "%d", r->out->epochs);
        snprintf(t[5], sizeof *t, "%.2f", s->valid);
        snprintf(t[6], sizeof *t, "%" PRIu64, r->bytes);
        snprintf(t[7], sizeof *t, "%.1f", s->seconds);
        snprintf(t[8], sizeof *t, "%.1f", s->flops / s->seconds * 1e-9);
        for (int k = 0; k < COST_COLUMNS; k++)
            cell[n * COST_COLUMNS + (size_t)k] = t[k];
        n++;
    }
    cli_report_grid(p, "Settings chosen on validation, and cost (seconds of one core)", head, COST_COLUMNS,
                    cell, n);
}

/* ---- what rows say of each other ------------------------------------------------------------------ */

enum { GAIN_COLUMNS = 9 };

static void pair_text(char text[48], double a, double b)
{
    if (isfinite(a) && isfinite(b))
        snprintf(text, 48, "%.2f to %.2f", a, b);
}

static void real_text(char text[48], double a, int digits)
{
    if (isfinite(a))
        snprintf(text, 48, "%.*f", digits, a);
}

/* Cells that stay empty are dashes. */
static void gain_row(const eval_row *r, char (*t)[48])
{
    const eval_gain *g = &r->gain;
    const vld_row_stats *s = &r->stats;

    snprintf(t[0], sizeof *t, "%.47s", r->name);
    real_text(t[1], g->ior.value, 2);
    pair_text(t[2], g->ior.low, g->ior.high);
    real_text(t[3], g->of_full, 2);
    real_text(t[4], g->lrs, 2);
    real_text(t[5], g->ars, 2);
    real_text(t[6], s->gauges.image_cosine, 3);
    real_text(t[7], s->gauges.text_cosine, 3);
    real_text(t[8], s->gauges.gap, 3);
}

static int gains(cli_report *p, const eval *v, vl_err *e)
{
    static const char *const head[GAIN_COLUMNS] = {"set",          "IOR",         "its 95 % interval",
                                                   "% of full",    "LRS",         "ARS",
                                                   "image cosine", "text cosine", "modality gap"};
    char(*text)[48] = vl_alloc(v->n_rows * GAIN_COLUMNS, sizeof *text, e);
    const char **cell = text ? vl_alloc(v->n_rows * GAIN_COLUMNS, sizeof *cell, e) : NULL;
    size_t n = 0;

    if (!cell) {
        free(text);
        return VL_ENOMEM;
    }
    for (size_t i = 0; i < v->n_rows; i++) {
        if (v->row[i].kind == EVAL_CHANCE)
            continue;
        gain_row(&v->row[i], text + n * GAIN_COLUMNS);
        for (size_t k = n * GAIN_COLUMNS; k < (n + 1) * GAIN_COLUMNS; k++)
            cell[k] = text[k][0] ? text[k] : NULL;
        n++;
    }
    cli_report_grid(p, "Beside random pairs and full data; collapse gauges on test", head, GAIN_COLUMNS, cell,
                    n);
    free(cell);
    free(text);
    cli_report_text(p, "IOR: mean recall less that of as many random pairs, same network, epochs and views "
                       "(interval: Welch). %% of full: of the full data's mean recall.");
    cli_report_text(
        p, "LRS, label robust score: 100 (exp(a) - exp(-1)) / (exp(1) - exp(-1)), a = IOR / 2 - HLR / 2, "
           "HLR = full data less the set with hard labels, recalls as shares of 1. ARS, augmentation "
           "robust score: the same of a = IOR with views / 2 + IOR without / 2.");
    cli_report_text(
        p,
        "Intervals in the first table: the upper line is over sets x students (Student t), the lower "
        "one over test queries (%d resampled test sets, percentiles).",
        VLD_RESAMPLES);
    cli_report_text(
        p, "Cosines: mean over pairs of different images, of different captions; near 1 all are alike. "
           "Modality gap: distance of the mean image embedding from the mean text embedding.");
    cli_report_text(
        p, "Peak memory of the whole run: %.0f MiB; students run side by side, so it is not a row's.",
        (double)v->peak / 1048576);
    return VL_OK;
}

/* ---- curves --------------------------------------------------------------------------------------- */

static void validation_figure(cli_report *p, const eval_row *r)
{
    const vld_outcome *o = r->out;
    cli_report_series series[VLD_MAX_GRID];
    char name[VLD_MAX_GRID][48], title[256];
    double at[VLD_MAX_READINGS];

    for (int i = 0; i < o->n_readings; i++)
        at[i] = o->at[i];
    for (size_t i = 0; i < o->n_points; i++) {
        const double *g = r->grid->rate[i];
        snprintf(name[i], sizeof name[i], "%.4g:%.4g%s%s", g[VLM_IMAGE], g[VLM_TEXT],
                 i == o->best ? " chosen" : "", o->point[i].diverged ? " diverged" : "");
        series[i] = (cli_report_series){name[i], at, o->point[i].valid, (size_t)o->n_readings};
    }
    snprintf(title, sizeof title, "%s: validation, by grid point", r->name);
    cli_report_plot(p, &(cli_report_figure){.title = title,
                                            .x_label = "epoch",
                                            .y_label = "mean recall, percent",
                                            .series = series,
                                            .n_series = o->n_points});
}

static void loss_figure(cli_report *p, const eval_row *r, const double *epochs)
{
    const vld_outcome *o = r->out;
    size_t n = o->n_students < CLI_REPORT_SERIES_MAX ? o->n_students : CLI_REPORT_SERIES_MAX;
    cli_report_series series[CLI_REPORT_SERIES_MAX];
    char name[CLI_REPORT_SERIES_MAX][48], title[256];

    for (size_t i = 0; i < n; i++) {
        const vld_student *s = &o->student[i];
        snprintf(name[i], sizeof name[i], "set %zu student %d", s->draw, s->number);
        series[i] = (cli_report_series){name[i], epochs, s->loss, (size_t)o->epochs};
    }
    snprintf(title, sizeof title, "%s: training loss of %s%zu students", r->name,
             n < o->n_students ? "the first " : "", n);
    cli_report_plot(
        p, &(cli_report_figure){
               .title = title, .x_label = "epoch", .y_label = "loss, nats", .series = series, .n_series = n});
}

static int curves(cli_report *p, const eval *v, vl_err *e)
{
    int most = 1;
    double *epochs;

    for (size_t i = 0; i < v->n_tasks; i++)
        most = v->out[i].epochs > most ? v->out[i].epochs : most;
    epochs = vl_alloc((size_t)most, sizeof *epochs, e);
    if (!epochs)
        return VL_ENOMEM;
    for (int i = 0; i < most; i++)
        epochs[i] = i + 1;
    cli_report_heading(p, "Training");
    for (size_t i = 0; i < v->n_rows; i++)
        if (v->row[i].kind != EVAL_CHANCE) {
            if (!v->row[i].out->shared)
                validation_figure(p, &v->row[i]);
            loss_figure(p, &v->row[i], epochs);
        }
    free(epochs);
    return VL_OK;
}

/* ---- pictures ------------------------------------------------------------------------------------- */

static int cell_make(const eval_set *s, size_t i, uint8_t *rgb, cli_report_cell *c, vl_err *e)
{
    const vld_distilled *d = &s->set;
    size_t size = vld_distilled_images(d)->size, pixels = size * size * 3;
    uint8_t *before = NULL, *after = NULL;
    int rc;

    c->caption = d->nearest ? d->nearest[i] : NULL;
    vld_preview((s->pixels ? s->pixels : d->set.image) + i * pixels, size, rgb);
    rc = vl_png_encode(rgb, (uint32_t)size, (uint32_t)size, &after, &c->after.n, e);
    if (!rc && d->init_pixels)
        rc = vl_png_encode(d->init_pixels + i * pixels, (uint32_t)size, (uint32_t)size, &before, &c->before.n,
                           e);
    c->after.png = after;
    c->before.png = before;
    return rc;
}

static int pictures(cli_report *p, const eval_set *s, vl_err *e)
{
    size_t n = s->set.set.n < SHEET_MAX ? s->set.set.n : SHEET_MAX;
    cli_report_cell *cell = vl_alloc(n, sizeof *cell, e);
    size_t size = vld_distilled_images(&s->set)->size;
    uint8_t *rgb = vl_alloc(size * size, 3, e);
    int rc = cell && rgb ? VL_OK : VL_ENOMEM;

    for (size_t i = 0; !rc && i < n; i++)
        rc = cell_make(s, i, rgb, &cell[i], e);
    if (!rc) {
        cli_report_heading(p, "Distilled pairs");
        cli_report_text(p,
                        "%s: the real image a pair started from, the distilled one, and the real caption "
                        "nearest to its text.%s",
                        s->label, n < s->set.set.n ? " The first 200 pairs." : "");
        cli_report_sheet(p, cell, n);
    }
    for (size_t i = 0; cell && i < n; i++) {
        free((void *)cell[i].before.png);
        free((void *)cell[i].after.png);
    }
    free(rgb);
    free(cell);
    return rc;
}

/* ---- the page ------------------------------------------------------------------------------------- */

static int fill(cli_report *p, const eval *v, vl_err *e)
{
    cli_report_row *rows = vl_alloc(v->n_rows, sizeof *rows, e);
    char(*note)[128] = vl_alloc(v->n_rows, sizeof *note, e);
    char(*text)[48] = vl_alloc(v->n_rows * COST_COLUMNS, sizeof *text, e);
    const char **cell = vl_alloc(v->n_rows * COST_COLUMNS, sizeof *cell, e);
    int rc = rows && note && text && cell ? VL_OK : VL_ENOMEM;

    if (!rc) {
        cli_report_meta(p, "pairs of a set", "%zu", v->n);
        cli_report_meta(p, "student", "%s, %zu %s, %zu parameters", v->model.spec,
                        v->heads ? v->model.image_n : v->model.size, v->heads ? "features" : "pixels",
                        v->model.n);
        cli_report_meta(p, "training", "%zu pairs", v->train.d.n);
        cli_report_meta(p, "validation", "%zu pairs", v->val.d.n);
        cli_report_meta(p, "test", "%zu pairs", v->test.d.n);
        if (v->recipe_json)
            cli_report_meta(p, "recipe", "%s", v->recipe);
        results(p, v, rows, note);
        cost(p, v, text, cell);
        rc = gains(p, v, e);
    }
    if (!rc)
        rc = curves(p, v, e);
    if (!rc && v->first < v->n_sets && vld_distilled_images(&v->set[v->first].set)->kind != VLM_HEADS)
        rc = pictures(p, &v->set[v->first], e);
    if (!rc) {
        cli_report_heading(p, "Protocol and provenance");
        for (size_t i = 0; i < v->notes.n; i++)
            cli_report_text(p, "%s", v->notes.line[i]);
    }
    free(cell);
    free(text);
    free(note);
    free(rows);
    return rc;
}

int eval_page(const eval *v, char **text, size_t *n, vl_err *e)
{
    cli_report *p = cli_report_new("vleval: students trained from scratch");
    const char *html;
    int rc = fill(p, v, e);

    if (!rc)
        rc = cli_report_html(p, &html, n, e);
    if (!rc && (*text = vl_alloc(*n, 1, e)))
        memcpy(*text, html, *n);
    else if (!rc)
        rc = VL_ENOMEM;
    cli_report_free(p);
    return rc;
}
