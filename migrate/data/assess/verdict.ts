/** GO, WAIT or NO-GO out of an assessment, with reasons. */
import type { ErrorCode } from "../../../errors.ts";
import type { Assessment } from "./assess.ts";
import { formatTable } from "../ledger/status.ts";

export interface Reason {
  /** What it speaks for; `note` for nothing. */
  level: "no-go" | "wait" | "note";
  text: string;
}

export interface AssessVerdict {
  verdict: "GO" | "WAIT" | "NO-GO";
  reasons: Reason[];
}

/** Exit codes of the verdicts by name; GO ends with 0. */
export const verdictCodes = { WAIT: "assessed_wait", "NO-GO": "assessed_no_go" } as const satisfies Record<
  string,
  ErrorCode
>;

/** Share of a collection in quarantine past which a load makes no sense, once it has this many documents. */
const quarantinedShareMax = 0.1;
const documentsForShare = 20;

const n = (count: number) => count.toLocaleString("en");

function findNoGo({ collections }: Assessment): string[] {
  const documents = (name: string) => collections.find(({ collection }) => collection === name)!.documents;
  if (collections.every((one) => one.documents === 0)) return ["the source holds no document at all"];
  const reasons = documents("tasks") === 0 && documents("dramatiq_tasks") > 0
    ? ["there are subtasks but no tasks: they would all be orphans; is 'tasks' missing from the export?"]
    : [];
  for (const { collection, documents, quarantined } of collections) {
    if (documents >= documentsForShare && quarantined > documents * quarantinedShareMax) {
      const share = Math.round(quarantined / documents * 100);
      reasons.push(`${share} % of ${collection} would get no row (${n(quarantined)} of ${n(documents)})`);
    }
  }
  return reasons;
}

function findWaits({ quarantine, relaxed }: Assessment): string[] {
  const waits = quarantine.map(({ collection, name, path, documents, samples }) =>
    `${n(documents)} of ${collection} would get no row: ${name}${path === "" ? "" : ` at '${path}'`}, ` +
    `as ${samples[0]}; their bytes are kept`
  );
  if (relaxed) {
    waits.push(
      "the export is in relaxed form, which does not tell int32 from int64: rows are the same, the way back to " +
        "MongoDB is not; export again with 'mongoexport --jsonFormat=canonical', or use mongodump",
    );
  }
  return waits;
}

/**
 * Judges an assessment.
 *
 * @param server what a living MongoDB adds
 */
export function judge(
  assessment: Assessment,
  server: { waits: string[]; notes: string[] } = { waits: [], notes: [] },
): AssessVerdict {
  const noGo = findNoGo(assessment);
  const waits = [...findWaits(assessment), ...server.waits];
  const { unfinished, findings, notes } = assessment;
  const told = [
    ...notes,
    ...server.notes,
    ...findings.map(({ what, documents, samples }) => `${n(documents)} ${what} (${samples[0]})`),
    ...(unfinished.tasks + unfinished.subtasks > 0
      ? [
        `${n(unfinished.tasks)} tasks and ${
          n(unfinished.subtasks)
        } subtasks are unfinished: they wait until ` +
        "'data unfinished resume' or 'cancel'",
      ]
      : []),
  ];
  return {
    verdict: noGo.length > 0 ? "NO-GO" : waits.length > 0 ? "WAIT" : "GO",
    reasons: [
      ...noGo.map((text): Reason => ({ level: "no-go", text })),
      ...waits.map((text): Reason => ({ level: "wait", text })),
      ...told.map((text): Reason => ({ level: "note", text })),
    ],
  };
}

/** Bytes as people say them. */
export function sayBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size = size / 1000;
    unit = unit + 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/** Seconds as people say them. */
export function saySeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** The assessment for people. */
export function formatAssessment(assessment: Assessment, { verdict, reasons }: AssessVerdict): string {
  const { source, collections, rules, predicted } = assessment;
  const lines = [
    `${source.kind} ${source.location}`,
    formatTable(
      ["collection", "documents", "exact", "adjusted", "quarantined", "generations", "biggest"],
      collections.map((c) => [
        ...[c.collection, c.documents, c.exact, c.adjusted, c.quarantined],
        Object.entries(c.generations).map(([name, count]) => `${name} ${n(count)}`).join(", "),
        sayBytes(c.bytes_max),
      ]),
    ),
  ];
  if (rules.length > 0) {
    lines.push(
      "",
      formatTable(
        ["rule", "collection", "path", "documents", "as"],
        rules.map((r) => [r.name, r.collection, r.path, r.documents, r.samples[0] ?? ""]),
      ),
    );
  }
  lines.push(
    "",
    `a load takes about ${saySeconds(predicted.load_seconds)} on this machine and ${
      sayBytes(predicted.disk_bytes)
    } of disk`,
  );
  const marks = { "no-go": "✗", wait: "!", note: "·" };
  lines.push("", ...reasons.map(({ level, text }) => `${marks[level]} ${text}`), "", verdict);
  return lines.join("\n");
}
