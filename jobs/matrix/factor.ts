/** Turns cells into columns, from which one statement inserts thousands of rows. */
import { cellSeparator, type Column, type NewCells } from "../../db/queue/new_cells.ts";
import type { JsonObject } from "../../json.ts";
import type { Cell, PromptPart } from "./expand.ts";
import { promptsWithoutAny } from "./prompts.ts";

const counterMax = 0x1000000;

/**
 * Draws the nine bytes that cells of one insert share: 4 bytes of seconds and 5 random ones, as in an
 * ObjectId.
 */
function drawLegacyPrefix(secondsMin: number): string {
  const seconds = Math.max(Math.floor(Date.now() / 1000), secondsMin).toString(16).padStart(8, "0");
  return seconds + crypto.getRandomValues(new Uint8Array(5)).toHex();
}

const drawBelow = (limit: number): number => crypto.getRandomValues(new Uint32Array(1))[0]! % limit;

function joinColumns(cells: Cell[], drawOrder: ArrayLike<number>, isUrgent: boolean): NewCells["columns"] {
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
    queue: join(({ queue }) => isUrgent ? "high" : queue),
    client_args: join(({ client_args }) => client_args ?? ""),
    spread: join(({ cell }) => drawOrder[cell] ?? cell),
  };
}

/** Returns the lengths of the matrix, slowest axis first. The repeats of a combination come last. */
export function readLengths(variables: JsonObject, total: number): number[] {
  const lengths = Array.from({ length: 6 }, (_, slot) => {
    const variable = variables.get(`v${slot}`);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    return Array.isArray(values) ? values.length : 0;
  }).filter((length) => length > 0);
  const combinations = lengths.reduce((product, length) => product * length, 1);
  return [...lengths, total / combinations];
}

/** Options that apply to all cells of an insert. */
export interface FactorOptions {
  /** The rank of each cell in the order of drawing, by its index in the matrix. */
  drawOrder: ArrayLike<number>;
  /** Puts all cells into the queue `high`. */
  isUrgent: boolean;
  promptParts: PromptPart[];
  /** Stores the fingerprints of the requests. */
  fingerprinted?: boolean;
  /** Minimum seconds since 1970 in the legacy ids, so that they follow the ids of earlier cells. */
  secondsMin?: number;
}

/** Converts cells, in the order of their numbers, to {@link NewCells}. */
export function factorCells(
  cells: Cell[],
  { drawOrder, isUrgent, promptParts, fingerprinted = false, secondsMin = 0 }: FactorOptions,
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
    columns: joinColumns(cells, drawOrder, isUrgent),
  };
}
