/** A task's cells and ratings, unpacked from the database's format. */

/** Cells and ratings of a task by cell number. A table never changes: a change makes another one. */
export interface CellTable {
  /** State of each cell (`cellStates`); 255 if no cell has the number. */
  states: Uint8Array;
  /** The attempt that made the present image of each cell. */
  attempts: Int32Array;
  /** Stars of each cell by the id of the rater; 0 for none. */
  stars: ReadonlyMap<string, Uint8Array>;
}

/** Ratings of a task as columns. */
export interface Dataset {
  /** State of each cell (`cellStates`), by cell number; 255 if no cell has the number. */
  states: Uint8Array;
  /** Ids of the raters; `rater` holds positions in this list. */
  raters: string[];
  /** Cell number of each rating. Ratings are ordered by rater, then cell. */
  cell: Int32Array;
  rater: Int32Array;
  stars: Uint8Array;
}

/** State of a number that no cell has. */
const missingCell = 255;

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new DataView(buffer, byteOffset, byteLength);

/** Visits packed entries: four bytes each, which hold cell number × 8 + value. */
export function forEachPacked(packed: Uint8Array, visit: (cell: number, value: number) => void): void {
  const view = viewOf(packed);
  for (let offset = 0; offset + 4 <= view.byteLength; offset += 4) {
    const entry = view.getInt32(offset);
    visit(entry >> 3, entry & 7);
  }
}

/** Returns a table without cells and ratings. */
export const createCellTable = (cells: number): CellTable => ({
  states: new Uint8Array(cells).fill(missingCell),
  attempts: new Int32Array(cells),
  stars: new Map(),
});

/** Packed cells and ratings, in the format of `readDataset`. */
interface PackedCells {
  cells: Uint8Array;
  ratings: readonly { rater_id: string; packed: Uint8Array }[];
}

/**
 * Returns a table with changed cells.
 *
 * @param changes cells with all their ratings; cells beyond the table are left out
 */
export function changeCells(table: CellTable, { cells: packed, ratings }: PackedCells): CellTable {
  const states = table.states.slice();
  const attempts = table.attempts.slice();
  const view = viewOf(packed);
  const changed: number[] = [];
  for (let offset = 0; offset + 8 <= view.byteLength; offset += 8) {
    const entry = view.getInt32(offset);
    const cell = entry >> 3;
    if (cell >= states.length) continue;
    states[cell] = entry & 7;
    attempts[cell] = view.getInt32(offset + 4);
    changed.push(cell);
  }
  const stars = new Map<string, Uint8Array>();
  for (const [rater, before] of table.stars) {
    const kept = before.slice();
    for (const cell of changed) kept[cell] = 0;
    stars.set(rater, kept);
  }
  for (const { rater_id, packed } of ratings) {
    const given = stars.get(rater_id) ?? new Uint8Array(states.length);
    forEachPacked(packed, (cell, value) => {
      if (cell < given.length) given[cell] = value;
    });
    stars.set(rater_id, given);
  }
  return { states, attempts, stars };
}

/** Reports whether two tables of a task have the same images, whatever their ratings. */
export function haveSameImages(a: CellTable, b: CellTable, image: number): boolean {
  if (a.states.length !== b.states.length) return false;
  for (let cell = 0; cell < a.states.length; cell++) {
    if ((a.states[cell] === image) !== (b.states[cell] === image)) return false;
    if (a.states[cell] === image && a.attempts[cell] !== b.attempts[cell]) return false;
  }
  return true;
}

/** Reports whether every number has a cell, so that no cell can be added without a change of the table's length. */
export const isComplete = ({ states }: CellTable): boolean => !states.includes(missingCell);

/** Returns the ratings of a table as columns, with the raters in order of their ids. */
export function toDataset({ states, stars }: CellTable): Dataset {
  const counts = [...stars].map(([rater, given]) => {
    let count = 0;
    for (const value of given) if (value > 0) count++;
    return { rater, given, count };
  }).filter(({ count }) => count > 0).sort((a, b) => a.rater < b.rater ? -1 : 1);
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const dataset: Dataset = {
    states,
    raters: counts.map(({ rater }) => rater),
    cell: new Int32Array(total),
    rater: new Int32Array(total),
    stars: new Uint8Array(total),
  };
  let filled = 0;
  counts.forEach(({ given }, r) => {
    for (let cell = 0; cell < given.length; cell++) {
      if (given[cell] === 0) continue;
      dataset.cell[filled] = cell;
      dataset.rater[filled] = r;
      dataset.stars[filled++] = given[cell]!;
    }
  });
  return dataset;
}

/** A vote between two cells. `score` is 1 if the left one won, 0 if the right one won, 0.5 for a tie. */
export interface CellVote {
  left: number;
  right: number;
  score: number;
}

/** Unpacks votes: eight bytes each, in the format of `readVotes`. */
export function unpackVotes(packed: Uint8Array): CellVote[] {
  const view = viewOf(packed);
  const scores = [0.5, 1, 0, 0.5];
  return Array.from({ length: Math.floor(view.byteLength / 8) }, (_, i) => {
    const low = view.getUint32(i * 8 + 4);
    return { left: view.getUint32(i * 8), right: low >>> 8, score: scores[low & 3]! };
  });
}
