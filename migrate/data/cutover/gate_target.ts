/** Checks on this system's side: its schema, its processes, its backup and the state of earlier switches. */
import { captureTriggers } from "../../../db/migration/capture.ts";
import { counted } from "../../../phrases.ts";
import { queues } from "../../../db/queue/subtasks.ts";
import { formatBytes, formatSpan } from "../tools/format.ts";
import { type Rule, type Verdict, verdict } from "./check.ts";
import type { ProxyWay } from "./options.ts";
import { shadowHours, type TargetFacts } from "./target_facts.ts";

const backupSecondsMax = 7 * 24 * 3600;
/** Compared answers that are enough to trust the comparison. */
export const shadowAnswersMin = 100;

/** Part of a database's size that must be free on its disk. */
export const diskFreeShare = 0.5;

const switchPhases = ["old", "shadow", "canary"];

const stateRules: Rule<TargetFacts>[] = [
  {
    name: "schema_current",
    check: ({ schemaFault }) =>
      verdict(schemaFault === undefined, schemaFault ?? "all steps are applied", "run 'deno task migrate'"),
  },
  {
    name: "phase_in_order",
    check: ({ traffic: { phase } }) =>
      verdict(
        switchPhases.includes(phase),
        `'${phase}'`,
        phase === "new" ? "this system is in charge already" : "end the other switch with 'cutover --abort'",
      ),
  },
  {
    name: "no_other_cutover",
    check: ({ running_cutovers }) =>
      verdict(
        running_cutovers === 0,
        running_cutovers === 0 ? "none is open" : "one did not end",
        "run 'cutover --abort' or 'cutover --continue'",
      ),
  },
  {
    name: "no_other_migrator",
    check: ({ isLoading }) =>
      verdict(!isLoading, isLoading ? "a load, repair or replay is running" : "none", "wait for its end"),
  },
  {
    name: "unfinished_decided",
    check: ({ unfinishedTasks, options: { unfinished } }) =>
      verdict(
        unfinishedTasks === 0 || unfinished !== null,
        `${counted(unfinishedTasks, "unfinished task")}${unfinished === null ? "" : `: ${unfinished}`}`,
        "add --unfinished resume, cancel or keep",
      ),
  },
];

const backRules: Rule<TargetFacts>[] = [
  {
    name: "capture_installed",
    check: ({ triggers: { found } }) =>
      verdict(
        found === captureTriggers,
        `${found} of ${captureTriggers} triggers`,
        "they belong to step 0013 of the schema: run 'migrate down --to 12' and 'migrate' on a copy to compare",
      ),
  },
  {
    name: "capture_off",
    check: ({ triggers: { found, disabled } }) =>
      verdict(
        found === disabled,
        `${found - disabled} triggers enabled`,
        "run 'deno task migrate data capture off'",
      ),
  },
  {
    name: "changes_written",
    check: ({ changes }) =>
      verdict(
        changes === 0,
        `${counted(changes, "change")} not written to MongoDB`,
        "run 'data back --to mongodb --once', or 'data capture off --force' if they are of no use",
      ),
  },
  {
    name: "back_not_running",
    check: ({ backHolder }) =>
      verdict(backHolder === undefined, backHolder ?? "none", "stop it: it starts after the switch"),
  },
];

const careRules: Rule<TargetFacts>[] = [
  {
    name: "backup_taken",
    canAccept: true,
    check: ({ backup_seconds, backup_folder }) =>
      verdict(
        backup_seconds !== null,
        backup_seconds === null ? "no backup of this database is known" : `in '${backup_folder}'`,
        "run 'deno task migrate data backup --to FOLDER'",
      ),
  },
  {
    name: "backup_recent",
    canAccept: true,
    check: ({ backup_seconds: seconds }) =>
      verdict(
        seconds !== null && seconds <= backupSecondsMax,
        seconds === null ? "no backup" : `${formatSpan(seconds)} old`,
        "take one of the last week",
      ),
  },
  {
    name: "backup_restored",
    check: ({ restored_after }) =>
      verdict(
        restored_after,
        restored_after ? "a person has restored it" : "it was not restored as a test",
        "restore it into an empty database, then confirm with --accept backup_restored",
        ["backup_restored"],
      ),
  },
  {
    name: "disk_headroom",
    canAccept: true,
    check: ({ database_bytes, changes_bytes, slot_bytes }) =>
      verdict(
        false,
        `the database has ${formatBytes(database_bytes)}, ${
          formatBytes(changes_bytes)
        } of it recorded changes; ` +
          `replication slots keep ${formatBytes(slot_bytes)} of WAL; PostgreSQL does not tell what is free`,
        `make sure with 'df' on its server that ${
          formatBytes(database_bytes * diskFreeShare)
        } or more are free`,
      ),
  },
  {
    name: "shadow_compared",
    canAccept: true,
    check: ({ shadow: { compared, equal } }) =>
      verdict(
        compared >= shadowAnswersMin,
        `${counted(compared, "answer")} compared in ${shadowHours} h, ${equal} of them equal`,
        `set phase 'shadow' until ${shadowAnswersMin} answers are compared`,
      ),
  },
  {
    name: "shadow_explained",
    check: ({ shadow: { unexplained } }) =>
      verdict(
        unexplained === 0,
        counted(unexplained, "kind of differences", "kinds of differences"),
        "see migration.shadow_differences, cause 'code' or 'data', and mend them",
      ),
  },
];

const processName = ({ host, pid }: { host: string; pid: number }) => `${host}:${pid}`;

const processRule = (
  name: string,
  find: (facts: TargetFacts) => TargetFacts["processes"],
  wanted: string,
  todo: string,
): Rule<TargetFacts> => ({
  name,
  check(facts) {
    const others = find(facts);
    const found = others.length === 0 ? wanted : `not so: ${others.map(processName).join(", ")}`;
    return verdict(others.length === 0, found, todo);
  },
});

/** Checks that either the fronts of the API or the operator's own proxy hold the writes, and not both. */
export function checkFronts(processes: number, { way }: ProxyWay): Verdict {
  const found = `${counted(processes, "API process", "API processes")} with a front`;
  if (way === "front") {
    const todo =
      "start 'deno task start' with LEGACY_API_URL, and send the clients to it; or add --own-proxy or --proxy-hook URL";
    return verdict(processes > 0, found, todo);
  }
  const todo = "start the API without LEGACY_API_URL, or leave out --own-proxy and --proxy-hook";
  return verdict(processes === 0, processes === 0 ? "your own proxy" : `${found}, and your own proxy`, todo);
}

const processRules: Rule<TargetFacts>[] = [
  {
    name: "process_present",
    check: ({ processes, options: { proxy } }) => checkFronts(processes.length, proxy),
  },
  processRule(
    "process_alive",
    ({ processes }) => processes.filter(({ seen_ms }) => seen_ms > 2_500),
    "all were seen within 2.5 s",
    "look at these processes: they do not confirm the phase",
  ),
  processRule(
    "process_version",
    ({ processes, product }) => processes.filter((process) => process.product !== product),
    "all are of this version",
    "restart these processes with this version",
  ),
  processRule(
    "process_key",
    ({ processes, keyDigest }) => processes.filter(({ key_digest }) => key_digest !== keyDigest),
    "all have this SECRET_KEY",
    "give these processes, or this command, the SECRET_KEY of the old backend",
  ),
  processRule(
    "process_acknowledged",
    ({ processes, traffic: { version } }) => processes.filter(({ acknowledged }) => acknowledged < version),
    "all have acknowledged the phase",
    "look at these processes: they do not work by the present phase",
  ),
  {
    name: "worker_present",
    canAccept: true,
    check: ({ queues: served }) => {
      const missing = queues.filter((queue) => !served.includes(queue));
      return verdict(
        missing.length === 0,
        missing.length === 0 ? "all queues are served" : `not served: ${missing.join(", ")}`,
        "start 'deno task worker'",
      );
    },
  },
];

export const targetRules: Rule<TargetFacts>[] = [
  ...stateRules,
  ...backRules,
  ...careRules,
  ...processRules,
];
