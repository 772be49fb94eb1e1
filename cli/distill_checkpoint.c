/* SPDX-License-Identifier: MIT
 * distill_checkpoint.c -- vldistill's state beside its output, FILE.checkpoint: written now and then, read by
 * --resume, gone when the set is written. */
#include "cli/distill.h"
#include "cli/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static vld_run run_of(const distiller *p)
{
    return (vld_run){p->d.manifest, p->parents, p->n_parents, p->d.input_loss};
}

static void list_state(distiller *p, vld_state *s)
{
    vld_set *set = &p->d.set;

    memset(s, 0, sizeof *s);
    for (vld_set_part part = 0; part < VLD_SET_PARTS; part++)
        vld_state_reals(s, "set", vld_set_part_name[part], vld_set_part_of(set, part),
                        set->n * vld_set_width(vld_distilled_images(&p->d), &p->objective, set->n, part));
    vld_state_doubles(s, "set", "rates", set->rate, VLM_BRANCHES);
    vld_state_doubles(s, "sum", "match", p->match, VLM_BRANCHES);
    vld_state_doubles(s, "sum", "loss", &p->loss, 1);
    vld_state_count(s, "iterations", &p->done);
    vld_state_count(s, "summed", &p->n_match);
    vld_state_count(s, "diverged", &p->diverged);
    if (p->single)
        vld_single_state(p->single, s);
    else
        vld_outer_state(p->outer, s);
}

static int write_state(distiller *p, vl_err *e)
{
    const vld_run run = run_of(p);
    vld_state s;

    list_state(p, &s);
    p->saved = cli_now();
    return vld_checkpoint_write(p->checkpoint, &run, &s, e);
}

int distill_checkpoint_open(distiller *p, vl_err *e)
{
    const distill_options *o = p->o;
    const vld_run run = run_of(p);
    size_t room;
    vld_state s;
    int rc;

    if (!o->common.output || !strcmp(o->common.output, "-"))
        return VL_OK;
    room = strlen(o->common.output) + sizeof ".checkpoint";
    if (!(p->checkpoint = vl_alloc(room, 1, e)))
        return VL_ENOMEM;
    snprintf(p->checkpoint, room, "%s.checkpoint", o->common.output);
    p->saved = cli_now();
    if (!o->resume)
        return VL_OK;
    if (access(p->checkpoint, F_OK)) {
        cli_info("nothing to resume: begins");
        return VL_OK;
    }
    list_state(p, &s);
    rc = vld_checkpoint_read(p->checkpoint, &run, &s, e);
    if (!rc && p->done > (int)p->iterations)
        return vl_fail(e, VL_EFORMAT, "%s: %d iterations are done, %d are asked for", p->checkpoint, p->done,
                       (int)p->iterations);
    if (!rc)
        cli_info("%s: goes on behind iteration %d", p->checkpoint, p->done);
    return rc;
}

int distill_checkpoint_tick(distiller *p, vl_err *e)
{
    p->done++;
    if (!p->checkpoint || !(p->o->checkpoint > 0) || cli_now() - p->saved < p->o->checkpoint)
        return VL_OK;
    return write_state(p, e);
}

void distill_checkpoint_close(distiller *p, int rc)
{
    vl_err e;

    if (p->checkpoint && !rc)
        unlink(p->checkpoint);
    else if (p->checkpoint && rc == VL_EMATH && p->done > p->diverged && !write_state(p, &e))
        cli_info("%s holds the set as it was behind iteration %d", p->checkpoint, p->done);
    free(p->checkpoint);
}
