/* SPDX-License-Identifier: MIT
 * golden_symmetry.h -- <u, Hv> = <v, Hu> on the whole graph of a network, whose inputs are filled in. Bound as in
 * golden_read.h. */
#ifndef VL_TESTS_GOLDEN_SYMMETRY_H
#define VL_TESTS_GOLDEN_SYMMETRY_H

#include "pipeline/model.h"
#include "pipeline/rng.h"
#include "tests/golden_read.h"

static inline void golden_symmetry(vlm_graph *graph, vl_real *theta)
{
    size_t n = graph->model->n;
    vl_real *room = calloc(n, 5 * sizeof *room), *u = room, *hu = u + n, *v = hu + n, *hv = v + n;
    double uhv = 0, vhu = 0, size = 0;

    assert_non_null(room);
    vl_rng_normal(1, 1, n, 1, u);
    vl_rng_normal(1, 2, n, 1, v);
    vlm_bind(graph, theta, hv + n, v, hv);
    vlt_draw(graph->tape, SEED, ITER, 0);
    vlt_forward(graph->tape);
    vlt_backward(graph->tape, graph->loss);
    vlt_tangent(graph->tape, graph->loss);
    vlm_bind(graph, NULL, NULL, u, hu);
    vlt_tangent(graph->tape, graph->loss);
    for (size_t k = 0; k < n; k++) {
        uhv += (double)u[k] * (double)hv[k];
        vhu += (double)v[k] * (double)hu[k];
        size += fabs((double)u[k] * (double)hv[k]);
    }
    if (!(size > 0 && fabs(uhv - vhu) <= GOLDEN_BOUND * size))
        fail_msg("%s: <u, Hv> = %.17g, <v, Hu> = %.17g", graph->model->spec, uhv, vhu);
    free(room);
}

#endif
