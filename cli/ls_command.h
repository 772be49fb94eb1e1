/* SPDX-License-Identifier: MIT
 * ls_command.h -- the command line that a manifest tells of, with content ids for its inputs. */
#ifndef CLI_LS_COMMAND_H
#define CLI_LS_COMMAND_H

#include "cli/ls.h"

/* ls_command -- the last thing that was done: the last step of "select" and "cat", else the tool itself. Gives
 * an array of words, empty where the manifest names no tool; NULL when there is no memory. */
json_t *ls_command(const json_t *manifest, const json_t *parents);

/* ls_command_text -- the words as one line for a shell; gives it (free()), NULL when there is no memory. */
char *ls_command_text(const json_t *words);

#endif
