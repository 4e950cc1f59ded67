/** A draft as v2 takes it, and back. */
import type { Schemas } from "../../api/client.ts";
import {
  type AxisType,
  axisTypes,
  createDraft,
  type Draft,
  type DraftAxis,
  type DraftTag,
  type Extra,
  linesOf,
  roles,
  seedPolicies,
  usualRole,
} from "./draft.ts";

export type RunBody = Schemas["TaskIn"];

/** Stands for a line break inside a value, since each line of an axis is one value. */
const breakSign = "↵";
const separator = " | ";

const isReference = (type: string): boolean => type === "character" || type === "element";

/** Parses a line: `name | uuid | weight | image` for characters and elements, and the value itself for others. */
function readLine({ type, known }: DraftAxis, line: string): Extra {
  const extra = known[line] ?? {};
  const text = line.replaceAll(breakSign, "\n");
  if (!isReference(type)) return { ...extra, value: text };
  const [value = "", uuid = "", weight = "", image = ""] = text.split(/\t| \| /).map((part) => part.trim());
  return {
    ...extra,
    value,
    uuid,
    ...(weight === "" ? {} : { weight: Number(weight) }),
    ...(image === "" ? {} : { header_img: image }),
  };
}

/** Formats a value as a line. */
function toLine(type: string, value: Extra): string {
  const text = String(value.value ?? "").replaceAll(/\r?\n/g, breakSign);
  if (!isReference(type)) return text;
  const parts = [text, value.uuid ?? "", value.weight ?? "", value.header_img ?? ""].map(String);
  while (parts.length > 1 && parts.at(-1) === "") parts.pop();
  return parts.join(separator);
}

/** Returns the settings, or undefined if their text is no JSON object. */
export function parseSettings(text: string): Record<string, unknown> | undefined {
  if (text.trim() === "") return {};
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the body that creates the run. Axes without a value are left out. */
export function toBody(draft: Draft): RunBody {
  const axes = draft.axes.filter((axis) => linesOf(axis).length > 0);
  const tags = [
    ...axes.map(({ id, position, type, name, extra }) => ({
      position,
      tag: { ...extra, id, type, isVariable: true, value: "", name },
    })),
    ...draft.fixed.filter(({ value, extra }) => value !== "" || extra.isVariable).map(
      ({ id, position, type, value, extra }) => ({
        position,
        tag: { isVariable: false, ...extra, id, type, value },
      }),
    ),
  ].sort((a, b) => a.position - b.position).map(({ tag }) => tag);
  const variables = Object.fromEntries(axes.map((axis, i) => [`v${i}`, {
    tag_id: axis.id,
    name: axis.name,
    values: linesOf(axis).map((line, n) => ({ id: `${i}-${n}`, ...readLine(axis, line) })),
  }]));
  const given = axes.flatMap(({ role }, i) => role === "" ? [] : [[`v${i}`, role]]);
  return {
    name: draft.name.trim(),
    tags,
    variables,
    settings: parseSettings(draft.settings) ?? {},
    seed_policy: draft.seedPolicy,
    ...(draft.seedPolicy === "pinned" ? { seed: Number(draft.seed) } : {}),
    axis_roles: Object.fromEntries(given),
    blind: draft.blind,
    priority: draft.priority,
  };
}

/** Returns the axis that the key `v2` names in the body. */
export const axisOfKey = (draft: Draft, key: string): DraftAxis | undefined =>
  draft.axes.filter((axis) => linesOf(axis).length > 0)[Number(key.slice(1))];

const isObject = (value: unknown): value is Extra =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A description of a run, as v2 returns it or as a file has it. */
export interface RunInput {
  name: string;
  tags: readonly unknown[];
  variables: Extra;
  settings: Extra;
  seed_policy?: string;
  seed?: number;
  axis_roles?: Extra;
  blind?: boolean;
  priority?: number;
}

function toAxis(tag: Extra, position: number, variable: Extra, role: unknown): DraftAxis | undefined {
  const type = axisTypes.find((one) => one === tag.type);
  const values = Array.isArray(variable.values) ? variable.values : [];
  if (type === undefined || values.length === 0) return undefined;
  const objects = values.map((value): Extra => isObject(value) ? value : { value });
  const known: Record<string, Extra> = {};
  for (const value of objects) {
    const { id: _id, value: _value, ...extra } = value;
    if (Object.keys(extra).length > 0) known[toLine(type, value)] = extra;
  }
  const { id: _id, type: _type, isVariable: _isVariable, value: _value, name: _name, ...extra } = tag;
  return {
    id: crypto.randomUUID(),
    position,
    type,
    name: String(variable.name ?? type),
    role: roles.find((one) => one === role) ?? usualRole(type),
    text: objects.map((value) => toLine(type, value)).join("\n"),
    known,
    extra,
  };
}

function toTag(tag: Extra, position: number): DraftTag {
  const { id: _id, type, value, isVariable, ...extra } = tag;
  return {
    id: crypto.randomUUID(),
    position,
    type: String(type ?? ""),
    value: String(value ?? ""),
    // A second tag of a variable stays a variable tag.
    extra: isVariable ? { ...extra, isVariable } : extra,
  };
}

/** Returns the draft of a run that is described. Axes are ordered as their variables. */
export function toDraft(input: RunInput): Draft {
  const axes = new Map<string, DraftAxis>();
  const fixed: DraftTag[] = [];
  for (const [position, tag] of input.tags.entries()) {
    if (!isObject(tag)) continue;
    const [key, variable] = Object.entries(input.variables).find(([key, variable]) =>
      tag.isVariable && !axes.has(key) && isObject(variable) && variable.name === (tag.name ?? "")
    ) ?? [];
    const axis = key !== undefined && isObject(variable)
      ? toAxis(tag, position, variable, input.axis_roles?.[key])
      : undefined;
    if (key !== undefined && axis) {
      axes.set(key, axis);
    } else fixed.push(toTag(tag, position));
  }
  const ordered = [...axes].sort(([a], [b]) => a < b ? -1 : 1).map(([, axis]) => axis);
  const hasSettings = Object.keys(input.settings).length > 0;
  return {
    ...createDraft(),
    name: input.name,
    axes: ordered,
    fixed,
    // A file of the old frontend has no policy: there each cell drew its own seed.
    seedPolicy: seedPolicies.find((one) => one === input.seed_policy) ?? "per_cell",
    seed: input.seed === undefined ? "" : String(input.seed),
    blind: input.blind ?? false,
    priority: input.priority ?? 1,
    settings: hasSettings ? JSON.stringify(input.settings, null, 2) : "",
  };
}

/** Reports whether a type can be an axis. */
export const isAxisType = (type: string): type is AxisType => (axisTypes as readonly string[]).includes(type);
