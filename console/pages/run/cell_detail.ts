/** The details of a cell as v2 gives them, and their ratings in words. */
import type { Schemas } from "../../api/client.ts";
import { formatFixed } from "../../text/format.ts";
import { runTexts } from "./texts.ts";

export type CellDetail = Schemas["CellDetail"];

/** Mean, number and one's own stars in words. */
export function describeRatings({ mean, n, stars }: CellDetail["ratings"]): string {
  const t = runTexts.value.detail;
  if (n === null) return t.hidden;
  const all = mean === null || n === 0 ? t.unrated : t.mean(formatFixed(mean, 1), n);
  return stars === null ? all : `${all} · ${t.mine(stars)}`;
}
