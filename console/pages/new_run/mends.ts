/** Ways to mend what the plan warns of. */
import { axisOfKey } from "./body.ts";
import {
  changeDraft,
  createTag,
  type Draft,
  type DraftAxis,
  linesOf,
  type Role,
  usualRole,
} from "./draft.ts";

/** What a mend does: the text of its button, and the change. */
export interface Mend {
  key:
    | "shareSeed"
    | "seedDecides"
    | "setRoles"
    | "compareFirst"
    | "makeContent"
    | "makeReplicate"
    | "addValues"
    | "makeFixed"
    | "removeRepeated"
    | "shorten";
  run: () => void;
}

export const cellsMax = 50_000;

const changeAxes = (draft: Draft, ids: ReadonlySet<string>, change: (axis: DraftAxis) => DraftAxis): void =>
  changeDraft({ axes: draft.axes.map((axis) => ids.has(axis.id) ? change(axis) : axis) });

/** Keeps the first of equal lines. */
const withoutRepeated = (axis: DraftAxis): DraftAxis => ({
  ...axis,
  text: [...new Set(linesOf(axis))].join("\n"),
});

/** Shortens the longest axis so that the run fits. */
function shorten(draft: Draft): void {
  const lengths = draft.axes.map((axis) => Math.max(1, linesOf(axis).length));
  const cells = lengths.reduce((product, length) => product * length, 1);
  const longest = lengths.indexOf(Math.max(...lengths));
  const axis = draft.axes[longest];
  if (!axis) return;
  const kept = Math.max(1, Math.floor(cellsMax * lengths[longest]! / cells));
  changeAxes(draft, new Set([axis.id]), (one) => ({ ...one, text: linesOf(one).slice(0, kept).join("\n") }));
}

/** Types that act only together with the element {@link parameterElement}. */
const parameterTypes = ["cfg", "steps", "ckpt_name"];
const parameterElement = "lumina1";

/** Returns the axes whose values change no image, because the element that takes them is missing. */
export function listIdleAxes({ axes, fixed }: Draft): DraftAxis[] {
  const hasElement = fixed.some(({ type, value }) => type === "element" && value === parameterElement) ||
    axes.some((axis) =>
      axis.type === "element" && linesOf(axis).some((line) => line.split(" | ")[0] === parameterElement)
    );
  return hasElement
    ? []
    : axes.filter((axis) => parameterTypes.includes(axis.type) && linesOf(axis).length > 1);
}

const hasRepeated = ({ axes }: Draft): boolean =>
  axes.some((axis) => new Set(linesOf(axis)).size < linesOf(axis).length);

/** Turns axes of one value into fixed tags. */
function makeFixed(draft: Draft, ids: ReadonlySet<string>): void {
  const moved = draft.axes.filter(({ id }) => ids.has(id));
  const fixed = moved.map((axis) => ({
    ...createTag(draft, axis.type, linesOf(axis)[0] ?? ""),
    position: axis.position,
  }));
  changeDraft({ axes: draft.axes.filter(({ id }) => !ids.has(id)), fixed: [...draft.fixed, ...fixed] });
}

/** Puts the cursor at the end of an axis. */
function focusAxis(id: string): void {
  const area = document.querySelector<HTMLTextAreaElement>(`[data-axis="${id}"] textarea`);
  area?.focus();
  area?.setSelectionRange(area.value.length, area.value.length);
}

/** Returns how to mend a warning; undefined where only the person knows. */
export function findMend(draft: Draft, code: string, keys: readonly string[]): Mend | undefined {
  const axes = keys.flatMap((key) => axisOfKey(draft, key) ?? []);
  const ids = new Set(axes.map(({ id }) => id));
  const setRole = (role: Role) => () => changeAxes(draft, ids, (axis) => ({ ...axis, role }));
  switch (code) {
    case "seeds_confounded":
    case "no_content_axis":
      return { key: "shareSeed", run: () => changeDraft({ seedPolicy: "shared" }) };
    case "seed_tag_wins":
      return { key: "seedDecides", run: () => changeDraft({ seedPolicy: "per_cell" }) };
    case "roles_missing":
      return {
        key: "setRoles",
        run: () => changeAxes(draft, ids, (axis) => ({ ...axis, role: usualRole(axis.type) })),
      };
    case "nothing_compared": {
      const first = axes.find(({ type }) => type !== "seed");
      return first &&
        {
          key: "compareFirst",
          run: () => changeAxes(draft, new Set([first.id]), (axis) => ({ ...axis, role: "treatment" })),
        };
    }
    case "replicates_differ":
      return { key: "makeContent", run: setRole("content") };
    case "seed_axis_role":
      return { key: "makeReplicate", run: setRole("replicate") };
    case "few_units":
      return axes[0] && { key: "addValues", run: () => focusAxis(axes[0]!.id) };
    case "one_level":
      return { key: "makeFixed", run: () => makeFixed(draft, ids) };
    case "duplicates":
      if (!hasRepeated(draft)) return undefined;
      return { key: "removeRepeated", run: () => changeDraft({ axes: draft.axes.map(withoutRepeated) }) };
    case "too_many_cells":
      return { key: "shorten", run: () => shorten(draft) };
    default:
      return undefined;
  }
}
