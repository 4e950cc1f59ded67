/** From a task to its subtasks (EXECUTION.md «Expansion»): pure, lazy, the same cells for the same body. */
import { AppError, type FieldFault } from "../../errors.ts";
import type { Json, JsonObject } from "../../json.ts";
import { type Axis, readAxes, readTags, slotsMax, storeVariables, type TagUse } from "./axes.ts";
import {
  type Fragment,
  isPromptType,
  noFragment,
  promptsWithoutAny,
  writeFragment,
  writeFragments,
} from "./prompts.ts";
import { planSeeds, type SeedRule } from "./seeds.ts";
import { planClientArgs, storeSettings } from "./settings.ts";
import { isObject, readInteger } from "./values.ts";

/** A task has at most this many subtasks. */
export const cellsMax = 50_000;

/** One subtask to be. */
export interface Cell {
  /** Place in the matrix, row-major, from 0. */
  cell: number;
  /** 6 slots, the index of the chosen value of `v{i}` or null; equal values have the index of the first. */
  variable_indices: (number | null)[];
  /** JSON text: `{"v0":"element"}`. */
  variable_types_map: string;
  /** JSON text: `{"element":"v0"}`. */
  type_to_variable: string;
  /** JSON text of the list that the image API takes as `rawPrompt`. */
  prompts: string;
  ratio: string;
  /** A bigint beyond what a number holds exactly. */
  seed: number | bigint;
  use_polish: boolean;
  queue: "standard" | "lumina";
  /** JSON text, for cells with an element named `lumina1` alone. */
  client_args: string | null;
}

/** What one tag adds to a cell's `prompts`: the text at place `floor(cell ÷ stride) mod texts.length`, if any. */
export interface PromptPart {
  /** JSON texts, empty for nothing; one alone where the tag says the same in every cell. */
  texts: string[];
  stride: number;
}

export interface Expansion {
  /** How many cells there are. */
  total: number;
  /** The `total_images` that the create call answers: the product of the value counts, without `batch`. */
  imagesExpected: number;
  variablesStored: JsonObject;
  settingsStored: JsonObject;
  /** Every cell's `prompts`, factored: the texts joined by commas, or `promptsWithoutAny` where all are empty. */
  promptParts: PromptPart[];
  /** Makes the cells while it is read; each reading draws its seeds anew. */
  cells: Iterable<Cell>;
}

export interface TaskBody {
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
}

/** A seed for a cell whose task gives none: 1 to 2147483647. */
export const drawSeed = (): number => 1 + Math.floor(Math.random() * 2_147_483_647);

/** What one tag says for each value of its axis; a tag with a value of its own says one thing. */
interface Saying<T> {
  axis?: Axis;
  options: T[];
}

function readSayings<T>(
  uses: TagUse[],
  types: (type: string) => boolean,
  read: (source: Json) => T,
): Saying<T>[] {
  return uses.filter(({ type }) => types(type)).map(({ tag, axis }) =>
    axis ? { axis, options: axis.values.map(read) } : { options: [read(tag)] }
  );
}

/** The choice of a saying in a cell; undefined for a variable without values. */
const choose = <T>({ axis, options }: Saying<T>, places: number[]): T | undefined =>
  options[axis ? places[axis.slot] ?? 0 : 0];

/** The last tag that says something decides. */
function chooseLast<T>(sayings: Saying<T | undefined>[], places: number[]): T | undefined {
  for (let i = sayings.length - 1; i >= 0; i--) {
    const said = choose(sayings[i]!, places);
    if (said !== undefined) return said;
  }
}

const valueOf = (source: Json): Json | undefined => isObject(source) ? source.get("value") : source;

/** A NUL fits no text column, and no ratio. */
const readRatio = (source: Json): string | undefined => {
  const value = valueOf(source);
  return typeof value === "string" && value.includes(":") && !value.includes("\0") ? value : undefined;
};

const readPolish = (source: Json): boolean => String(valueOf(source)).toLowerCase() === "true";

function readSeed(source: Json): number | bigint | undefined {
  const seed = readInteger(valueOf(source));
  if (seed === undefined) return undefined;
  if (seed !== BigInt.asIntN(64, seed)) {
    throw new AppError("invalid_request", `expanding the task: seed '${seed}' is past 64 bits`, {
      fields: [{ field: "tags", value: String(seed), wanted: "a seed from -2^63 to 2^63 - 1" }],
    });
  }
  const number = Number(seed);
  return Number.isSafeInteger(number) ? number : seed;
}

/** How often a combination is repeated: a fixed tag `batch` with an integer over 1. */
function readRepeats(uses: TagUse[]): bigint {
  const given = uses.filter(({ type, axis }) => type === "batch" && !axis)
    .map(({ tag }) => readInteger(tag.get("value")))
    .findLast((value) => value !== undefined);
  return given !== undefined && given > 1n ? given : 1n;
}

function countCells(axes: Axis[], repeats: bigint): { total: number; imagesExpected: number } {
  const combinations = axes.reduce((product, { values }) => product * BigInt(values.length), 1n);
  const total = combinations * repeats;
  if (total > BigInt(cellsMax)) {
    const fault: FieldFault = {
      field: "variables",
      value: String(total),
      wanted: `at most ${cellsMax} combinations, repeats of batch counted`,
    };
    throw new AppError(
      "invalid_request",
      `expanding the task: ${total} subtasks, at most ${cellsMax} are allowed`,
      {
        fields: [fault],
      },
    );
  }
  return { total: Number(total), imagesExpected: Number(combinations) };
}

/** How many cells pass until the place on an axis moves on: what turns faster is counted, repeats too. */
const strideOf = (axis: Axis, axes: Axis[], repeats: number): number =>
  axes.slice(axes.indexOf(axis) + 1).reduce((product, { values }) => product * values.length, repeats);

function mapTypes(uses: TagUse[]): { variable_types_map: string; type_to_variable: string } {
  const types = new Map<string, string>();
  const variables = new Map<string, string>();
  for (const { type, axis } of uses) {
    if (!axis) continue;
    types.set(`v${axis.slot}`, type);
    if (!variables.has(type)) variables.set(type, `v${axis.slot}`);
  }
  const write = (map: Map<string, string>) =>
    `{${[...map].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
  return { variable_types_map: write(types), type_to_variable: write(variables) };
}

interface Plan {
  axes: Axis[];
  repeats: number;
  maps: { variable_types_map: string; type_to_variable: string };
  fragments: Saying<Fragment>[];
  ratios: Saying<string | undefined>[];
  seeds: Saying<number | bigint | undefined>[];
  polishes: Saying<boolean>[];
  clientArgs: (places: number[]) => string | null;
  seedOf: (places: number[], repeat: number) => number;
}

function joinPrompts(plan: Plan, places: number[]): { prompts: string; lumina: boolean; lumina1: boolean } {
  let text = "";
  let lumina = false;
  let lumina1 = false;
  for (const saying of plan.fragments) {
    const fragment = choose(saying, places) ?? noFragment;
    if (fragment.text === "") continue;
    text += text === "" ? fragment.text : `,${fragment.text}`;
    lumina ||= fragment.lumina;
    lumina1 ||= fragment.lumina1;
  }
  return { prompts: text === "" ? promptsWithoutAny : `[${text}]`, lumina, lumina1 };
}

function* makeRepeats(plan: Plan, places: number[], first: number): Generator<Cell> {
  const { prompts, lumina, lumina1 } = joinPrompts(plan, places);
  const indices: (number | null)[] = Array(slotsMax).fill(null);
  for (const { slot, indices: known } of plan.axes) indices[slot] = known[places[slot]!] ?? null;
  const freeSlot = plan.repeats > 1 && plan.axes.every(({ slot }) => slot !== slotsMax - 1);
  const seed = chooseLast(plan.seeds, places);
  const shared = {
    ...plan.maps,
    prompts,
    ratio: chooseLast(plan.ratios, places) ?? "1:1",
    use_polish: chooseLast(plan.polishes, places) ?? false,
    queue: lumina ? "lumina" as const : "standard" as const,
    client_args: lumina1 ? plan.clientArgs(places) : null,
  };
  for (let repeat = 0; repeat < plan.repeats; repeat++) {
    const variable_indices = indices.slice();
    if (freeSlot) variable_indices[slotsMax - 1] = repeat;
    yield { cell: first + repeat, variable_indices, seed: seed ?? plan.seedOf(places, repeat), ...shared };
  }
}

/** Row-major: the last axis turns fastest, the repeats within it faster still. */
function* makeCells(plan: Plan): Generator<Cell> {
  const places: number[] = Array(slotsMax).fill(0);
  for (let cell = 0;; cell += plan.repeats) {
    yield* makeRepeats(plan, places, cell);
    let turning = plan.axes.length - 1;
    for (; turning >= 0; turning--) {
      const { slot, values } = plan.axes[turning]!;
      if (++places[slot]! < values.length) break;
      places[slot] = 0;
    }
    if (turning < 0) return;
  }
}

/** As v1 always did. */
const drawEach: SeedRule = { policy: "per_cell", roles: {} };

/**
 * Expands a task's body into its cells; nothing is made before the cells are read.
 *
 * @throws AppError invalid_request with the field: a variable tag without its variable, `settings.concurrency` that
 * is no number, a seed past 64 bits, more than 50,000 cells (counted, not made)
 *
 * @example
 * ```ts
 * import { expandTask } from "./expand.ts";
 * const tag = new Map([["type", "prompt"], ["value", "a cat"]]);
 * const { total, cells } = expandTask({ tags: [tag], variables: new Map(), settings: new Map() });
 * const [cell] = [...cells];
 * if (total !== 1 || cell?.prompts !== '[{"type":"freetext","weight":1.0,"value":"a cat"}]') throw new Error();
 * ```
 */
export function expandTask(
  { tags, variables, settings }: TaskBody,
  { drawSeed: draw = drawSeed, seedRule = drawEach }: { drawSeed?: () => number; seedRule?: SeedRule } = {},
): Expansion {
  const known = readAxes(variables);
  const settingsStored = storeSettings(settings);
  const uses = readTags(tags, known);
  const axes = known.filter(({ values }) => values.length > 0);
  const repeats = readRepeats(uses);
  const { total, imagesExpected } = countCells(axes, repeats);
  const makeSeeds = () => planSeeds(seedRule, { axes, repeats: Number(repeats), draw });
  const plan: Plan = {
    axes,
    repeats: Number(repeats),
    maps: mapTypes(uses),
    fragments: uses.filter(({ type }) => isPromptType(type)).map(({ type, tag, axis }) =>
      axis ? { axis, options: writeFragments(type, axis) } : { options: [writeFragment(type, tag)] }
    ),
    ratios: readSayings(uses, (type) => type === "ratio", readRatio),
    seeds: readSayings(uses, (type) => type === "seed", readSeed),
    polishes: readSayings(uses, (type) => type === "polish", readPolish),
    clientArgs: planClientArgs(settings, uses),
    seedOf: makeSeeds(),
  };
  return {
    total,
    imagesExpected,
    variablesStored: storeVariables(variables),
    settingsStored,
    promptParts: plan.fragments.filter(({ options }) => options.length > 0).map(({ axis, options }) => ({
      texts: options.map(({ text }) => text),
      stride: axis ? strideOf(axis, axes, plan.repeats) : 1,
    })),
    cells: { [Symbol.iterator]: () => makeCells({ ...plan, seedOf: makeSeeds() }) },
  };
}
