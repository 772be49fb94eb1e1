/* SPDX-License-Identifier: MIT */
#include "cli/runlog.h"

#include "cli/json_text.h"
#include "cli/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli_runlog {
    int fd;
    char *path;
    json_t *line; /* the object being built; NULL between lines and after a failure */
    double t0;
    vl_err first; /* code VL_OK while all is well */
};

int cli_runlog_open(const char *path, bool append, cli_runlog **out, vl_err *e)
{
    cli_runlog *log = NULL;
    int rc = VL_ENOMEM;

    *out = NULL;
    if (!path)
        return VL_OK;
    log = vl_alloc(1, sizeof *log, e);
    if (!log)
        goto out;
    log->fd = -1;
    log->t0 = cli_now();
    log->path = vl_strdup(path, e);
    if (!log->path)
        goto out;
    log->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (append ? 0 : O_TRUNC), 0666);
    if (log->fd < 0) {
        rc = vl_fail_errno(e, "%s", path);
        goto out;
    }
    *out = log;
    return VL_OK;
out:
    if (log)
        free(log->path);
    free(log);
    return rc;
}

static void failed(cli_runlog *log)
{
    if (!log->first.code)
        vl_fail(&log->first, VL_ENOMEM, "%s: out of memory", log->path);
}

static void set(cli_runlog *log, const char *name, json_t *v)
{
    if (json_object_set_new(log->line, name, v))
        failed(log);
}

void cli_runlog_begin(cli_runlog *log, const char *event)
{
    if (!log || log->first.code)
        return;
    json_decref(log->line);
    log->line = json_object();
    if (!log->line) {
        failed(log);
        return;
    }
    cli_runlog_text(log, "event", event);
    cli_runlog_real(log, "seconds", round(1e3 * (cli_now() - log->t0)) / 1e3);
}

void cli_runlog_int(cli_runlog *log, const char *name, int64_t v)
{
    if (log && log->line)
        set(log, name, json_integer(v));
}

void cli_runlog_real(cli_runlog *log, const char *name, double v)
{
    if (log && log->line)
        set(log, name, isfinite(v) ? json_real(v) : json_null());
}

void cli_runlog_text(cli_runlog *log, const char *name, const char *v)
{
    if (log && log->line)
        set(log, name, v ? cli_json_text(v) : json_null());
}

/* A short write is continued: what is left may still fit, or its failure names the cause. */
static void put(cli_runlog *log, const char *s, size_t n)
{
    while (n) {
        ssize_t k = write(log->fd, s, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            vl_fail_errno(&log->first, "%s", log->path);
            return;
        }
        s += k;
        n -= (size_t)k;
    }
}

void cli_runlog_end(cli_runlog *log)
{
    char *text = NULL;
    size_t n;

    if (!log || !log->line)
        return;
    if (!log->first.code)
        text = json_dumps(log->line, JSON_REAL_PRECISION(9));
    if (!text) {
        failed(log);
    } else {
        n = strlen(text);
        text[n] = '\n'; /* over the final zero: the line needs no other terminator */
        put(log, text, n + 1);
    }
    free(text);
    json_decref(log->line);
    log->line = NULL;
}

int cli_runlog_close(cli_runlog *log, vl_err *e)
{
    int rc;

    if (!log)
        return VL_OK;
    json_decref(log->line);
    if (close(log->fd) && !log->first.code)
        vl_fail_errno(&log->first, "%s", log->path);
    rc = log->first.code ? vl_fail(e, log->first.code, "%s", log->first.text) : VL_OK;
    free(log->path);
    free(log);
    return rc;
}
