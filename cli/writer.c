/* SPDX-License-Identifier: MIT */
#include "cli/writer.h"

static vl_sign_key *key;

int cli_sign_key(const cli_common *c, const vl_sign_key **out, vl_err *e)
{
    int rc = c->sign && !key ? vl_sign_key_private(c->sign, &key, e) : VL_OK;

    *out = key;
    return rc;
}

int cli_writer_open(const cli_common *c, vls_writer **out, vl_err *e)
{
    vls_write_opts how = {0};
    int rc = cli_sign_key(c, &how.sign, e);

    return rc ? rc : vls_writer_open_opts(c->output, &how, out, e);
}
