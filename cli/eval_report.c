/* SPDX-License-Identifier: MIT
 * eval_report.c -- the page: conclusions, the table with bars, settings and cost, curves of each row, the
 * pictures of the first distilled set before and after, protocol and content ids. */
#include "cli/eval.h"
#include "cli/report.h"
#include "pipeline/image.h"

#include <inttypes.h>
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
                                   .strong = r->kind == EVAL_DISTILLED};
        memcpy(rows[i].ir, s->ir, sizeof rows[i].ir);
        memcpy(rows[i].tr, s->tr, sizeof rows[i].tr);
        if (r->kind == EVAL_CHANCE)
            snprintf(note[i], sizeof note[i], "what random scores give in expectation");
        else
            snprintf(note[i], sizeof note[i], "%zu set%s x %d student%s, %d epochs", r->n_draws,
                     r->n_draws == 1 ? "" : "s", r->task.students, r->task.students == 1 ? "" : "s",
                     r->out->epochs);
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
                 r->kind == EVAL_DISTILLED || r->kind == EVAL_INITIAL_RATES ? "times learned" : "grid");
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

/* ---- curves --------------------------------------------------------------------------------------- */

static void validation_figure(cli_report *p, const eval_row *r)
{
    const vld_outcome *o = r->out;
    cli_report_series series[VLD_MAX_GRID];
    char name[VLD_MAX_GRID][48], title[192];
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
    char name[CLI_REPORT_SERIES_MAX][48], title[192];

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
            validation_figure(p, &v->row[i]);
            loss_figure(p, &v->row[i], epochs);
        }
    free(epochs);
    return VL_OK;
}

/* ---- pictures ------------------------------------------------------------------------------------- */

static int cell_make(const vld_distilled *d, size_t i, uint8_t *rgb, cli_report_cell *c, vl_err *e)
{
    size_t size = d->model.size, pixels = size * size * 3;
    uint8_t *before = NULL, *after = NULL;
    int rc;

    c->caption = d->nearest ? d->nearest[i] : NULL;
    vld_preview(d->set.image + i * pixels, size, rgb);
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
    uint8_t *rgb = vl_alloc(s->set.model.size * s->set.model.size, 3, e);
    int rc = cell && rgb ? VL_OK : VL_ENOMEM;

    for (size_t i = 0; !rc && i < n; i++)
        rc = cell_make(&s->set, i, rgb, &cell[i], e);
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
        results(p, v, rows, note);
        cost(p, v, text, cell);
        rc = curves(p, v, e);
    }
    if (!rc && v->first < v->n_sets && !v->heads)
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
