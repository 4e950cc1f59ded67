/** The labels of the matrix, and its cells as elements for screen readers. */
import { contains, type MatrixView } from "./view.ts";
import type { Cells } from "./cells.ts";
import type { Area, Layout } from "./geometry.ts";
import { nameCell, withAxis } from "./names.ts";
import type { Selection } from "./selection.ts";

interface LabelProps {
  view: MatrixView;
  layout: Layout;
  size: number;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

export function ColumnLabels({ view, layout, size }: LabelProps) {
  const { columnFrom, columnTo } = view.area.value;
  return (
    <>
      {range(columnFrom, columnTo).map((column) => {
        const label = layout.columnLabel(column);
        return (
          <div key={column} class="matrix-column" style={{ left: `${column * size}px` }} title={label}>
            <bdi>{label}</bdi>
          </div>
        );
      })}
    </>
  );
}

export function RowLabels({ view, layout, size }: LabelProps) {
  const { rowFrom, rowTo } = view.area.value;
  return (
    <>
      {range(rowFrom, rowTo).map((row) => {
        const label = layout.rowLabel(row);
        return (
          <div key={row} class="matrix-row" style={{ top: `${row * size}px` }} title={label}>
            <bdi>{label}</bdi>
          </div>
        );
      })}
    </>
  );
}

export const cellNodeId = (cell: number): string => `cell-${cell}`;

/** Maximum number of cells that are elements. With more, only the rows around the active one are. */
const nodesMax = 1_000;

/** Returns the part of the visible area whose cells are elements. */
function nodeArea(area: Area, activeRow: number | undefined): Area {
  const columns = area.columnTo - area.columnFrom;
  const rowsMax = Math.max(1, Math.floor(nodesMax / Math.max(1, columns)));
  if (area.rowTo - area.rowFrom <= rowsMax) return area;
  const row = Math.min(Math.max(activeRow ?? area.rowFrom, area.rowFrom), area.rowTo - 1);
  const rowFrom = Math.max(area.rowFrom, Math.min(row - Math.floor(rowsMax / 2), area.rowTo - rowsMax));
  return { ...area, rowFrom, rowTo: rowFrom + rowsMax };
}

interface CellNodesProps extends LabelProps {
  cells: Cells;
  selection: Selection;
  names: { x: string; y: string };
}

/** The visible cells with their names. They are transparent: the canvas under them shows what they look like. */
export function CellNodes({ view, layout, size, cells, selection, names }: CellNodesProps) {
  // Reads the names of the cells again after each change, once the view rests.
  void view.changes.value;
  const active = selection.active.value;
  const area = nodeArea(view.rested.value, active?.row);
  const selected = selection.cells.value;
  const rows = range(area.rowFrom, Math.min(area.rowTo, layout.rows));
  const isOutside = active && !contains(area, active);
  if (isOutside) rows.push(...rows.includes(active.row) ? [] : [active.row]);
  const columns = range(area.columnFrom, Math.min(area.columnTo, layout.columns));
  return (
    <>
      {rows.map((row) => (
        <div key={row} role="row" aria-rowindex={row + 1} class="matrix-node-row">
          {(isOutside && row === active.row && !columns.includes(active.column)
            ? [...columns, active.column]
            : columns)
            .map((column) => {
              const cell = layout.cellAt(row, column);
              const isSelected = selected.has(cell);
              return (
                <div
                  key={column}
                  id={cell < 0 ? undefined : cellNodeId(cell)}
                  role="gridcell"
                  class="matrix-node"
                  aria-colindex={column + 1}
                  aria-selected={isSelected}
                  aria-label={nameCell({
                    row: withAxis(names.y, layout.rowLabel(row)),
                    column: withAxis(names.x, layout.columnLabel(column)),
                    state: cell < 0 ? undefined : view.lookOf(cell),
                    tenths: cell < 0 ? 0 : cells.ratingOf(cell),
                    isSelected,
                  })}
                  style={{ left: `${column * size}px`, top: `${row * size}px` }}
                />
              );
            })}
        </div>
      ))}
    </>
  );
}
