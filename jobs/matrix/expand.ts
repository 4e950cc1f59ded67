/**
 * Expands a task into its cells: the product of its variables' values in the order of their keys, repeated by a tag
 * `batch`. Pure and lazy; equal bodies have equal cells.
 */
import { cellsMax, seedMax } from "../../db/queue/task_fields.ts";
import { AppError, type FieldFault } from "../../errors.ts";
import type { Json, JsonObject } from "../../json.ts";
import { type Axis, parseVariables, readTags, slotsMax, storeVariables, type TagUse } from "./axes.ts";
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
import { counted } from "../../phrases.ts";

/** One cell of an expansion. */
export interface Cell {
  /** Row-major index in the matrix, from 0. */
  cell: number;
  /** 6 slots: the index of the level of `v{i}`, or null. Equal values have the index of the first one. */
  variable_indices: (number | null)[];
  /** JSON text: `{"v0":"element"}`. */
  variable_types_map: string;
  /** JSON text: `{"element":"v0"}`. */
  type_to_variable: string;
  /** JSON text of the list that the image API takes as `rawPrompt`. */
  prompts: string;
  ratio: string;
  /** A bigint if a number cannot hold it exactly. */
  seed: number | bigint;
  use_polish: boolean;
  queue: "standard" | "lumina";
  /** JSON text; null except for cells with an element named `lumina1`. */
  client_args: string | null;
}

/**
 * The part of one tag in `prompts`: a cell has the text with index `floor(cell ÷ stride) mod texts.length`.
 */
export interface PromptPart {
  /** JSON texts, empty for no entry; a single text if it is the same in every cell. */
  texts: string[];
  stride: number;
}

export interface Expansion {
  /** Number of cells. */
  total: number;
  /**
   * The `total_images` in the answer to the create call: the product of the level counts, without `batch`.
   */
  imagesExpected: number;
  variablesStored: JsonObject;
  settingsStored: JsonObject;
  /**
   * The `prompts` of all cells, factored: the texts joined by commas, or `promptsWithoutAny` if all are
   * empty.
   */
  promptParts: PromptPart[];
  /** Generates the cells while they are read. Each iteration draws new seeds. */
  cells: Iterable<Cell>;
}

export interface TaskBody {
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
}

/** Draws a random seed from 1 to `seedMax`. */
export const drawSeed = (): number => 1 + Math.floor(Math.random() * seedMax);

/** The options of one tag: one for each level of its axis, or a single one if the tag has its own value. */
interface TagOptions<T> {
  axis?: Axis;
  options: T[];
}

function readOptions<T>(
  uses: TagUse[],
  types: (type: string) => boolean,
  read: (source: Json) => T,
): TagOptions<T>[] {
  return uses.filter(({ type }) => types(type)).map(({ tag, axis }) =>
    axis ? { axis, options: axis.values.map(read) } : { options: [read(tag)] }
  );
}

/** Returns the option of a tag in a cell; undefined if its variable has no values. */
const choose = <T>({ axis, options }: TagOptions<T>, levels: number[]): T | undefined =>
  options[axis ? levels[axis.slot] ?? 0 : 0];

/** Returns the option of the last tag that has one. */
function chooseLast<T>(tags: TagOptions<T | undefined>[], levels: number[]): T | undefined {
  for (let i = tags.length - 1; i >= 0; i--) {
    const option = choose(tags[i]!, levels);
    if (option !== undefined) return option;
  }
}

const valueOf = (source: Json): Json | undefined => isObject(source) ? source.get("value") : source;

/** PostgreSQL cannot store a NUL, so a text with one is no ratio. */
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
      fields: [{ field: "tags", value: seed, wanted: "a seed from -2^63 to 2^63 - 1" }],
    });
  }
  const number = Number(seed);
  return Number.isSafeInteger(number) ? number : seed;
}

/**
 * Returns the number of repeats of each combination: the value of a fixed tag `batch`, if it is an integer
 * above 1.
 */
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
      value: total,
      wanted: `at most ${cellsMax} combinations, repeats of batch counted`,
    };
    const detail = `expanding the task: ${counted(total, "subtask")}, at most ${cellsMax} are allowed`;
    throw new AppError("invalid_request", detail, { fields: [fault] });
  }
  return { total: Number(total), imagesExpected: Number(combinations) };
}

/**
 * Returns the number of consecutive cells with the same level: the product of the faster axes and the
 * repeats.
 */
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
  fragments: TagOptions<Fragment>[];
  ratios: TagOptions<string | undefined>[];
  seeds: TagOptions<number | bigint | undefined>[];
  polishes: TagOptions<boolean>[];
  clientArgs: (levels: number[]) => string | null;
  seedOf: (levels: number[], repeat: number) => number;
}

function joinPrompts(plan: Plan, levels: number[]): { prompts: string; lumina: boolean; lumina1: boolean } {
  let text = "";
  let lumina = false;
  let lumina1 = false;
  for (const tag of plan.fragments) {
    const fragment = choose(tag, levels) ?? noFragment;
    if (fragment.text === "") continue;
    text += text === "" ? fragment.text : `,${fragment.text}`;
    lumina ||= fragment.lumina;
    lumina1 ||= fragment.lumina1;
  }
  return { prompts: text === "" ? promptsWithoutAny : `[${text}]`, lumina, lumina1 };
}

/** Generates the repeats of one combination. `levels` holds the index of the level by slot. */
function* makeRepeats(plan: Plan, levels: number[], first: number): Generator<Cell> {
  const { prompts, lumina, lumina1 } = joinPrompts(plan, levels);
  const indices: (number | null)[] = Array(slotsMax).fill(null);
  for (const { slot, storedIndices } of plan.axes) indices[slot] = storedIndices[levels[slot]!] ?? null;
  const freeSlot = plan.repeats > 1 && plan.axes.every(({ slot }) => slot !== slotsMax - 1);
  const seed = chooseLast(plan.seeds, levels);
  const shared = {
    ...plan.maps,
    prompts,
    ratio: chooseLast(plan.ratios, levels) ?? "1:1",
    use_polish: chooseLast(plan.polishes, levels) ?? false,
    queue: lumina ? "lumina" as const : "standard" as const,
    client_args: lumina1 ? plan.clientArgs(levels) : null,
  };
  for (let repeat = 0; repeat < plan.repeats; repeat++) {
    const variable_indices = indices.slice();
    if (freeSlot) variable_indices[slotsMax - 1] = repeat;
    yield { cell: first + repeat, variable_indices, seed: seed ?? plan.seedOf(levels, repeat), ...shared };
  }
}

/** Generates all cells in row-major order. The last axis varies fastest, and the repeats vary within it. */
function* makeCells(plan: Plan): Generator<Cell> {
  const levels: number[] = Array(slotsMax).fill(0);
  for (let cell = 0;; cell += plan.repeats) {
    yield* makeRepeats(plan, levels, cell);
    let axis = plan.axes.length - 1;
    for (; axis >= 0; axis--) {
      const { slot, values } = plan.axes[axis]!;
      levels[slot]!++;
      if (levels[slot]! < values.length) break;
      levels[slot] = 0;
    }
    if (axis < 0) return;
  }
}

/** The seed rule of v1. */
const drawEach: SeedRule = { policy: "per_cell", roles: {} };

/**
 * Expands the body of a task into its cells. Cells are generated only when they are read.
 *
 * @throws AppError invalid_request with the field: for a variable tag without its variable, for
 * `settings.concurrency` that is no number, for a seed beyond 64 bits, and for more than `cellsMax` cells
 * (counted without generating them)
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
  const allAxes = parseVariables(variables);
  const settingsStored = storeSettings(settings);
  const uses = readTags(tags, allAxes);
  const axes = allAxes.filter(({ values }) => values.length > 0);
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
    ratios: readOptions(uses, (type) => type === "ratio", readRatio),
    seeds: readOptions(uses, (type) => type === "seed", readSeed),
    polishes: readOptions(uses, (type) => type === "polish", readPolish),
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
