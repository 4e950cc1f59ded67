/** The draft of a run: what the person has typed. It is kept in the browser until the run is created. */
import { signal } from "@preact/signals";
import { draftPrefix, readPreference, writePreference } from "../../text/language.ts";

/** Types of tags, as the image API knows them. */
export const axisTypes = [
  "prompt",
  "character",
  "element",
  "ratio",
  "seed",
  "cfg",
  "steps",
  "ckpt_name",
  "polish",
] as const;
export type AxisType = (typeof axisTypes)[number];

/** Types that only a fixed tag has. */
export const fixedTypes = [...axisTypes, "batch", "lumina"] as const;

export const roles = ["treatment", "content", "replicate"] as const;
export type Role = (typeof roles)[number];

export const seedPolicies = ["shared", "per_combination", "per_cell", "pinned"] as const;
export type SeedPolicy = (typeof seedPolicies)[number];

/** Fields of a tag or a value that the page does not show, such as a colour of the old frontend. */
export type Extra = Record<string, unknown>;

export interface DraftAxis {
  id: string;
  /** Place among all tags: the prompt is put together in this order. */
  position: number;
  type: AxisType;
  name: string;
  role: Role | "";
  /** One value a line. */
  text: string;
  /** Hidden fields by line. */
  known: Record<string, Extra>;
  extra: Extra;
}

export interface DraftTag {
  id: string;
  position: number;
  type: string;
  value: string;
  extra: Extra;
}

export interface Draft {
  name: string;
  axes: DraftAxis[];
  fixed: DraftTag[];
  seedPolicy: SeedPolicy;
  seed: string;
  blind: boolean;
  priority: number;
  /** JSON text of the settings; empty for none. */
  settings: string;
  /** Key under which the run is created, so that a repeated request creates it once. */
  key: string;
}

export const axesMax = 6;

/** Returns the role that axes of a type usually have. */
export function usualRole(type: AxisType): Role {
  if (type === "seed") return "replicate";
  return type === "prompt" || type === "character" ? "content" : "treatment";
}

const nextPosition = ({ axes, fixed }: Pick<Draft, "axes" | "fixed">): number =>
  Math.max(-1, ...axes.map(({ position }) => position), ...fixed.map(({ position }) => position)) + 1;

/** Returns a name that no other axis has. */
function uniqueName(axes: readonly DraftAxis[], wanted: string): string {
  const names = new Set(axes.map(({ name }) => name));
  let name = wanted;
  for (let number = 2; names.has(name); number++) name = `${wanted} ${number}`;
  return name;
}

/** Returns an empty axis. */
export const createAxis = (draft: Draft, type: AxisType): DraftAxis => ({
  id: crypto.randomUUID(),
  position: nextPosition(draft),
  type,
  name: uniqueName(draft.axes, type),
  role: usualRole(type),
  text: "",
  known: {},
  extra: {},
});

export const createTag = (draft: Draft, type: string, value = ""): DraftTag => ({
  id: crypto.randomUUID(),
  position: nextPosition(draft),
  type,
  value,
  extra: {},
});

/** Returns an empty draft: one axis of prompts and one of seeds, as most runs have. */
export function createDraft(): Draft {
  const empty: Draft = {
    name: "",
    axes: [],
    fixed: [],
    seedPolicy: "shared",
    seed: "",
    blind: false,
    priority: 1,
    settings: "",
    key: crypto.randomUUID(),
  };
  empty.axes.push(createAxis(empty, "prompt"));
  empty.axes.push(createAxis(empty, "seed"));
  return empty;
}

/** Returns the lines that are values. */
export const linesOf = ({ text }: Pick<DraftAxis, "text">): string[] =>
  text.split("\n").map((line) => line.trim()).filter((line) => line !== "");

export const draft = signal<Draft>(createDraft());
/** Whether the browser refused to keep the draft. */
export const isUnsaved = signal(false);

let storageKey: string | undefined;

/** Opens the draft of a user, which may be from an earlier visit. @returns whether there was one */
export function openDraft(userId: string): boolean {
  storageKey = draftPrefix + userId;
  const stored = readPreference(storageKey);
  try {
    if (stored !== null) {
      draft.value = { ...createDraft(), ...JSON.parse(stored) };
      return true;
    }
  } catch {
    // An unreadable draft is discarded.
  }
  draft.value = createDraft();
  return false;
}

/** Changes the draft and keeps it. A changed draft is another run: it gets another key. */
export function changeDraft(changes: Partial<Draft>): void {
  draft.value = { ...draft.value, ...changes, key: crypto.randomUUID() };
  if (storageKey === undefined) return;
  writePreference(storageKey, JSON.stringify(draft.value));
  isUnsaved.value = readPreference(storageKey) === null;
}

/** Forgets the draft, once its run is created or the person starts over. */
export function clearDraft(): void {
  draft.value = createDraft();
  if (storageKey !== undefined) writePreference(storageKey, undefined);
}

/** Changes one axis. */
export function changeAxis(id: string, changes: Partial<DraftAxis>): void {
  const axes = draft.value.axes.map((axis) => axis.id === id ? { ...axis, ...changes } : axis);
  changeDraft({ axes });
}

/** Changes one fixed tag. */
export function changeTag(id: string, changes: Partial<DraftTag>): void {
  changeDraft({ fixed: draft.value.fixed.map((tag) => tag.id === id ? { ...tag, ...changes } : tag) });
}
