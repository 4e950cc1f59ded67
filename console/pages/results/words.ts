/** Warnings and findings of v2's statistics, in words. */
import { withAxis } from "../../matrix/names.ts";
import { formatList, formatPercent } from "../../text/format.ts";
import type { Level, Measure, Stats } from "./measures.ts";
import { resultsTexts } from "./texts.ts";

export interface Warning {
  code: string;
  text: string;
  levels?: number[] | undefined;
}

const namesMax = 6;

/** Lists names, the first few of many. */
export const listNames = (names: readonly string[]): string =>
  formatList(names.length > namesMax ? [...names.slice(0, namesMax), "…"] : names);

/** Returns the name of a level with that of its axis where it is only a number. */
export const nameLevel = ({ axis, levels }: Pick<Stats, "axis" | "levels">, level: number): string =>
  withAxis(axis.name, levels.find((one) => one.level === level)?.label ?? "");

/** Returns a warning in the person's language, with the numbers in the server's text. */
export const describeWarning = ({ code, text }: Warning): string =>
  resultsTexts.value.warning(text, code, (text.match(/\d+/g) ?? []).map(Number));

/** Returns why a level has no interval; undefined if nothing says so. */
export function explainGap({ level }: Level, { warnings }: Stats): string | undefined {
  const reason = warnings.find(({ code, levels }) =>
    ["few_units", "no_spread"].includes(code) && levels?.includes(level)
  );
  return reason && describeWarning(reason);
}

/** Probability that the levels which are named as the best have together. */
const setShare = 0.95;

/** Returns which level is best; a set where several may be, since ranks alone would hide a tie. */
export function findBest(stats: Stats, measure: Measure): string | undefined {
  const t = resultsTexts.value;
  const { levels } = stats;
  let names: string[];
  if (measure === "bt") {
    names = levels.filter(({ bt }) => bt?.ranks.best === 1).map(({ level }) => nameLevel(stats, level));
  } else {
    const ranked = levels.filter(({ best }) => typeof best === "number").toSorted((a, b) =>
      b.best! - a.best!
    );
    if (ranked.length < 2) return levels.some(({ mean }) => mean) ? t.fewUnits : undefined;
    let sum = 0;
    const set = ranked.filter(({ best }) => (sum += best!) - best! < setShare);
    names = set.map(({ level, best }) =>
      `${nameLevel(stats, level)} (${t.columns.best} ${formatPercent(best!)})`
    );
  }
  return names.length === 0 ? undefined : t.best(listNames(names), names.length > 1);
}
