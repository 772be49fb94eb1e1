/* SPDX-License-Identifier: MIT
 * op_wbce -- balanced binary cross-entropy of logits z [A,B] against a similarity s [A,B]; nats. Positives
 * (s > 1/2) and negatives weigh the same however many there are; a side without members counts zero.
 *   e          binary cross-entropy with 1e-6 inside the logarithms (bce.h)
 *   fwd        l   =  1/2 (sum over s > 1/2 of e) / (n1 + 1e-6) + 1/2 (sum over s <= 1/2 of e) / (n0 + 1e-6)
 * n1, n0: members of the two sides, constants to every derivative: l jumps where an s crosses 1/2.
 * The other sweeps: bce.h with c = 1 / 2 (n + 1e-6).
 * Saved: nothing. Derivation: spec/math/wbce.md. Source: Xu et al. 2024 (LoRS), and its two 1e-6. */
#include "pipeline/bce.h"

static vlt_bce_sum terms(vlt_tape *t, const vlt_node *y)
{
    vlt_bce_sum b = {.z = vlt_in(t, y, 0), .s = vlt_in(t, y, 1), .eps = 1e-6};
    size_t n[2] = {0, 0};

    for (size_t i = 0; i < b.s->n; i++)
        n[b.s->x[i] > VL_R(0.5)]++;
    for (int k = 0; k < 2; k++)
        b.c[k] = 0.5 / ((double)n[k] + 1e-6);
    return b;
}

static void fwd(vlt_tape *t, vlt_node *y)
{
    vlt_bce_sum b = terms(t, y);

    y->x[0] = (vl_real)vlt_bce_fwd(&b);
}

static void bwd(vlt_tape *t, vlt_node *y)
{
    vlt_bce_sum b = terms(t, y);

    vlt_bce_bwd(&b, (double)y->gx[0]);
}

static void fwd_tan(vlt_tape *t, vlt_node *y)
{
    vlt_bce_sum b = terms(t, y);

    y->xt[0] = (vl_real)vlt_bce_fwd_tan(&b);
}

static void bwd_tan(vlt_tape *t, vlt_node *y)
{
    vlt_bce_sum b = terms(t, y);

    vlt_bce_bwd_tan(&b, y->gx ? (double)y->gx[0] : 0, (double)y->gxt[0]);
}

const vlt_op vlt_op_wbce = {"wbce", 2, vlt_loss_shape, fwd, bwd, fwd_tan, bwd_tan};
