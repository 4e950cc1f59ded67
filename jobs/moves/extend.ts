/** Plans the cells of further levels on one axis of an existing task. */
import type { ExtensibleTask, Extension } from "../../db/queue/extend.ts";
import { type Json, type JsonObject, parseJson, stringifyJson } from "../../json.ts";
import { type Cell, expandTask } from "../matrix/expand.ts";
import { factorCells, readLengths } from "../matrix/factor.ts";
import { spreadCells } from "../matrix/spread.ts";

export interface AxisExtension {
  /** 0 to 5, for `v0` to `v5`. */
  slot: number;
  /** Levels to add. */
  values: Json[];
}

/** For the policy `shared`, returns the seed of the first cell as the seed of all new cells. */
function keepSeed(task: ExtensibleTask): { drawSeed?: () => number } {
  const { seed_policy, first_seed } = task;
  if (seed_policy !== "shared" || first_seed === null) return {};
  return { drawSeed: () => Number(first_seed) };
}

/** For the policy `per_combination`, gives all repeats of a combination the same seed. */
function shareSeeds(cells: Cell[], repeats: number, { seed_policy }: ExtensibleTask): Cell[] {
  if (seed_policy !== "per_combination") return cells;
  return cells.map((cell, i) => ({ ...cell, seed: cells[i - i % repeats]!.seed }));
}

/**
 * Plans the cells of further levels. Levels that the axis has already are left out, so a repeated call adds
 * nothing.
 *
 * @returns `no_such_axis`: the variable has no values; `nothing_new`: the axis has all these levels
 * @throws AppError invalid_request for the same reasons as `expandTask`, such as more than `cellsMax` cells
 * in all
 */
export function planExtension(
  task: ExtensibleTask,
  { slot, values }: AxisExtension,
): Extension | "no_such_axis" | "nothing_new" {
  const variables = parseJson(task.variables) as JsonObject;
  const variable = variables.get(`v${slot}`);
  const known = variable instanceof Map ? variable.get("values") : undefined;
  if (!(variable instanceof Map) || !Array.isArray(known) || known.length === 0) return "no_such_axis";
  const texts = new Set(known.map(stringifyJson));
  const fresh = values.filter((value) => {
    const text = stringifyJson(value);
    return !texts.has(text) && texts.add(text);
  });
  if (fresh.length === 0) return "nothing_new";
  const extended = new Map(variables).set(
    `v${slot}`,
    new Map(variable).set("values", [...known, ...fresh]),
  );
  const { total, variablesStored, promptParts, cells } = expandTask({
    tags: parseJson(task.tags) as Json[],
    variables: extended,
    settings: parseJson(task.settings) as JsonObject,
  }, keepSeed(task));
  const lengths = readLengths(extended, total);
  const axis = [...extended.keys()].filter((key) => /^v[0-5]$/.test(key) && Number(key[1]) < slot)
    .filter((key) => hasValues(extended.get(key))).length;
  const stride = lengths.slice(axis + 1).reduce((product, length) => product * length, 1);
  const length = known.length + fresh.length;
  const added = shareSeeds(
    [...cells].filter(({ cell }) => Math.floor(cell / stride) % length >= known.length),
    lengths.at(-1)!,
    task,
  );
  return {
    variables: stringifyJson(variablesStored),
    variablesBefore: task.variables,
    matrix: { slot, stride, known: known.length, length },
    cells: factorCells(added, {
      drawOrder: spreadCells(lengths),
      isUrgent: task.priority > 1,
      promptParts,
      secondsMin: task.last_seconds + 1,
      fingerprinted: task.seed_policy !== "per_cell",
    }),
  };
}

const hasValues = (variable: Json | undefined): boolean => {
  const values = variable instanceof Map ? variable.get("values") : undefined;
  return Array.isArray(values) && values.length > 0;
};
