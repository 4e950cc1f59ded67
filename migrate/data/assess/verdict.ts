/** The verdict of an assessment, GO, WAIT or NO-GO, with its reasons. */
import type { ErrorCode } from "../../../errors.ts";
import type { Assessment } from "./assess.ts";
import {
  formatBytes,
  formatCount,
  formatCounted,
  formatPath,
  formatSeconds,
  formatTable,
} from "../tools/format.ts";

export interface Reason {
  /** The verdict that the reason requires; a `note` requires none. */
  level: "no-go" | "wait" | "note";
  text: string;
}

export interface AssessVerdict {
  verdict: "GO" | "WAIT" | "NO-GO";
  reasons: Reason[];
}

/** Error codes of the verdicts. GO ends with exit code 0. */
export const verdictCodes = { WAIT: "assessed_wait", "NO-GO": "assessed_no_go" } as const satisfies Record<
  string,
  ErrorCode
>;

/** Maximum share of quarantined documents in a collection with at least `documentsForShare` documents. */
const quarantinedShareMax = 0.1;
const documentsForShare = 20;

function findNoGos({ collections }: Assessment): string[] {
  const countDocuments = (name: string) =>
    collections.find(({ collection }) => collection === name)!.documents;
  if (collections.every(({ documents }) => documents === 0)) return ["the source has no documents"];
  const reasons: string[] = [];
  if (countDocuments("tasks") === 0 && countDocuments("dramatiq_tasks") > 0) {
    reasons.push(
      "the source has subtasks but no tasks: all of them would be orphans; check whether the export includes 'tasks'",
    );
  }
  for (const { collection, documents, quarantined } of collections) {
    if (documents >= documentsForShare && quarantined > documents * quarantinedShareMax) {
      const share = Math.round(quarantined / documents * 100);
      const counts = `${formatCount(quarantined)} of ${formatCount(documents)}`;
      reasons.push(`${share} % of ${collection} would get no row (${counts})`);
    }
  }
  return reasons;
}

function findWaits({ quarantine, relaxed }: Assessment): string[] {
  const waits = quarantine.map(({ collection, name, path, documents, samples }) =>
    `${formatCount(documents)} of ${collection} would get no row: ${name}${formatPath(path)}` +
    `${samples.length > 0 ? `, for example ${samples[0]}` : ""}; all bytes are kept`
  );
  if (relaxed) {
    waits.push(
      "the export has the relaxed form, which does not distinguish int32 from int64: the rows are the same, but " +
        "documents that are written back to MongoDB may have other types; export again with " +
        "'mongoexport --jsonFormat=canonical', or use mongodump",
    );
  }
  return waits;
}

function findNotes({ unfinished, findings, notes }: Assessment, serverNotes: string[]): string[] {
  const texts = [
    ...notes,
    ...serverNotes,
    ...findings.map(({ what, documents, samples }) => `${formatCount(documents)} ${what} (${samples[0]})`),
  ];
  if (unfinished.tasks + unfinished.subtasks > 0) {
    const tasks = formatCounted(unfinished.tasks, "task");
    const subtasks = formatCounted(unfinished.subtasks, "subtask");
    texts.push(
      `${tasks} and ${subtasks} are unfinished: they are held until 'data unfinished resume' or 'cancel'`,
    );
  }
  return texts;
}

/**
 * Returns the verdict of an assessment.
 *
 * @param server additional reasons from a running MongoDB
 */
export function judge(
  assessment: Assessment,
  server: { waits: string[]; notes: string[] } = { waits: [], notes: [] },
): AssessVerdict {
  const noGos = findNoGos(assessment);
  const waits = [...findWaits(assessment), ...server.waits];
  const notes = findNotes(assessment, server.notes);
  return {
    verdict: noGos.length > 0 ? "NO-GO" : waits.length > 0 ? "WAIT" : "GO",
    reasons: [
      ...noGos.map((text): Reason => ({ level: "no-go", text })),
      ...waits.map((text): Reason => ({ level: "wait", text })),
      ...notes.map((text): Reason => ({ level: "note", text })),
    ],
  };
}

/** Returns the assessment as text. */
export function formatAssessment(assessment: Assessment, { verdict, reasons }: AssessVerdict): string {
  const { source, collections, rules, predicted } = assessment;
  const lines = [
    `${source.kind} ${source.location}`,
    formatTable(
      ["collection", "documents", "exact", "adjusted", "quarantined", "generations", "largest"],
      collections.map((collection) => [
        collection.collection,
        collection.documents,
        collection.exact,
        collection.adjusted,
        collection.quarantined,
        Object.entries(collection.generations).map(([name, count]) => `${name} ${formatCount(count)}`).join(
          ", ",
        ),
        formatBytes(collection.bytes_max),
      ]),
    ),
  ];
  if (rules.length > 0) {
    const rows = rules.map(({ name, collection, path, documents, samples }) => [
      name,
      collection,
      path,
      documents,
      samples[0] ?? "",
    ]);
    lines.push("", formatTable(["rule", "collection", "path", "documents", "example"], rows));
  }
  const time = formatSeconds(predicted.load_seconds);
  const disk = formatBytes(predicted.disk_bytes);
  const marks = { "no-go": "✗", wait: "!", note: "·" };
  lines.push(
    "",
    `a load takes about ${time} on this machine and ${disk} of disk space`,
    "",
    ...reasons.map(({ level, text }) => `${marks[level]} ${text}`),
    "",
    verdict,
  );
  return lines.join("\n");
}
