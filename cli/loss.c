/* SPDX-License-Identifier: MIT */
#include "cli/loss.h"
#include "cli/msg.h"

#include <inttypes.h>
#include <string.h>

enum { SHOWN = 20 };

int cli_loss_say(const vls_reader *r)
{
    const vls_read_counts *c = vls_reader_counts(r);
    const char *path = vls_reader_name(r), *key;
    const vls_loss *gap;
    size_t gaps;
    uint64_t n;

    if (!c->bad_frames && !c->lost_tails)
        return 0;
    cli_error("%s: %" PRIu64 " bad frames left out, at least %" PRIu64 " records lost", path, c->bad_frames,
              c->lost_records);
    if (c->lost_tails)
        cli_error("%s: %" PRIu64 " segments lack their ends: how many records they had is not known", path,
                  c->lost_tails);
    gaps = vls_reader_losses(r, &gap);
    for (size_t i = 0; i < gaps && i < SHOWN; i++)
        cli_error("%s: segment %" PRIu64 ": records may be missing after '%s', before '%s'", path,
                  gap[i].segment, gap[i].after ? gap[i].after : "", gap[i].before ? gap[i].before : "");
    key = vls_reader_lost_keys(r, &n);
    for (uint64_t i = 0; i < n && i < SHOWN; i++, key += strlen(key) + 1)
        cli_error("%s: lost: %s", path, key);
    return 1;
}

int cli_loss_note(const vls_reader *r, json_t **all, vls_writer *w, vl_err *e)
{
    json_t *note = cli_loss_say(r) ? vls_reader_loss_note(r) : NULL;

    if (!note)
        return VL_OK;
    if (!*all)
        *all = json_array();
    if (json_array_append_new(*all, note))
        return vl_fail(e, VL_ENOMEM, "out of memory: notes");
    return vls_segment_note(w, "input_loss", json_deep_copy(*all), e);
}
