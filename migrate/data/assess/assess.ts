/** Assesses a source: reads it completely as a load does, writes nothing, and predicts the result of a load. */
import { AppError } from "../../../errors.ts";
import type { AffectedDocuments } from "./affected.ts";
import { Assessor, type CollectionAssessment } from "./assessor.ts";
import type { Observation } from "./values.ts";
import { makePlan, rangeBytesDefault } from "../load/plan.ts";
import type { Progress } from "../tools/progress.ts";
import type { Source } from "../documents/source.ts";

export interface Assessment {
  source: { kind: string; location: string; bytes: number };
  fingerprint: string;
  collections: CollectionAssessment[];
  /** Documents that each rule would change. */
  rules: AffectedDocuments[];
  /** Predicted quarantine. */
  quarantine: AffectedDocuments[];
  /** Conditions that a load does not change, but that an operator should know. */
  findings: Observation[];
  unfinished: { tasks: number; subtasks: number };
  /** Seconds of this reading and of a load; bytes of rows and indexes on disk. */
  predicted: { seconds_read: number; load_seconds: number; disk_bytes: number };
  relaxed: boolean;
  /** Hints of the source, such as an oplog beside a dump. */
  notes: string[];
}

/** Bytes of a row on disk beyond its COPY text. Measured on `dev/sample`. */
const rowOverheadBytes = 60;
/** Bytes of a row's index entries. Measured on `dev/sample`. */
const indexBytes: Record<string, number> = { users: 150, tasks: 260, dramatiq_tasks: 130 };

function predictDiskBytes(assessments: CollectionAssessment[]): number {
  return assessments.reduce((sum, { collection, row_bytes, exact, adjusted }) => {
    const rows = exact + adjusted;
    return sum + row_bytes + rows * (rowOverheadBytes + indexBytes[collection]!);
  }, 0);
}

/** Predicts the seconds of a load from the seconds that the assessment took. */
const predictLoadSeconds = (readSeconds: number): number => readSeconds * 2.2 + 0.5;

const roundToTenths = (seconds: number): number => Math.round(seconds * 10) / 10;

/**
 * Assesses a source.
 *
 * @throws AppError invalid_source, source_truncated, source_changed, interrupted
 */
export async function assess(
  source: Source,
  { progress, signal }: { progress: Progress; signal?: AbortSignal },
): Promise<Assessment> {
  progress.begin("checking the source", source.bytes);
  const plan = await makePlan(source, {
    rangeBytes: rangeBytesDefault,
    onBytes: (bytes) => progress.add(bytes, 0),
  });
  const assessor = new Assessor(plan);
  const started = performance.now();
  progress.begin("assessing", source.bytes);
  for (const range of plan.ranges) {
    if (signal?.aborted) throw new AppError("interrupted", "assessing: stopped on request; start it again");
    for (const raw of await source.read(range)) assessor.add(range.collection, raw);
    progress.add(range.bytes, range.documents);
  }
  assessor.finish();
  progress.end();
  const seconds = (performance.now() - started) / 1000;
  const assessments = [...assessor.collections.values()];
  for (const assessment of assessments) {
    assessment.shapes = assessor.fieldTypes.list(assessment.collection);
  }
  const { kind, location, bytes } = source;
  return {
    source: { kind, location, bytes },
    fingerprint: plan.fingerprint,
    collections: assessments,
    rules: assessor.rules.list(),
    quarantine: assessor.quarantine.list(),
    findings: assessor.users.list(),
    unfinished: assessor.unfinished,
    predicted: {
      seconds_read: roundToTenths(seconds),
      load_seconds: roundToTenths(predictLoadSeconds(seconds)),
      disk_bytes: predictDiskBytes(assessments),
    },
    relaxed: assessor.relaxed,
    notes: [...source.notes],
  };
}
