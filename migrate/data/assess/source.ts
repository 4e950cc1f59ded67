/** Assesses a source together with the MongoDB server that holds it. */
import { openSnapshot } from "../sources/open.ts";
import type { Progress } from "../tools/progress.ts";
import { assess, type Assessment } from "./assess.ts";
import { judgeServer, readServerFacts, type ServerFacts } from "./live.ts";
import { type AssessVerdict, judge } from "./verdict.ts";

export interface SourceAssessment {
  assessment: Assessment;
  verdict: AssessVerdict;
  /** Null for a source at rest. */
  server: ServerFacts | null;
}

/** Reads the whole source that `--from` names, and judges it. Writes nothing. */
export async function assessSource(
  from: string,
  { progress, signal }: { progress: Progress; signal: AbortSignal },
): Promise<SourceAssessment> {
  await using source = await openSnapshot(from);
  const assessment = await assess(source, { progress, signal });
  const server = source.kind === "mongodb" ? await readServerFacts(from) : null;
  const judged = server === null ? undefined : judgeServer(server, assessment.predicted.load_seconds);
  return { assessment, verdict: judge(assessment, judged), server };
}
