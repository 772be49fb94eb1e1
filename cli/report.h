/* SPDX-License-Identifier: MIT
 * report.h -- one self-contained HTML page: tables, line plots as inline SVG, contact sheets.
 *
 *   cli_report *r = cli_report_new("Distilled set of 100 pairs");
 *   cli_report_meta(r, "student", "%s, %d epochs", student, epochs);
 *   cli_report_heading(r, "Results");
 *   cli_report_table(r, "Test recall, percent", rows, n_rows);
 *   cli_report_plot(r, &(cli_report_figure){.title = "Training loss", ...});
 *   cli_report_sheet(r, cells, n_cells);
 *   rc = cli_report_write(r, "report.html", &e);
 *   cli_report_free(r);
 *
 * Text: any bytes; everything is escaped, control bytes become spaces and what is not UTF-8 U+FFFD.
 * Bytes: the same calls give the same page; it holds no time, path or machine name of its own.
 *        No script, no font, no address outside the page; readable in light and dark.
 * Errors: adding never fails visibly; running out of memory is kept and reported by
 *         cli_report_html and cli_report_write.
 * Ownership: everything passed in is copied or used up before the call returns.
 * Threads: one thread a report. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "formats/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cli_report cli_report;

/* cli_report_new -- an empty page. NULL is possible (out of memory) and harmless to pass on: it is
 * reported by cli_report_write. */
cli_report *cli_report_new(const char *title);
void cli_report_free(cli_report *r); /* NULL is harmless */

/* cli_report_meta -- one row "name: value" of the table under the title. Meta rows come first. */
void cli_report_meta(cli_report *r, const char *name, const char *fmt, ...) VL_PRINTF(3, 4);

void cli_report_heading(cli_report *r, const char *text);
void cli_report_text(cli_report *r, const char *fmt, ...) VL_PRINTF(2, 3); /* a paragraph */

/* One row of the results. Numbers are percent, 0..100; one that is not finite is a dash. */
typedef struct cli_report_row {
    const char *name;             /* "distilled-100" */
    const char *note;             /* "2 sets x 3 students, rate 0.03"; NULL: none */
    double mean;                  /* mean recall: of the six numbers below */
    double sd;                    /* over runs */
    double low, high;             /* 95 % interval of the mean */
    double ir[3];                 /* image recall @1, 5, 10: caption in, image out */
    double tr[3];                 /* text recall @1, 5, 10: image in, caption out */
    bool strong;                  /* the row that the page is about */
    double query_low, query_high; /* 95 % interval over test queries; both 0: none */
} cli_report_row;

/* cli_report_table -- rows in the order given; in each column the bars go from 0
 * to the column's greatest value. */
void cli_report_table(cli_report *r, const char *caption, const cli_report_row *rows, size_t n);

/* cli_report_grid -- any small table. head: columns strings; cells: rows * columns strings, row by
 * row; a NULL cell is a dash. Columns whose cells all look like numbers are set flush right. */
void cli_report_grid(cli_report *r, const char *caption, const char *const *head, size_t columns,
                     const char *const *cells, size_t rows);

enum {
    CLI_REPORT_SERIES_MAX = 8
}; /* more are not told apart by colour: further ones are left out,
      and the figure says how many */

typedef struct cli_report_series {
    const char *name;
    const double *x, *y; /* [n]; x ascending; points that are not finite interrupt the line */
    size_t n;
} cli_report_series;

typedef struct cli_report_figure {
    const char *title, *x_label, *y_label; /* with units: "epoch", "loss, nats" */
    const cli_report_series *series;
    size_t n_series;
    bool log_y; /* values <= 0 are left out */
} cli_report_figure;

/* cli_report_plot -- lines, axes with ticks, a legend. Long series are thinned to the least and the
 * greatest value of each of 300 stretches of x, so spikes stay visible. */
void cli_report_plot(cli_report *r, const cli_report_figure *f);

typedef struct cli_report_image {
    const uint8_t *png; /* NULL: none */
    size_t n;           /* bytes */
} cli_report_image;

typedef struct cli_report_cell {
    cli_report_image before, after; /* one of them may be missing */
    const char *caption;            /* NULL: none */
} cli_report_cell;

/* cli_report_sheet -- a grid of pairs of pictures with captions below. */
void cli_report_sheet(cli_report *r, const cli_report_cell *cells, size_t n);

/* cli_report_html -- the whole page, borrowed until the next call on r, zero-terminated. */
VL_MUST_USE int cli_report_html(cli_report *r, const char **html, size_t *n, vl_err *e);

/* cli_report_write -- the page to a file, complete or absent (formats/outfile.h). */
VL_MUST_USE int cli_report_write(cli_report *r, const char *path, vl_err *e);

#endif
