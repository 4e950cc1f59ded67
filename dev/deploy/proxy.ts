/** What the operator's commands do to a proxy, whichever it is. */
import { AppError } from "../../errors.ts";

/** Two colours of this system. One of them answers. */
export const colours = ["blue", "green"] as const;
export type Colour = (typeof colours)[number];

/** Answers of one side since the proxy was started or its log was begun. */
export interface Answers {
  requests: number;
  /** Answers with 5xx. */
  errors: number;
}

/** Answers by side: the old backend, and this system. */
export type Counts = Record<"old" | "new", Answers>;

/** A running proxy. */
export interface ProxyControl {
  /** Sets the share of this system, in percent with at most two decimals. Running requests end where they are. */
  setShare(percent: number): Promise<void>;
  setColour(colour: Colour): Promise<void>;
  /** Returns totals, of which only differences have a meaning. */
  readCounts(): Promise<Counts>;
}

/** Reads a file that a command is about to change. @throws AppError source_missing */
export async function readConfigFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new AppError("source_missing", `reading '${path}': ${(cause as Error).message}`, { cause });
  }
}

/** Replaces a file in one move, so that no reader sees half of it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const next = `${path}.next`;
  await Deno.writeTextFile(next, text);
  await Deno.rename(next, path);
}
