/** Formats stored differences of the shadow as text. */
import { counted } from "../phrases.ts";
import { type Cause, causes } from "./looks.ts";

/** Differences of one kind, as the database stores them. */
export interface StoredDifference {
  route: string;
  path: string;
  cause: Cause;
  rule: string;
  answers: number;
  last_at: string;
  sample_target: string;
  sample_old: string | null;
  sample_new: string | null;
}

const headings: Record<Cause, string> = {
  code: "code: the rows are equal, and the answers are not",
  data: "data: rows differ from their documents",
  lag: "lag: changes that were not applied yet",
  noise: "noise: the old backend answers differently by itself",
  intended: "intended differences",
};

/** Causes whose differences are shown with a sample. */
const shownInFull: ReadonlySet<Cause> = new Set(["code", "data"]);
const order: readonly Cause[] = ["code", "data", ...causes.filter((cause) => !shownInFull.has(cause))];

function formatOne(one: StoredDifference): string[] {
  const { route, path, cause, rule, answers, last_at, sample_target, sample_old, sample_new } = one;
  const why = rule === "" ? "" : `: ${rule}`;
  const line = `  ${route} ${path} (${counted(answers, "answer")}, last ${last_at})${why}`;
  if (!shownInFull.has(cause)) return [line];
  return [
    line,
    `    asked for  ${sample_target}`,
    `    old        ${sample_old ?? "(absent)"}`,
    `    new        ${sample_new ?? "(absent)"}`,
  ];
}

/**
 * Returns a heading for each cause with its differences, those that call for a person first.
 *
 * @example
 * ```ts
 * import { formatDifferences } from "./format_differences.ts";
 * if (formatDifferences([]).join() !== "no differences") throw new Error();
 * ```
 */
export function formatDifferences(rows: readonly StoredDifference[]): string[] {
  if (rows.length === 0) return ["no differences"];
  const byCause = Map.groupBy(rows, ({ cause }) => cause);
  return order.flatMap((cause) => {
    const found = byCause.get(cause);
    return found ? [headings[cause], ...found.flatMap(formatOne)] : [];
  });
}
