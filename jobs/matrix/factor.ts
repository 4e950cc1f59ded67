/** Cells as columns, the way one statement takes thousands of them. */
import { cellSeparator, type Column, type NewCells } from "../../db/queue/new_cells.ts";
import type { JsonObject } from "../../json.ts";
import type { Cell, PromptPart } from "./expand.ts";
import { promptsWithoutAny } from "./prompts.ts";

const counterMax = 0x1000000;

/** Nine bytes that cells born together share: 4 of seconds, 5 random, as a MongoDB ObjectId starts. */
function drawLegacyPrefix(secondsMin: number): string {
  const seconds = Math.max(Math.floor(Date.now() / 1000), secondsMin).toString(16).padStart(8, "0");
  return seconds + crypto.getRandomValues(new Uint8Array(5)).toHex();
}

const drawBelow = (limit: number): number => crypto.getRandomValues(new Uint32Array(1))[0]! % limit;

function joinColumns(cells: Cell[], order: ArrayLike<number>, high: boolean): NewCells["columns"] {
  const join = (read: (cell: Cell) => string | number | bigint | boolean): Column => {
    const values = cells.map(read);
    const [first] = values;
    return values.every((value) => value === first)
      ? { same: String(first) }
      : { joined: values.join(cellSeparator) };
  };
  return {
    variable_indices: join(({ variable_indices }) =>
      `{${variable_indices.map((index) => index ?? "null").join(",")}}`
    ),
    ratio: join(({ ratio }) => ratio.replaceAll(cellSeparator, " ")),
    seed: join(({ seed }) => seed),
    use_polish: join(({ use_polish }) => use_polish),
    queue: join(({ queue }) => high ? "high" : queue),
    client_args: join(({ client_args }) => client_args ?? ""),
    spread: join(({ cell }) => order[cell] ?? cell),
  };
}

/** Lengths of the matrix, slowest axis first; what repeats a combination is the fastest. */
export function readLengths(variables: JsonObject, total: number): number[] {
  const lengths = Array.from({ length: 6 }, (_, slot) => {
    const variable = variables.get(`v${slot}`);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    return Array.isArray(values) ? values.length : 0;
  }).filter((length) => length > 0);
  const combinations = lengths.reduce((product, length) => product * length, 1);
  return [...lengths, total / combinations];
}

/** What all cells of a birth share. */
export interface Shared {
  /** Place of each cell in the order of drawing, by its place in the matrix. */
  order: ArrayLike<number>;
  /** Urgent: all of them are for the queue `high`. */
  high: boolean;
  promptParts: PromptPart[];
  /** Their requests are to be found again; absent: no. */
  fingerprinted?: boolean;
  /** Seconds since 1970 that their legacy ids begin with, at the least: later than those of elder cells. */
  secondsMin?: number;
}

/** Writes cells, in the order of their numbers, as what {@link NewCells} holds. */
export function factorCells(
  cells: Cell[],
  { order, high, promptParts, fingerprinted = false, secondsMin = 0 }: Shared,
): NewCells {
  return {
    total: cells.length,
    variable_types_map: cells[0]?.variable_types_map ?? "{}",
    type_to_variable: cells[0]?.type_to_variable ?? "{}",
    legacy_prefix: drawLegacyPrefix(secondsMin),
    legacy_counter: drawBelow(counterMax - cells.length),
    promptParts,
    promptsWithoutAny,
    fingerprinted,
    columns: joinColumns(cells, order, high),
  };
}
