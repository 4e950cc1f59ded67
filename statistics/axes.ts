/** The axes of a task's matrix: their levels by value, and what each is for. */

/** What an axis is for: what is compared, what it is compared on, what repeats it. */
export type Role = "treatment" | "content" | "replicate";

export interface Level {
  /** Place of the value in the variable; that of the first, where values are equal. */
  place: number;
  label: string;
  /** Equal for equal values, in any task. */
  identity: string;
}

export interface Axis {
  /** `v0` to `v5`. */
  key: string;
  name: string;
  /** Of the tag that it stands for: `prompt`, `element`, …; empty where none is known. */
  type: string;
  role: Role;
  levels: Level[];
  /** The level of each of the variable's values. */
  levelOf: Int32Array;
}

type Plain = Record<string, unknown>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const own = (value: unknown, key: string): unknown =>
  isPlain(value) && Object.hasOwn(value, key) ? value[key] : undefined;

/** What says nothing about the image that is drawn. */
const besides = new Set(["id", "tag_id", "header_img", "header_url", "img_url"]);

function writeSorted(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeSorted).join(",")}]`;
  if (!isPlain(value)) return JSON.stringify(value) ?? "null";
  const parts = Object.keys(value).filter((key) => !besides.has(key)).sort()
    .map((key) => `${JSON.stringify(key)}:${writeSorted(value[key])}`);
  return `{${parts.join(",")}}`;
}

const labelMax = 120;

function labelOf(value: unknown): string {
  const said = [own(value, "name"), own(value, "value"), value].find((text) =>
    typeof text === "string" && text.trim() !== "" || typeof text === "number" || typeof text === "boolean"
  );
  const text = said === undefined ? writeSorted(value) : String(said);
  return text.length <= labelMax ? text : `${text.slice(0, labelMax).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** A value and an object that holds nothing else are one: both are drawn alike. */
const identityOf = (value: unknown): string => {
  const alone = isPlain(value) && Object.keys(value).every((key) => key === "value" || besides.has(key));
  return writeSorted(alone ? own(value, "value") ?? null : value);
};

function readLevels(values: readonly unknown[]): { levels: Level[]; levelOf: Int32Array } {
  const known = new Map<string, number>();
  const levels: Level[] = [];
  const levelOf = Int32Array.from(values, (value, place) => {
    const identity = identityOf(value);
    const found = known.get(identity);
    if (found !== undefined) return found;
    known.set(identity, levels.length);
    levels.push({ place, label: labelOf(value), identity });
    return levels.length - 1;
  });
  return { levels, levelOf };
}

const roles: readonly unknown[] = ["treatment", "content", "replicate"] satisfies Role[];

/** Prompts and characters are what others are compared on; seeds and repeats only repeat. */
const roleOfType = (type: string): Role =>
  type === "prompt" || type === "character"
    ? "content"
    : type === "seed" || type === "batch"
    ? "replicate"
    : "treatment";

/** The type of the tag that stands for a variable, by equal names. */
function findType(tags: unknown, name: string): string {
  const found = (Array.isArray(tags) ? tags : []).find((tag) =>
    own(tag, "isVariable") && (own(tag, "name") ?? "") === name
  );
  const type = own(found, "type");
  return typeof type === "string" ? type : "";
}

/**
 * The axes of a task that have values, in the order of the matrix. A role that the task gives its axis counts; else the
 * axis' type decides.
 *
 * @example
 * ```ts
 * import { readAxes } from "./axes.ts";
 * const [axis] = readAxes({
 *   variables: { v1: { name: "p", values: [{ value: "a cat" }, { id: "7", value: "a cat" }, "a dog"] } },
 *   tags: [{ isVariable: true, name: "p", type: "prompt" }],
 *   types: null,
 *   axis_roles: null,
 * });
 * if (axis?.key !== "v1" || axis.role !== "content" || axis.levelOf.join() !== "0,0,1") throw new Error();
 * ```
 */
export function readAxes(
  { variables, tags, types, axis_roles: given }: {
    variables: unknown;
    tags: unknown;
    types: unknown;
    axis_roles: unknown;
  },
): Axis[] {
  return Array.from({ length: 6 }, (_, slot) => `v${slot}`).flatMap((key) => {
    const variable = own(variables, key);
    const values = own(variable, "values");
    if (!Array.isArray(values) || values.length === 0) return [];
    const name = String(own(variable, "name") ?? "");
    const known = own(types, key);
    const type = typeof known === "string" ? known : findType(tags, name);
    const role = own(given, key);
    return [{
      key,
      name,
      type,
      role: roles.includes(role) ? role as Role : roleOfType(type),
      ...readLevels(values),
    }];
  });
}

/** How the cells lie: of each axis, the level of every cell; −1 where it has none. */
export interface Places {
  cells: number;
  /** One a axis, in their order. */
  levels: Int32Array[];
}

/**
 * Places of a whole matrix: row-major, the last axis turning fastest, repeats within it faster still.
 *
 * @returns undefined where `total` is no multiple of the combinations: cells are missing
 */
export function placeWhole(axes: readonly Axis[], total: number): Places | undefined {
  const combinations = axes.reduce((product, { levelOf }) => product * levelOf.length, 1);
  if (total === 0 || total % combinations !== 0) return undefined;
  let stride = total;
  const levels = axes.map(({ levelOf }) => {
    stride /= levelOf.length;
    const length = levelOf.length;
    const turn = stride;
    const of = new Int32Array(total);
    for (let cell = 0; cell < total; cell++) of[cell] = levelOf[Math.floor(cell / turn) % length]!;
    return of;
  });
  return { cells: total, levels };
}

const indicesBytes = 14;

/** Places by the indices of each cell (`readIndices`), where a matrix is not whole. */
export function placeByIndices(axes: readonly Axis[], total: number, packed: Uint8Array): Places {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const count = packed.byteLength / indicesBytes;
  let cells = total;
  for (let i = 0; i < count; i++) cells = Math.max(cells, view.getInt16(i * indicesBytes) + 32768 + 1);
  const levels = axes.map(() => new Int32Array(cells).fill(-1));
  axes.forEach(({ key, levelOf }, a) => {
    const at = 2 + 2 * Number(key.slice(1));
    for (let i = 0; i < count; i++) {
      const place = view.getInt16(i * indicesBytes + at) - 1;
      const cell = view.getInt16(i * indicesBytes) + 32768;
      levels[a]![cell] = place >= 0 ? levelOf[place] ?? -1 : levelOf.length === 1 ? 0 : -1;
    }
  });
  return { cells, levels };
}
