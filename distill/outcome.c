/* SPDX-License-Identifier: MIT
 * outcome.c -- a row of the table out of what its students did. */
#include "distill/protocol.h"

#include <math.h>

static vld_gauges mean_gauges(const vld_outcome *o)
{
    vld_gauges m = {0, 0, 0};
    size_t n = 0;

    for (size_t i = 0; i < o->n_students; i++) {
        const vld_gauges *g = &o->student[i].gauges;
        if (o->student[i].diverged)
            continue;
        m.image_cosine += g->image_cosine;
        m.text_cosine += g->text_cosine;
        m.gap += g->gap;
        n++;
    }
    m.image_cosine = n ? m.image_cosine / (double)n : NAN;
    m.text_cosine = n ? m.text_cosine / (double)n : NAN;
    m.gap = n ? m.gap / (double)n : NAN;
    return m;
}

vld_row_stats vld_outcome_stats(const vld_outcome *o)
{
    vld_row_stats s = {.mean = vld_summarise(o->test_mean, o->n_students),
                       .query_low = o->query_low,
                       .query_high = o->query_high};
    double n = (double)o->n_students;

    for (size_t i = 0; i < o->n_points; i++) {
        s.points_diverged += o->point[i].diverged;
        s.seconds += o->shared ? 0 : o->point[i].seconds;
        s.flops += o->shared ? 0 : o->point[i].flops;
    }
    for (size_t i = 0; i < o->n_students; i++) {
        const vld_student *k = &o->student[i];
        s.diverged += k->diverged;
        s.valid += k->valid.mean / n;
        s.seconds += k->seconds;
        s.flops += k->flops;
        for (int r = 0; r < VLD_N_K; r++) {
            s.ir[r] += k->test.ir[r] / n;
            s.tr[r] += k->test.tr[r] / n;
        }
    }
    s.gauges = mean_gauges(o);
    return s;
}
