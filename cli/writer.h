/* SPDX-License-Identifier: MIT
 * writer.h -- the shard that a tool writes, as the common options say. */
#ifndef CLI_WRITER_H
#define CLI_WRITER_H

#include "cli/opt.h"
#include "formats/shard.h"

/* cli_sign_key -- the key of --sign, for vls_write_opts and vl_shards_opts; *out NULL without the option. It stays
 * until the program ends. Call it before the output is opened. Errors: VL_EIO, VL_EFORMAT. */
VL_MUST_USE int cli_sign_key(const cli_common *c, const vl_sign_key **out, vl_err *e);

/* cli_writer_open -- vls_writer_open for --output, signing with --sign. */
VL_MUST_USE int cli_writer_open(const cli_common *c, vls_writer **out, vl_err *e);

#endif
