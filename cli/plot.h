/* plot.h - curves of a run as one SVG file: panels one below the other over the same x axis.
 *
 * Nothing but shapes and text: no script, no network, no fonts of its own; light and dark follow
 * the reader's setting. Numbers that are not finite are left out.
 */
#ifndef SEMSEARCH_CLI_PLOT_H
#define SEMSEARCH_CLI_PLOT_H

#include "src/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct plot_series {
    const char *name; /* in the panel's legend */
    const double *x, *y;
    size_t n;
    bool dots;   /* a mark at each point (an evaluation), else a line only */
    bool smooth; /* drawn pale, with its running mean over it */
};

struct plot_panel {
    const char *title; /* "loss", "spearman" */
    const struct plot_series *series;
    size_t n;
};

/* Draws the panels that have a point; the file appears whole or not at all. x_label: "step". With
 * no point at all it fails. */
int plot_write(const char *path, const char *title, const char *x_label,
               const struct plot_panel *panel, size_t n_panels, struct err *err) WARN_UNUSED;

#endif
