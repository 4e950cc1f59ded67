/** Where cells stand: numbers of cells, indices on the axes, and the two-dimensional view of them. */

/** An axis of a run, as its page shows it. */
export interface Axis {
  /** `v0` to `v5`, or `batch` for repeats. */
  key: string;
  name: string;
  /** One text for each index. */
  labels: readonly string[];
}

/** Cells that are numbered in row-major order within a box of the matrix. */
export interface Block {
  first: number;
  from: readonly number[];
  lengths: readonly number[];
}

/** All cells of a run. Without blocks, its cells do not fill its axes and stand in the order of their numbers. */
export interface Matrix {
  axes: readonly Axis[];
  blocks: readonly Block[] | null;
  total: number;
}

/** Returns the number of the cell at the given indices, -1 if there is none. */
function cellAt(blocks: readonly Block[], indices: readonly number[]): number {
  const block = blocks.find(({ from, lengths }) =>
    indices.every((index, i) => index >= from[i]! && index < from[i]! + lengths[i]!)
  );
  if (!block) return -1;
  return block.first +
    indices.reduce((cell, index, i) => cell * block.lengths[i]! + index - block.from[i]!, 0);
}

/** Returns the index of a cell on each axis. */
export function indicesOf({ blocks }: Matrix, cell: number): number[] {
  const block = blocks?.findLast(({ first }) => first <= cell);
  if (!block) return [];
  let rest = cell - block.first;
  const indices: number[] = [];
  for (let i = block.lengths.length - 1; i >= 0; i--) {
    indices[i] = block.from[i]! + rest % block.lengths[i]!;
    rest = Math.floor(rest / block.lengths[i]!);
  }
  return indices;
}

/** Which axes a view shows. */
export interface Cut {
  /** Key of the axis of the columns. */
  x: string;
  /** Key of the axis of the rows; "" wraps the columns into rows. */
  y: string;
  /** Index on each other axis, by key; 0 if absent. */
  at: Readonly<Record<string, number>>;
}

export interface Place {
  row: number;
  column: number;
}

/** A two-dimensional view of the cells. */
export interface Layout {
  rows: number;
  columns: number;
  /** Number of the cell at a place, -1 if there is none. */
  cellAt: (row: number, column: number) => number;
  /** Place of a cell, undefined if the view does not show it. */
  placeOf: (cell: number) => Place | undefined;
  rowLabel: (row: number) => string;
  columnLabel: (column: number) => string;
}

/** Cells of one line, wrapped into rows of `columns`. */
function wrap(
  count: number,
  columns: number,
  at: (i: number) => number,
  find: (cell: number) => number,
): Layout {
  const width = Math.max(1, Math.min(columns, count));
  return {
    rows: Math.ceil(count / width),
    columns: width,
    cellAt: (row, column) => row * width + column < count ? at(row * width + column) : -1,
    placeOf(cell) {
      const i = find(cell);
      return i < 0 ? undefined : { row: Math.floor(i / width), column: i % width };
    },
    rowLabel: (row) => String(row * width + 1),
    columnLabel: () => "",
  };
}

/**
 * Returns the view of a cut.
 *
 * @param wrapColumns number of columns where one line of cells is wrapped
 */
export function createLayout(matrix: Matrix, { x, y, at }: Cut, wrapColumns: number): Layout {
  const { axes, blocks, total } = matrix;
  const xi = axes.findIndex(({ key }) => key === x);
  const yi = axes.findIndex(({ key }) => key === y);
  if (!blocks || xi < 0) {
    return wrap(total, wrapColumns, (i) => i, (cell) => cell < total ? cell : -1);
  }
  const indices = axes.map(({ key, labels }) => Math.min(at[key] ?? 0, labels.length - 1));
  const isShown = (found: readonly number[]) =>
    found.every((index, i) => i === xi || i === yi || index === indices[i]);
  const columns = axes[xi]!.labels;
  if (yi < 0) {
    const find = (cell: number) => {
      const found = indicesOf(matrix, cell);
      return isShown(found) ? found[xi]! : -1;
    };
    return wrap(columns.length, wrapColumns, (i) => cellAt(blocks, indices.with(xi, i)), find);
  }
  const rows = axes[yi]!.labels;
  return {
    rows: rows.length,
    columns: columns.length,
    cellAt: (row, column) => {
      indices[xi] = column;
      indices[yi] = row;
      return cellAt(blocks, indices);
    },
    placeOf(cell) {
      const found = indicesOf(matrix, cell);
      return isShown(found) ? { row: found[yi]!, column: found[xi]! } : undefined;
    },
    rowLabel: (row) => rows[row] ?? "",
    columnLabel: (column) => columns[column] ?? "",
  };
}

/** Cells of an area of places, as half-open ranges. */
export interface Area {
  rowFrom: number;
  rowTo: number;
  columnFrom: number;
  columnTo: number;
}

/** Returns the area between two places, both included. */
export const areaBetween = (a: Place, b: Place): Area => ({
  rowFrom: Math.min(a.row, b.row),
  rowTo: Math.max(a.row, b.row) + 1,
  columnFrom: Math.min(a.column, b.column),
  columnTo: Math.max(a.column, b.column) + 1,
});

/** Lists the cells of an area, row by row. */
export function listCells({ cellAt }: Layout, { rowFrom, rowTo, columnFrom, columnTo }: Area): number[] {
  const cells: number[] = [];
  for (let row = rowFrom; row < rowTo; row++) {
    for (let column = columnFrom; column < columnTo; column++) {
      const cell = cellAt(row, column);
      if (cell >= 0) cells.push(cell);
    }
  }
  return cells;
}
