/* plot.h — a matrix drawn in the terminal.
 *
 * What        Lines of Braille dots (or of ASCII) in a frame with both scales, and below it which
 *             line is which.
 * Invariants  no line is wider than asked, but for the legend
 * Ownership   borrows the answer
 * Threads     one
 * Errors      nothing to draw: a line says so
 * Format      UTF-8 or ASCII; colours as ANSI sequences
 */
#ifndef EPI_CMD_EPITOOL_PLOT_H
#define EPI_CMD_EPITOOL_PLOT_H

#include "base/buf.h"

#include <jansson.h>

/* matrix: the "result" of a range query; width and height in characters */
struct plot_opts { unsigned width, height; bool colour, ascii; };
void plot_matrix(struct buf *b, const json_t *matrix, const struct plot_opts *o);

#endif
