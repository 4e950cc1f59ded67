/** Warnings about a task before it is created. Pure. */
import { type AxisRole, cellsMax } from "../../db/queue/task_fields.ts";
import type { Json, JsonObject } from "../../json.ts";
import type { SeedRule } from "../matrix/seeds.ts";
import { isTruthy } from "../matrix/values.ts";
import { counted, inflect } from "../../phrases.ts";

export const planWarnings = [
  "too_many_cells",
  "seeds_confounded",
  "seed_tag_wins",
  "no_content_axis",
  "roles_missing",
  "nothing_compared",
  "replicates_differ",
  "seed_axis_role",
  "few_units",
  "one_level",
  "unused_axis",
  "duplicates",
] as const;

export interface PlanWarning {
  code: typeof planWarnings[number];
  message: string;
  /** Keys of the axes, `v0` to `v5`. */
  axes: string[];
}

/** An axis with the types of its tags. */
interface AxisUse {
  axis: string;
  length: number;
  types: string[];
  role: AxisRole | undefined;
}

/** Minimum content units from which a mean has a confidence interval. */
const unitsMin = 6;

function readUses(tags: Json[], variables: JsonObject, { roles }: SeedRule): AxisUse[] {
  const uses: AxisUse[] = [];
  for (const axis of ["v0", "v1", "v2", "v3", "v4", "v5"]) {
    const variable = variables.get(axis);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    if (!(variable instanceof Map) || !Array.isArray(values) || values.length === 0) continue;
    const types = tags.flatMap((tag) => {
      const usesAxis = tag instanceof Map && isTruthy(tag.get("isVariable")) &&
        tag.get("name") === variable.get("name");
      const type = usesAxis ? tag.get("type") : undefined;
      return typeof type === "string" ? [type] : [];
    });
    uses.push({ axis, length: values.length, types, role: roles[axis] });
  }
  return uses;
}

const about = (code: PlanWarning["code"], uses: AxisUse[], message: string): PlanWarning[] =>
  uses.length === 0 ? [] : [{ code, message, axes: uses.map(({ axis }) => axis) }];

const always = (code: PlanWarning["code"], message: string): PlanWarning => ({ code, message, axes: [] });

const isLong = ({ length }: AxisUse) => length > 1;
const isSeed = ({ types }: AxisUse) => types.includes("seed");

function warnOfSeeds(uses: AxisUse[], hasSeedTag: boolean, { policy }: SeedRule): PlanWarning[] {
  if (policy === "per_cell") {
    const compared = uses.filter(({ role }) => role === "treatment" || role === undefined).filter(isLong);
    return hasSeedTag ? [] : about(
      "seeds_confounded",
      compared,
      "each cell draws its own seed: means compared along these axes differ by luck too",
    );
  }
  const warnings = hasSeedTag
    ? [always("seed_tag_wins", `seeds of tags win over seed_policy '${policy}'`)]
    : [];
  if (policy !== "per_combination" || uses.some(({ role }) => role === "content")) return warnings;
  const message = "no axis is content: per_combination gives one seed to all, as shared does";
  return [...warnings, always("no_content_axis", message)];
}

function warnOfRoles(uses: AxisUse[]): PlanWarning[] {
  const long = uses.filter(isLong);
  const compares = long.some(({ role }) => role === "treatment" || role === undefined);
  const replicates = long.filter(({ role, types }) =>
    role === "replicate" && types.some((type) => type !== "seed")
  );
  const seeds = uses.filter(isSeed).filter(({ role }) => role === "treatment" || role === "content");
  const content = uses.filter(({ role }) => role === "content");
  const units = content.reduce((product, { length }) => product * length, 1);
  return [
    ...about(
      "roles_missing",
      long.filter(({ role }) => role === undefined),
      "axes without a role count as treatments",
    ),
    ...about("nothing_compared", compares ? [] : long, "no axis is a treatment: there is nothing to compare"),
    ...about(
      "replicates_differ",
      replicates,
      "these axes are replicates, yet their values change more than the seed",
    ),
    ...about("seed_axis_role", seeds, "axes of seeds are replicates"),
    ...about(
      "few_units",
      units < unitsMin ? content : [],
      `${counted(units, "content unit")}: below ${unitsMin} there are means without an interval`,
    ),
  ];
}

/** Returns all warnings, the most serious first. */
export function warnOfPlan(
  { tags, variables, seedRule }: { tags: Json[]; variables: JsonObject; seedRule: SeedRule },
  { cells, duplicates }: { cells: number; duplicates: number },
): PlanWarning[] {
  const uses = readUses(tags, variables, seedRule);
  const hasSeedTag = tags.some((tag) => tag instanceof Map && tag.get("type") === "seed");
  const tooMany = always("too_many_cells", `${counted(cells, "cell")}: at most ${cellsMax} can be made`);
  const twice = always(
    "duplicates",
    `${counted(duplicates, "cell")} ${
      inflect(duplicates, "asks", "ask")
    } for an image that another cell asks for`,
  );
  return [
    ...(cells > cellsMax ? [tooMany] : []),
    ...warnOfSeeds(uses, hasSeedTag, seedRule),
    ...warnOfRoles(uses),
    ...about("one_level", uses.filter((use) => !isLong(use)), "an axis of one value compares nothing"),
    ...about(
      "unused_axis",
      uses.filter(({ types }) => types.length === 0),
      "no tag takes its value from these axes",
    ),
    ...(duplicates > 0 ? [twice] : []),
  ];
}
