/** The axes of a task's matrix: their levels, identified by value, and their roles. */

/**
 * Role of an axis: `treatment` is compared, `content` provides the units of comparison, `replicate` repeats.
 */
export type Role = "treatment" | "content" | "replicate";

export interface Level {
  /** Index of the value in the variable. Equal values share the index of the first. */
  index: number;
  label: string;
  /** Canonical text of the value: equal for equal values, across tasks. */
  identity: string;
}

export interface Axis {
  /** `v0` to `v5`. */
  key: string;
  name: string;
  /** Type of the tag that the axis stands for, such as `prompt` or `element`; empty if unknown. */
  type: string;
  role: Role;
  levels: Level[];
  /** For each value of the variable, its position in `levels`. */
  levelOf: Int32Array;
}

type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const getOwn = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

/** Keys of a value that do not affect the image. */
const ignoredKeys = new Set(["id", "tag_id", "header_img", "header_url", "img_url"]);

function toCanonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toCanonicalJson).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value) ?? "null";
  const parts = Object.keys(value).filter((key) => !ignoredKeys.has(key)).sort()
    .map((key) => `${JSON.stringify(key)}:${toCanonicalJson(value[key])}`);
  return `{${parts.join(",")}}`;
}

const labelMax = 120;

function toLabel(value: unknown): string {
  const shown = [getOwn(value, "name"), getOwn(value, "value"), value].find((text) =>
    typeof text === "string" && text.trim() !== "" || typeof text === "number" || typeof text === "boolean"
  );
  const text = shown === undefined ? toCanonicalJson(value) : String(shown);
  return text.length <= labelMax ? text : `${text.slice(0, labelMax).replace(/[\ud800-\udbff]$/, "")}…`;
}

/**
 * Returns a canonical text. A value equals an object that holds only that value: both give the same image.
 */
const toIdentity = (value: unknown): string => {
  const isOnlyValue = isObject(value) &&
    Object.keys(value).every((key) => key === "value" || ignoredKeys.has(key));
  return toCanonicalJson(isOnlyValue ? getOwn(value, "value") ?? null : value);
};

function readLevels(values: readonly unknown[]): { levels: Level[]; levelOf: Int32Array } {
  const known = new Map<string, number>();
  const levels: Level[] = [];
  const levelOf = Int32Array.from(values, (value, index) => {
    const identity = toIdentity(value);
    const found = known.get(identity);
    if (found !== undefined) return found;
    known.set(identity, levels.length);
    levels.push({ index, label: toLabel(value), identity });
    return levels.length - 1;
  });
  return { levels, levelOf };
}

const knownRoles: readonly unknown[] = ["treatment", "content", "replicate"] satisfies Role[];

/** Returns the role of an axis to which the task gives none. */
const defaultRole = (type: string): Role =>
  type === "prompt" || type === "character"
    ? "content"
    : type === "seed" || type === "batch"
    ? "replicate"
    : "treatment";

/** Finds the type of the tag that stands for a variable; both have the same name. */
function findType(tags: unknown, name: string): string {
  const found = (Array.isArray(tags) ? tags : []).find((tag) =>
    getOwn(tag, "isVariable") && (getOwn(tag, "name") ?? "") === name
  );
  const type = getOwn(found, "type");
  return typeof type === "string" ? type : "";
}

/**
 * Returns the axes of a task that have values, in the order of the matrix. The role comes from `axis_roles`,
 * or else from the type of the axis.
 *
 * @example
 * ```ts
 * import { parseAxes } from "./axes.ts";
 * const [axis] = parseAxes({
 *   variables: { v1: { name: "p", values: [{ value: "a cat" }, { id: "7", value: "a cat" }, "a dog"] } },
 *   tags: [{ isVariable: true, name: "p", type: "prompt" }],
 *   types: null,
 *   axis_roles: null,
 * });
 * if (axis?.key !== "v1" || axis.role !== "content" || axis.levelOf.join() !== "0,0,1") throw new Error();
 * ```
 */
export function parseAxes(
  { variables, tags, types, axis_roles: roles }: {
    variables: unknown;
    tags: unknown;
    types: unknown;
    axis_roles: unknown;
  },
): Axis[] {
  return Array.from({ length: 6 }, (_, slot) => `v${slot}`).flatMap((key) => {
    const variable = getOwn(variables, key);
    const values = getOwn(variable, "values");
    if (!Array.isArray(values) || values.length === 0) return [];
    const name = String(getOwn(variable, "name") ?? "");
    const known = getOwn(types, key);
    const type = typeof known === "string" ? known : findType(tags, name);
    const role = getOwn(roles, key);
    return [{
      key,
      name,
      type,
      role: knownRoles.includes(role) ? role as Role : defaultRole(type),
      ...readLevels(values),
    }];
  });
}

/** The level of every cell on every axis. */
export interface CellLevels {
  cells: number;
  /** One column per axis, with a level per cell; −1 for a cell that has no level on the axis. */
  levels: Int32Array[];
}

/**
 * Computes the levels of a complete matrix. Cells are in row-major order: the last axis varies fastest, and
 * repeats of a combination are adjacent.
 *
 * @returns undefined if `total` is not a multiple of the number of combinations, which means that cells are
 * missing
 */
export function levelsOfFullMatrix(axes: readonly Axis[], total: number): CellLevels | undefined {
  const combinations = axes.reduce((product, { levelOf }) => product * levelOf.length, 1);
  if (total === 0 || total % combinations !== 0) return undefined;
  let stride = total;
  const levels = axes.map(({ levelOf }) => {
    stride /= levelOf.length;
    const length = levelOf.length;
    const axisStride = stride;
    const column = new Int32Array(total);
    for (let cell = 0; cell < total; cell++) column[cell] = levelOf[Math.floor(cell / axisStride) % length]!;
    return column;
  });
  return { cells: total, levels };
}

/** Bytes of one entry of `readIndices`. */
const indicesBytes = 14;

/** Reads levels from each cell's stored indices (`readIndices`), for a matrix that is not complete. */
export function levelsFromIndices(axes: readonly Axis[], total: number, packed: Uint8Array): CellLevels {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const count = packed.byteLength / indicesBytes;
  let cells = total;
  for (let i = 0; i < count; i++) cells = Math.max(cells, view.getInt16(i * indicesBytes) + 32768 + 1);
  const levels = axes.map(() => new Int32Array(cells).fill(-1));
  axes.forEach(({ key, levelOf }, a) => {
    const offset = 2 + 2 * Number(key.slice(1));
    for (let i = 0; i < count; i++) {
      const index = view.getInt16(i * indicesBytes + offset) - 1;
      const cell = view.getInt16(i * indicesBytes) + 32768;
      levels[a]![cell] = index >= 0 ? levelOf[index] ?? -1 : levelOf.length === 1 ? 0 : -1;
    }
  });
  return { cells, levels };
}
