/** Texts of the matrix of a run. */
import { counted, formatFixed, formatNumber } from "../format.ts";

export const text = {
  title: "Keys of the matrix",
  label: (cells: number, rows: number, columns: number) =>
    `Matrix of ${counted(cells, "cell", "cells")}: ${counted(rows, "row", "rows")}, ${
      counted(columns, "column", "columns")
    }`,
  cell: (row: string, column: string, rest: string) =>
    [row === "" ? "" : `row ${row}`, column === "" ? "" : `column ${column}`, rest].filter(Boolean).join(
      ", ",
    ),
  rated: (mean: number) => `rated ${formatFixed(mean, Number.isInteger(mean) ? 0 : 1)}`,
  selected: "selected",
  none: "no cell",
  minimap: "Overview of all cells. Click or drag to go there.",
  move: "Move to another cell",
  open: "Open the details",
  select: "Select or deselect the cell",
  selectRow: "Select the row (Shift + Space)",
  selectRange: "Extend the selection (Shift + arrow)",
  selectAll: "Select all that is shown",
  clear: "Clear the selection",
  zoomIn: "Larger",
  zoomOut: "Smaller",
  swap: "Swap rows and columns",
  empty: "(empty)",
  number: (index: number) => `#${formatNumber(index)}`,
};
