/** A task's cells and ratings as columns, unpacked from what the database sends. */

export interface Sheet {
  /** Of each cell by its place: what has become of it (`cellStates`); 255 where there is none. */
  states: Uint8Array;
  /** Ids of raters. */
  raters: string[];
  /** One entry a rating. */
  cell: Int32Array;
  rater: Int32Array;
  stars: Uint8Array;
}

/** No cell is at this place. */
export const noCell = 255;

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new DataView(buffer, byteOffset, byteLength);

/** Calls back with each place and what is said of it, for four bytes of place × 8 + what. */
export function eachPacked(packed: Uint8Array, say: (cell: number, what: number) => void): void {
  const view = viewOf(packed);
  for (let at = 0; at + 4 <= view.byteLength; at += 4) {
    const value = view.getInt32(at);
    say(value >> 3, value & 7);
  }
}

/** @param cells how many places there are; what lies beyond is left out */
export function unpackSheet(
  { cells: packedCells, ratings }: {
    cells: Uint8Array;
    ratings: readonly { rater_id: string; packed: Uint8Array }[];
  },
  cells: number,
): Sheet {
  const states = new Uint8Array(cells).fill(noCell);
  eachPacked(packedCells, (place, state) => {
    if (place < cells) states[place] = state;
  });
  const count = ratings.reduce((sum, { packed }) => sum + packed.byteLength / 4, 0);
  const sheet = {
    states,
    raters: ratings.map(({ rater_id }) => rater_id),
    cell: new Int32Array(count),
    rater: new Int32Array(count),
    stars: new Uint8Array(count),
  };
  let filled = 0;
  ratings.forEach(({ packed }, r) => {
    eachPacked(packed, (place, stars) => {
      if (place >= cells) return;
      sheet.cell[filled] = place;
      sheet.rater[filled] = r;
      sheet.stars[filled++] = stars;
    });
  });
  const cut = <T extends Int32Array | Uint8Array>(column: T) => column.subarray(0, filled) as T;
  return { ...sheet, cell: cut(sheet.cell), rater: cut(sheet.rater), stars: cut(sheet.stars) };
}

/** A vote between two cells; `score` is 1 where the left won, 0 the right, 0.5 neither. */
export interface CellVote {
  left: number;
  right: number;
  score: number;
}

export function unpackVotes(packed: Uint8Array): CellVote[] {
  const view = viewOf(packed);
  const scores = [0.5, 1, 0, 0.5];
  return Array.from({ length: Math.floor(view.byteLength / 8) }, (_, i) => {
    const low = view.getUint32(i * 8 + 4);
    return { left: view.getUint32(i * 8), right: low >>> 8, score: scores[low & 3]! };
  });
}
