/** Every command that the documents may name, its flags, and how the tests run it. */

/** A command of `deno task`. */
export interface Known {
  /** Flags, without their values. */
  flags: string[];
  /** Maximum number of arguments that are not flags. */
  argumentsMax?: number;
  /**
   * How the command is run: `help` runs it with `--help` and looks for its flags; a path names the test or script that runs
   * it, and a part of its text that shows it.
   */
  how: "help" | [path: string, text: string];
}

const readme: [string, string] = ["tests/docs/readme_test.ts", "deno task"];
const queuePage: [string, string] = ["tests/docs/queue_page_test.ts", "copy.run("];
const backingUp: [string, string] = ["tests/operations/backup_test.ts", 'run("backup"'];
const loading: [string, string] = ["tests/migrate/loading_doc_test.ts", "docs/loading.md"];
const migrating: [string, string] = ["tests/migrate/cutover/migrating_doc_test.ts", "docs/migrating.md"];
const following: [string, string] = ["tests/migrate/following_doc_test.ts", "docs/following.md"];
const moving: [string, string] = ["tests/migrate/move/script_test.ts", "rig.move("];
const partitioning: [string, string] = ["tests/operations/partitioned_test.ts", "docs/scaling.md"];
const gate = (step: string): [string, string] => [".ci/run", step];

const filter = ["--task", "--cause", "--since"];

export const commands: Record<string, Known> = {
  "": { flags: [], how: ["tests/docs/commands_test.ts", "`deno task` alone"] },
  demo: { flags: ["--from", "--keep", "--folder", "--check", "--live"], how: "help" },
  test: {
    flags: ["--filter", "--partitioned"],
    argumentsMax: 2,
    how: ["tests/docs/commands_test.ts", "parseArguments"],
  },
  ok: { flags: [], how: gate("deno check") },
  console: { flags: ["--watch"], how: "help" },
  "console:shots": { flags: ["--to"], how: "help" },
  openapi: { flags: ["--check"], how: "help" },
  schema: { flags: ["--check"], how: "help" },
  start: { flags: [], how: readme },
  worker: { flags: [], how: readme },
  "worker:doctor": { flags: ["--repair", "--json", "--days", "--all"], how: queuePage },
  "worker:why": { flags: ["--json"], argumentsMax: 2, how: queuePage },
  "worker slots": {
    flags: ["--for", "--reason", "--by", "--clear", "--changes", "--json"],
    argumentsMax: 2,
    how: queuePage,
  },
  "worker dead list": { flags: [...filter, "--json"], how: queuePage },
  "worker dead replay": { flags: filter, how: queuePage },
  "worker pause": { flags: [], argumentsMax: 1, how: queuePage },
  "worker resume": { flags: [], argumentsMax: 1, how: queuePage },
  "worker retry": { flags: ["--cause"], argumentsMax: 1, how: queuePage },
  "worker rerun": { flags: [], argumentsMax: 2, how: queuePage },
  backup: { flags: ["--to", "--bin"], how: backingUp },
  "backup check": { flags: [], argumentsMax: 1, how: backingUp },
  "backup restore": { flags: [], argumentsMax: 1, how: backingUp },
  drill: { flags: ["--from", "--server", "--bin"], how: "help" },
  migrate: { flags: [], how: readme },
  "migrate down": { flags: ["--to"], how: readme },
  "migrate status": { flags: ["--json"], how: partitioning },
  "migrate check": { flags: [], how: partitioning },
  "migrate partition": { flags: ["--partitions", "--offline", "--dry-run"], how: partitioning },
  "migrate data": { flags: ["--help", "--json"], how: loading },
  "migrate data COMMAND": { flags: ["--from"], how: loading },
  "migrate data move": { flags: ["--status", "--yes"], how: moving },
  "migrate data load": { flags: ["--from"], how: readme },
  "migrate data verify": { flags: ["--from", "--again", "--live"], how: readme },
  "migrate data status": { flags: ["--json", "--from", "--settled"], argumentsMax: 0, how: following },
  "migrate data sync": {
    flags: ["--from", "--once", "--poll", "--restart", "--accept-short-oplog"],
    how: following,
  },
  "migrate data backup": { flags: [], how: migrating },
  "migrate data capture": { flags: ["--force"], argumentsMax: 1, how: following },
  "migrate data back": { flags: ["--to", "--once", "--verify", "--other-database"], how: following },
  "migrate data cutover": {
    flags: [
      ...["--check", "--abort", "--continue", "--own-proxy", "--proxy-hook"],
      ...["--yes", "--unfinished", "--drain", "--accept"],
    ],
    how: migrating,
  },
  "migrate data rehearse": { flags: ["--unfinished", "--drain"], how: migrating },
  "migrate data rollback": { flags: ["--dry-run", "--yes"], how: migrating },
  "migrate traffic": {
    flags: ["--reason", "--share", "--force"],
    argumentsMax: 1,
    how: migrating,
  },
  "migrate data why": { flags: [], argumentsMax: 1, how: loading },
  "migrate data repair": { flags: ["--apply", "--plan", "--undo"], how: loading },
  "migrate data quarantine": { flags: ["--replay", "--apply"], how: loading },
  "migrate data unfinished": { flags: [], argumentsMax: 1, how: loading },
  shadow: {
    flags: [
      ...["--old", "--new", "--runs", "--seed", "--recorded", "--writes", "--reads-only", "--json"],
      ...["--email", "--password", "--token", "--old-token", "--new-token"],
    ],
    how: "help",
  },
  chaos: {
    flags: [
      ...[
        "--seed",
        "--minutes",
        "--runs",
        "--parallel",
        "--faults",
        "--mutation",
        "--mutations",
        "--list",
        "--json",
      ],
    ],
    how: "help",
  },
  "chaos live": {
    flags: ["--seed", "--runs", "--parallel", "--faults", "--mutation", "--mutations", "--list", "--json"],
    how: "help",
  },
  "chaos switch": {
    flags: ["--seed", "--runs", "--parallel", "--faults", "--mutation", "--mutations", "--list", "--json"],
    how: "help",
  },
  "chaos alerts": { flags: ["--only", "--list", "--json"], how: "help" },
  deploy: { flags: [], how: "help" },
  "deploy split": { flags: ["--nginx", "--haproxy", "--to", "--hold", "--errors"], how: "help" },
  "deploy colour": { flags: ["--nginx", "--haproxy"], argumentsMax: 1, how: "help" },
  "deploy check": { flags: [], argumentsMax: 1, how: "help" },
  audit: { flags: ["--update"], how: "help" },
  sbom: { flags: [], how: "help" },
  release: { flags: [], argumentsMax: 1, how: "help" },
  bench: { flags: [], argumentsMax: 1, how: "help" },
  "bench all": { flags: ["--quick", "--only", "--out", "--json"], how: "help" },
  "bench docs": { flags: [], argumentsMax: 1, how: "help" },
  "bench guard": { flags: ["--only", "--rounds", "--json"], argumentsMax: 2, how: "help" },
  "bench operations": { flags: ["--quick", "--only", "--subtasks", "--json"], how: "help" },
  "bench queue": { flags: ["--quick", "--only", "--json"], how: "help" },
  "bench http": {
    flags: ["--quick", "--seconds", "--rounds", "--tasks", "--connections", "--only", "--json"],
    how: "help",
  },
  "bench load": { flags: ["--quick", "--subtasks", "--rounds", "--times", "--json"], how: "help" },
  "bench sync": { flags: ["--quick", "--subtasks", "--seconds", "--json"], how: "help" },
  "bench switch": {
    flags: ["--quick", "--rounds", "--seconds", "--subtasks", "--only", "--json"],
    how: "help",
  },
  "bench console": { flags: ["--quick", "--only", "--json"], how: "help" },
  "bench v2": { flags: ["--quick", "--only", "--json"], how: "help" },
};

/** Flags that stand alone in a document, away from their command. */
export const looseFlags: Record<string, Record<string, string>> = {
  "CHANGELOG.md": {
    "--verify": "migrate data back",
    "--offline": "migrate partition",
    "--dry-run": "migrate partition",
    "--abort": "migrate data cutover",
    "--continue": "migrate data cutover",
    "--own-proxy": "migrate data cutover",
    "--proxy-hook": "migrate data cutover",
    "--poll": "migrate data sync",
    "--json": "bench sync",
  },
  "docs/backup.md": { "--bin": "backup", "--server": "drill" },
  "README.md": {
    "--status": "migrate data move",
    "--yes": "migrate data move",
    "--from": "demo",
    "--keep": "demo",
    "--folder": "demo",
    "--check": "demo",
  },
  "docs/deploying.md": { "--to": "deploy split", "--errors": "deploy split" },
  "docs/operating.md": { "--nginx": "deploy split", "--haproxy": "deploy split" },
  "docs/benches.md": { "--quick": "bench all", "--json": "bench all", "--only": "bench all" },
  "docs/chaos.md": {
    "--mutations": "chaos",
    "--abort": "migrate data cutover",
    "--continue": "migrate data cutover",
  },
  "docs/errors.md": { "--help": "migrate data" },
  "docs/following.md": {
    "--once": "migrate data sync",
    "--poll": "migrate data sync",
    "--restart": "migrate data sync",
    "--accept-short-oplog": "migrate data sync",
    "--settled": "migrate data status",
    "--verify": "migrate data back",
  },
  "docs/migrating.md": {
    "--force": "migrate traffic",
    "--abort": "migrate data cutover",
    "--help": "migrate data",
    "--json": "migrate data",
    "--again": "migrate data verify",
    "--accept": "migrate data cutover",
    "--unfinished": "migrate data cutover",
    "--drain": "migrate data cutover",
    "--own-proxy": "migrate data cutover",
    "--proxy-hook": "migrate data cutover",
  },
  "docs/loading.md": {
    "--help": "migrate data",
    "--json": "migrate data",
    "--again": "migrate data verify",
    "--apply": "migrate data repair",
    "--undo": "migrate data repair",
    "--replay": "migrate data quarantine",
  },
  "docs/operating-queue.md": { "--repair": "worker:doctor" },
  "docs/scaling.md": { "--partitions": "migrate partition" },
  "docs/shadow.md": Object.fromEntries(commands.shadow!.flags.map((flag) => [flag, "shadow"])),
  "docs/sources.md": { "--from": "migrate data COMMAND" },
};

/** Flags of other programs that documents name alone. */
export const foreignFlags = [
  "--path-as-is",
  "--jsonFormat=canonical",
  "--jsonArray",
  "--pretty",
  "--type=json",
  "--replSet rs0",
];
