/** The tables of docs/benches.md. */
import { AppError } from "../../errors.ts";
import { benches as allBenches } from "../benches.ts";
import type { Stored, StoredFigure, StoredRun } from "./stored.ts";

const start = (bench: string) => `<!-- figures of ${bench} -->`;
const end = "<!-- end of the figures -->";

/** Formats a value: whole from 100 on and where it is a count. */
export function formatValue(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en", format);
}

function toRow({ what, value, unit, spread, goal }: StoredFigure): string {
  const cells = [
    what.replaceAll("|", "\\|"),
    `${formatValue(value)} ${unit}`.trimEnd(),
    spread && spread[0] !== spread[1] ? spread.map(formatValue).join("–") : "",
    goal?.text.trimEnd() ?? "",
    goal ? goal.met ? "met" : "missed" : "",
  ];
  return `| ${cells.join(" | ")} |`.replaceAll(/ {2,}/g, " ");
}

const describeMachine = ({ cpu, memoryMib, kernel, deno, postgres }: NonNullable<StoredRun["machine"]>) =>
  `${cpu}, ${(memoryMib / 1024).toFixed(1)} GiB, kernel ${kernel}, Deno ${deno}, PostgreSQL ${postgres}`;

/** Describes when, where and beside which load a bench ran. */
function describeRun({ bench, at, quick, seconds, loads, cores, machine, goals, met }: StoredRun): string {
  const what = `\`deno task bench ${bench}${quick ? " --quick" : ""}\``;
  const [first, last] = loads.map((load) => load.toFixed(1));
  const goalsMet = `${met} of ${goals} goals met.`;
  if (at === undefined) {
    return `Runs of ${what} of an earlier state, at a load average from ${first} to ${last} on ${cores} cores. ${goalsMet}`;
  }
  const duration = seconds === undefined ? "" : `, ${Math.max(1, Math.round(seconds / 60))} min`;
  const place = machine ? ` (${describeMachine(machine)})` : "";
  return `${what} on ${
    at.slice(0, 10)
  }${duration}, at a load average of ${first} at the start and ${last} at the end, ` +
    `on ${cores} cores${place}. ${goalsMet}`;
}

function toSection(run: StoredRun, figures: StoredFigure[]): string {
  const rows = figures.filter(({ bench, minor }) => bench === run.bench && !minor).map(toRow);
  return [
    start(run.bench),
    describeRun(run),
    "",
    "| figure | value | spread | goal | result |",
    "|---|---:|---:|---|---|",
    ...rows,
    end,
  ].join("\n");
}

/**
 * Replaces the tables of a page, which stand between marks.
 *
 * @throws AppError invalid_source if the marks of a bench are missing
 */
export function render(page: string, { benches, figures }: Stored): string {
  let text = page;
  for (const bench of Object.keys(allBenches)) {
    const run = benches.find((one) => one.bench === bench);
    const from = text.indexOf(start(bench));
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) {
      throw new AppError(
        "invalid_source",
        `writing the figures of '${bench}': the page needs the lines '${start(bench)}' and '${end}'`,
      );
    }
    const section = run ? toSection(run, figures) : [start(bench), "No run is recorded yet.", end].join("\n");
    text = text.slice(0, from) + section + text.slice(to + end.length);
  }
  return text;
}
