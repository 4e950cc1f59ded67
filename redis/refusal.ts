/** Why Redis cannot be used, as its error says. */

/** `unreachable` includes every failure that is no answer of Redis; `other` is an unknown answer. */
export type RedisFault =
  | "full"
  | "loading"
  | "not_authenticated"
  | "not_permitted"
  | "not_saving"
  | "other"
  | "quota"
  | "read_only"
  | "unreachable"
  | "wrong_type";

interface FaultText {
  /** Completes the sentence «Redis …». */
  text: string;
  advice: string;
}

/** Descriptions for people. */
const faultTexts: Record<RedisFault, FaultText> = {
  full: {
    text: "refuses writes: its memory is full",
    advice: "raise maxmemory, or remove other programs' keys; the queue itself needs less than 2 MB",
  },
  loading: { text: "is loading its data", advice: "wait until it has loaded them" },
  not_authenticated: {
    text: "refuses the user, password or token",
    advice: "correct them where its address is set",
  },
  not_permitted: {
    text: "refuses a command that its user may not run",
    advice: "permit the commands and keys that docs/operating-queue.md lists, or use another user",
  },
  not_saving: {
    text: "refuses writes: it cannot save its data to disk",
    advice: "correct the cause that Redis' log names, such as a full disk",
  },
  other: { text: "answers with an error", advice: "the error says why" },
  quota: {
    text: "refuses commands: its quota is used up",
    advice: "raise the quota at the provider, or wait until it is renewed",
  },
  read_only: {
    text: "refuses writes: it is a replica, or has no replica to write to",
    advice: "use the address of the primary; after a failover, its name must point to the new one",
  },
  unreachable: { text: "does not answer", advice: "start it, or correct its address" },
  wrong_type: {
    text: "holds a key of another type",
    advice: "another program writes the keys: 'deno task worker:doctor --repair' replaces them",
  },
};

/** All causes of a failed call. */
export const redisFaults: readonly string[] = Object.keys(faultTexts);

/**
 * Patterns of Redis' errors. A code starts the text, or follows the name of the failed command or script.
 * Upstash's texts have no code.
 */
const patterns: [RedisFault, RegExp][] = [
  ["full", /(?:^|[\s-])OOM\b|capacity quota exceeded|max (?:data|database|storage)[\w ]* exceeded/i],
  [
    "quota",
    /max [\w ]*(?:requests?|commands?|bandwidth)[\w ]* exceeded|\bquota\b|rate limit|too many requests/i,
  ],
  ["read_only", /(?:^|[\s-])(?:READONLY|MASTERDOWN|UNBLOCKED|NOREPLICAS)\b/],
  ["loading", /(?:^|[\s-])LOADING\b/],
  ["not_permitted", /(?:^|[\s-])NOPERM\b/],
  ["not_authenticated", /(?:^|[\s-])(?:NOAUTH|WRONGPASS)\b/],
  ["not_saving", /(?:^|[\s-])MISCONF\b/],
  ["wrong_type", /(?:^|[\s-])WRONGTYPE\b/],
  [
    "other",
    /(?:^|[\s-])(?:ERR|EXECABORT|BUSY|NOSCRIPT|CLUSTERDOWN|MOVED|CROSSSLOT|TRYAGAIN)\b|^Command \d+ \[/,
  ],
];

/**
 * Returns the text of an error without the command that Upstash's client appends, which may contain anything.
 */
function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split(", command was: ")[0]!;
}

/**
 * Returns why a call of Redis failed.
 *
 * @example
 * ```ts
 * import { readFault } from "./refusal.ts";
 * const error = new Error("OOM command not allowed when used memory > 'maxmemory'.");
 * if (readFault(error) !== "full") throw new Error("its memory is full");
 * ```
 */
export function readFault(error: unknown): RedisFault {
  const text = textOf(error);
  return patterns.find(([, pattern]) => pattern.test(text))?.[0] ?? "unreachable";
}

/** A described failure; `text` completes the sentence «Redis …» and quotes what Redis said. */
export interface DescribedFault {
  fault: RedisFault;
  text: string;
  advice: string;
  /** The text of the error. */
  said: string;
}

/** Describes a failed call: what is wrong, what Redis said, and what to do. */
export function describeFault(error: unknown): DescribedFault {
  const fault = readFault(error);
  const { text, advice } = faultTexts[fault];
  const said = textOf(error).slice(0, 200);
  return { fault, text: `${text} (${said})`, advice, said };
}

const refusals: readonly RedisFault[] = ["full", "not_authenticated", "not_permitted", "not_saving", "quota"];

/** Reports whether an error says that this server refuses commands until somebody changes it. */
export const isRefused = (text: string): boolean => refusals.includes(readFault(text));

const movedPattern = /(?:^|[\s-])(?:READONLY|MASTERDOWN|UNBLOCKED|NOREPLICAS|LOADING|CLUSTERDOWN)\b/;

/**
 * Reports whether an error says that this server is no primary (any more). Another server may have taken its
 * name over, which only a new connection shows.
 */
export const isDemoted = (text: string): boolean => movedPattern.test(text);
