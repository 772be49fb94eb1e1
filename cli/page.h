/* SPDX-License-Identifier: MIT
 * page.h -- the growing text under a report: raw, escaped, base64. Inside of cli/report. */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include "formats/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cli_page {
    char *text; /* zero-terminated once anything was added */
    size_t n, room;
    bool failed; /* out of memory: everything later is ignored */
} cli_page;

void cli_page_bytes(cli_page *p, const char *s, size_t n);
void cli_page_raw(cli_page *p, const char *s); /* markup of ours */
/* markup and numbers of ours */
void cli_page_fmt(cli_page *p, const char *fmt, ...) VL_PRINTF(2, 3);
void cli_page_text(cli_page *p, const char *s); /* text of strangers, escaped; NULL: nothing */
void cli_page_base64(cli_page *p, const uint8_t *b, size_t n);

/* cli_page_svg -- one figure (plot.c). */
struct cli_report_figure;
void cli_page_svg(cli_page *p, const struct cli_report_figure *f);

#endif
