/** Measures two commits in turns. */
import { AppError } from "../../errors.ts";
import { runBench } from "../all/run.ts";
import type { Figure } from "../report.ts";
import { compare, judgeAgain, listSuspects, type Row, type Sides } from "./judge.ts";
import type { Measure } from "./measures.ts";
import { checkOut } from "./worktrees.ts";

/** Two commits by their hashes. */
export interface Commits {
  base: string;
  head: string;
}

export interface GuardOptions {
  /** Folder of the repository. */
  root: URL;
  measures: Measure[];
  /** Rounds of each measurement, each with one run of both commits. */
  rounds: number;
  signal: AbortSignal;
  onProgress: (line: string) => void;
}

/** Of one run. A bench that takes longer has got stuck. */
const minutesMax = 20;

type Roots = Record<keyof Commits, URL>;

/** Runs a measure once. @throws AppError internal that names the bench and the commit if it fails */
async function runOnce(
  side: keyof Commits,
  { bench, args, figures }: Measure,
  roots: Roots,
  signal: AbortSignal,
): Promise<Figure[]> {
  const { exitCode, report } = await runBench(bench, {
    args,
    root: roots[side],
    minutesMax,
    signal,
    isQuiet: true,
  });
  // At earlier commits a bench that misses a goal exits with 1 after its report.
  if (report) return report.figures.filter(({ what }) => figures.test(what));
  const command = ["bench", bench, ...args].join(" ");
  throw new AppError(
    "internal",
    `measuring ${side}: 'deno task ${command}' failed with exit code ${exitCode}`,
  );
}

async function measure(roots: Roots, measures: Measure[], options: GuardOptions): Promise<Row[]> {
  const sides = new Map<Measure, Sides>(measures.map((one) => [one, { base: [], head: [] }]));
  for (let round = 0; round < options.rounds; round++) {
    for (const [one, figures] of sides) {
      for (const side of ["base", "head"] as const) {
        options.onProgress(`round ${round + 1} of ${options.rounds}: ${one.name} of ${side}`);
        figures[side].push(...await runOnce(side, one, roots, options.signal));
      }
    }
  }
  return [...sides].flatMap(([{ name }, figures]) => compare(name, figures));
}

/** Compares two commits. What seems to be lost is measured again. */
export async function guard({ base, head }: Commits, options: GuardOptions): Promise<Row[]> {
  await using baseCheckout = await checkOut(options.root, base);
  await using headCheckout = await checkOut(options.root, head);
  const roots = { base: baseCheckout.root, head: headCheckout.root };
  const rows = await measure(roots, options.measures, options);
  const suspects = listSuspects(rows);
  if (suspects.length === 0) return rows;
  options.onProgress(`measuring again: ${suspects.join(", ")}`);
  const chosen = options.measures.filter(({ name }) => suspects.includes(name));
  return judgeAgain(rows, await measure(roots, chosen, options));
}
