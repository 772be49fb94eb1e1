/* SPDX-License-Identifier: MIT
 * json_text.h -- text of strangers (file names, member names, messages about them) as a JSON string. */
#ifndef CLI_JSON_TEXT_H
#define CLI_JSON_TEXT_H

#include <jansson.h>

/* cli_json_text -- s as a JSON string. JSON holds UTF-8 only: each byte of s that is no part of valid UTF-8 becomes
 * the four characters \xNN (two lower-case hex digits); all else stays as it is, a backslash, too, so the text is
 * for people where a name held both. NULL for s NULL and when memory is out. */
json_t *cli_json_text(const char *s);

#endif
