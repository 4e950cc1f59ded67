/** The latest figures of each bench, as docs/benches.json keeps them for docs/benches.md. */
import { z } from "zod";
import { AppError } from "../../errors.ts";
import { benches } from "../benches.ts";

const machine = z.object({
  cpu: z.string(),
  memoryMib: z.number(),
  kernel: z.string(),
  deno: z.string(),
  postgres: z.string(),
});

const figure = z.object({
  bench: z.string(),
  what: z.string(),
  value: z.number(),
  unit: z.string(),
  spread: z.tuple([z.number(), z.number()]).optional(),
  goal: z.object({ text: z.string(), met: z.boolean() }).optional(),
  note: z.string().optional(),
  minor: z.literal(true).optional(),
});

const run = z.object({
  bench: z.enum(Object.keys(benches)),
  /** Absent in figures that were measured before the tool existed. */
  at: z.iso.datetime().optional(),
  quick: z.boolean(),
  seconds: z.number().optional(),
  loads: z.tuple([z.number(), z.number()]),
  goals: z.number(),
  met: z.number(),
});

const storedRun = run.extend({ cores: z.number(), machine: machine.optional() });

const stored = z.object({ benches: z.array(storedRun), figures: z.array(figure) });

/** What `deno task bench all --json` prints. */
const result = z.object({
  benches: z.array(run),
  figures: z.array(figure),
  failed: z.array(z.object({ bench: z.string() })),
  cores: z.number(),
  machine,
});

export type StoredFigure = z.infer<typeof figure>;
export type StoredRun = z.infer<typeof storedRun>;
/** One run of each bench with its figures, in the order of the table of benches. */
export type Stored = z.infer<typeof stored>;
export type Result = z.infer<typeof result>;

function parse<T>(schema: z.ZodType<T>, text: string, path: string): T {
  const fail = (reason: string, cause?: unknown) =>
    new AppError("invalid_source", `reading the figures of '${path}': ${reason}`, { cause });
  let value: unknown;
  try {
    // What was printed before the object is no part of it.
    value = JSON.parse(text.trimEnd().split("\n").at(-1)!);
  } catch (cause) {
    throw fail("the last line is no JSON", cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path: at, message } = parsed.error.issues[0]!;
  throw fail(`${at.join(".") || "the object"}: ${message}`, parsed.error);
}

/** Parses the output of `deno task bench all --json`. @throws AppError invalid_source */
export const parseResult = (text: string, path: string): Result => parse(result, text, path);

/** Parses docs/benches.json. @throws AppError invalid_source */
export const parseStored = (text: string, path: string): Stored =>
  parse(stored, text.replaceAll("\n", ""), path);

/** Formats docs/benches.json with one run or figure a line. */
export function formatStored({ benches, figures }: Stored): string {
  const toLines = (items: unknown[]) => items.map((item) => JSON.stringify(item)).join(",\n");
  return `{"benches":[\n${toLines(benches)}\n],"figures":[\n${toLines(figures)}\n]}\n`;
}

/** Replaces the benches that a result has. A bench that failed keeps its former figures. */
export function merge(former: Stored, { benches: runs, figures, failed, cores, machine }: Result): Stored {
  const failures = new Set(failed.map(({ bench }) => bench));
  const added = runs.filter(({ bench }) => !failures.has(bench));
  const isAdded = (bench: string) => added.some((one) => one.bench === bench);
  const position = ({ bench }: { bench: string }) => Object.keys(benches).indexOf(bench);
  const byBench = (a: { bench: string }, b: { bench: string }) => position(a) - position(b);
  return {
    benches: [
      ...former.benches.filter(({ bench }) => !isAdded(bench)),
      ...added.map((one) => ({ ...one, cores, machine })),
    ].sort(byBench),
    figures: [
      ...former.figures.filter(({ bench }) => !isAdded(bench)),
      ...figures.filter(({ bench }) => isAdded(bench)),
    ].sort(byBench),
  };
}
