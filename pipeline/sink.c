/* SPDX-License-Identifier: MIT
 * sink.c -- what every sink keeps of the open segment. */
#include "pipeline/sink.h"

void vl_sink_clear(vl_sink *s)
{
    json_decref(s->manifest);
    json_decref(s->parents);
    json_decref(s->notes);
    s->manifest = s->parents = s->notes = NULL;
}

int vl_sink_begin(vl_sink *s, const json_t *manifest, vl_err *e)
{
    vl_sink_clear(s);
    s->manifest = json_deep_copy(manifest);
    return s->manifest ? s->begin(s, e) : vl_fail(e, VL_ENOMEM, "out of memory: manifest");
}

void vl_sink_tail(vl_sink *s, json_t *parents, json_t *notes)
{
    json_t *old_parents = s->parents, *old_notes = s->notes; /* may be the same ones */

    s->parents = json_incref(parents);
    s->notes = json_incref(notes);
    json_decref(old_parents);
    json_decref(old_notes);
}
