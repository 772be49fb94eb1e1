/* SPDX-License-Identifier: MIT
 * eval_print.c -- the table as text: notes behind '#', a line of names, a row a line, conclusions behind
 * '#'. Columns are parted by tabs; '-' stands for what a row does not have. */
#include "cli/eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void lines(FILE *f, const eval_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        fprintf(f, "# %s\n", l->line[i]);
}

static void number(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, "\t%.2f", fabs(x) < 0.005 ? 0 : x); /* no -0.00 */
    else
        fputs("\t-", f);
}

/* The rates of each set, once where they are all the same. */
static void rates(FILE *f, const eval_row *r, int branch)
{
    const vld_outcome *o = r->out;
    double first = o->student[0].rate[branch], last = first;

    fprintf(f, "\t%.4g", first);
    for (size_t i = 1; i < o->n_students; i++) {
        double x = o->student[i].rate[branch];
        if (o->student[i].number == 0 && (x != last || last != first))
            fprintf(f, ",%.4g", x);
        last = x;
    }
}

/* With --legacy-best each student has its own. */
static void epochs(FILE *f, const eval_row *r)
{
    const vld_outcome *o = r->out;
    int least = o->epochs, most = 0;

    for (size_t i = 0; i < o->n_students; i++) {
        least = o->student[i].epoch < least ? o->student[i].epoch : least;
        most = o->student[i].epoch > most ? o->student[i].epoch : most;
    }
    if (least < most)
        fprintf(f, "\t%d-%d", least, most);
    else
        fprintf(f, "\t%d", most);
}

static void settings(FILE *f, const eval_row *r)
{
    if (r->kind == EVAL_CHANCE) {
        fputs("\t-\t-\t-\t-\t-\t-", f);
        return;
    }
    fprintf(f, "\t%zu\t%zu\t%d", r->n, r->n_draws, r->task.students);
    for (int b = 0; b < VLM_BRANCHES; b++)
        rates(f, r, b);
    epochs(f, r);
}

static void row(FILE *f, const eval_row *r)
{
    const vld_row_stats *s = &r->stats;

    fputs(r->name, f);
    settings(f, r);
    for (int k = 0; k < VLD_N_K; k++)
        number(f, s->ir[k]);
    for (int k = 0; k < VLD_N_K; k++)
        number(f, s->tr[k]);
    number(f, s->mean.mean);
    number(f, s->mean.sd);
    number(f, s->mean.low);
    number(f, s->mean.high);
    number(f, s->valid);
    if (r->bytes)
        fprintf(f, "\t%" PRIu64, r->bytes);
    else
        fputs("\t-", f);
    if (r->kind == EVAL_CHANCE) {
        fputs("\t-\t-\t-\t-\t-\t-\t-\t-\n", f);
        return;
    }
    fprintf(f, "\t%.1f\t%.1f", s->seconds, s->flops / s->seconds * 1e-9);
    number(f, r->gain.ior.value);
    number(f, r->gain.of_full);
    number(f, s->query_low);
    number(f, s->query_high);
    number(f, r->gain.lrs);
    number(f, r->gain.ars);
    putc('\n', f);
}

int eval_table(const eval *v, char **text, size_t *n, vl_err *e)
{
    FILE *f = open_memstream(text, n);

    if (!f)
        return vl_fail(e, VL_ENOMEM, "out of memory: table");
    lines(f, &v->notes);
    fputs("set\tpairs\tsets\tstudents\trate_image\trate_text\tepochs", f);
    for (int k = 0; k < 2 * VLD_N_K; k++)
        fprintf(f, "\t%s@%d", k < VLD_N_K ? "IR" : "TR", vld_recall_k[k % VLD_N_K]);
    fputs("\tmean\tsd\tlow95\thigh95\tvalidation\tbytes\tseconds\tGFLOP/"
          "s\tIOR\tof_full\tqlow95\tqhigh95\tLRS\tARS\n",
          f);
    for (size_t i = 0; i < v->n_rows; i++)
        row(f, &v->row[i]);
    lines(f, &v->verdict);
    if (ferror(f) | fclose(f) || v->notes.failed || v->verdict.failed) {
        free(*text);
        *text = NULL;
        return vl_fail(e, VL_ENOMEM, "out of memory: table");
    }
    return VL_OK;
}
