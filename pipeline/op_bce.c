/* SPDX-License-Identifier: MIT
 * op_bce -- binary cross-entropy of logits z [A,B] against a similarity s [A,B]; nats.
 *   fwd        l   =  (1/AB) sum_ij (softplus(z_ij) - s_ij z_ij)
 * The other sweeps: bce.h with eps = 0 and c = 1/AB.
 * Saved: nothing. Derivation: spec/math/bce.md. Source: "BCE" of Xu et al. 2024 (LoRS). */
#include "pipeline/bce.h"

static vlt_bce_sum terms(vlt_tape *t, const vlt_node *y)
{
    vlt_bce_sum b = {.z = vlt_in(t, y, 0), .s = vlt_in(t, y, 1)};

    b.c[0] = b.c[1] = 1 / (double)b.z->n;
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

const vlt_op vlt_op_bce = {"bce", 2, vlt_loss_shape, fwd, bwd, fwd_tan, bwd_tan};
