/** A task's cells and ratings as columns, unpacked from the database's format. */

/** Cells and ratings of a task. */
export interface Dataset {
  /** State of each cell (`cellStates`), by cell number; 255 if no cell has the number. */
  states: Uint8Array;
  /** Ids of the raters; `rater` holds positions in this list. */
  raters: string[];
  /** Cell number of each rating. */
  cell: Int32Array;
  rater: Int32Array;
  stars: Uint8Array;
}

/** State of a number that no cell has. */
export const missingCell = 255;

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

/**
 * Unpacks the cells and ratings of a task.
 *
 * @param cells number of cells; entries beyond it are left out
 */
export function unpackDataset(
  { cells: packedCells, ratings }: {
    cells: Uint8Array;
    ratings: readonly { rater_id: string; packed: Uint8Array }[];
  },
  cells: number,
): Dataset {
  const states = new Uint8Array(cells).fill(missingCell);
  forEachPacked(packedCells, (cell, state) => {
    if (cell < cells) states[cell] = state;
  });
  const count = ratings.reduce((sum, { packed }) => sum + packed.byteLength / 4, 0);
  const dataset = {
    states,
    raters: ratings.map(({ rater_id }) => rater_id),
    cell: new Int32Array(count),
    rater: new Int32Array(count),
    stars: new Uint8Array(count),
  };
  let filled = 0;
  ratings.forEach(({ packed }, r) => {
    forEachPacked(packed, (cell, stars) => {
      if (cell >= cells) return;
      dataset.cell[filled] = cell;
      dataset.rater[filled] = r;
      dataset.stars[filled++] = stars;
    });
  });
  const cut = <T extends Int32Array | Uint8Array>(column: T) => column.subarray(0, filled) as T;
  return { ...dataset, cell: cut(dataset.cell), rater: cut(dataset.rater), stars: cut(dataset.stars) };
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
