/** The worker's command line: valid and invalid commands, and what each command prints and changes. */
import assert from "node:assert/strict";
import { settleSubtasks } from "../../db/queue/subtasks.ts";
import { noSettings } from "../../dev/servers/programs.ts";
import { codes } from "../../errors.ts";
import { type Command, parseCommand } from "../../jobs/commands.ts";
import { claim, done, failed, join } from "../support/cells.ts";
import { readSubtasks, readTask, type Rig, startRig } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const id = "0b5f6a9e-1111-4222-8333-123456789abc";

const commands: [string, Command][] = [
  ["", { kind: "work", flags: {} }],
  ["--once --queues high,lumina --slots 3", {
    kind: "work",
    flags: { once: true, queues: ["high", "lumina"], slots: 3 },
  }],
  ["doctor", { kind: "doctor", repair: false, json: false, days: 7 }],
  ["doctor --repair --json --all", { kind: "doctor", repair: true, json: true, days: null }],
  [`why ${id} 12`, { kind: "why", taskId: id, cell: 12, json: false }],
  [`why ${id} ${id} --json`, { kind: "why", taskId: id, cell: id, json: true }],
  [`pause ${id}`, { kind: "pause", taskId: id }],
  [`resume ${id}`, { kind: "resume", taskId: id }],
  [`retry ${id} --cause 451`, { kind: "retry", taskId: id, cause: "451" }],
  [`rerun ${id} 0`, { kind: "rerun", taskId: id, cell: 0 }],
  ["dead list", { kind: "dead_list", filter: {}, limit: 20, json: false }],
  [`dead replay --task ${id} --since 2026-01-31T08:00Z`, {
    kind: "dead_replay",
    filter: { taskId: id, since: new Date("2026-01-31T08:00Z") },
  }],
  ["slots", { kind: "slots_list", changes: 3, json: false }],
  ["slots high --changes 0 --json", { kind: "slots_list", queue: "high", changes: 0, json: true }],
  ["slots standard 12 --for 30m --reason launch", {
    kind: "slots_set",
    queue: "standard",
    slots: 12,
    forMs: 1_800_000,
    reason: "launch",
    by: "an operator",
  }],
  ["slots lumina 0 --for 30d --reason quota --by night-shift", {
    kind: "slots_set",
    queue: "lumina",
    slots: 0,
    forMs: 2_592_000_000,
    reason: "quota",
    by: "night-shift",
  }],
  ["slots lumina --clear", { kind: "slots_clear", queue: "lumina" }],
];
for (const [line, command] of commands) {
  Deno.test(`'worker ${line}' is parsed`, () => {
    assert.deepEqual(parseCommand(line.split(" ").filter((word) => word !== "")), command);
  });
}

const refused: [string, RegExp][] = [
  ["--slots 0", /--slots <count>.*wanted a whole number from 1 to 10000/],
  ["--queues fast", /'fast': wanted high, standard, lumina/],
  ["--once now", /too many arguments|unknown command/],
  ["dance", /too many arguments|unknown command/],
  ["why", /missing required argument 'task'/],
  [`why ${id}`, /missing required argument 'cell'/],
  ["why nope 1", /'nope' is invalid.*wanted a task's id, a UUID/],
  [`why ${id} -1`, /'-1' is invalid.*wanted a cell's number from 0/],
  [`why ${id} 1.5`, /wanted a cell's number from 0/],
  ["dead", /a command is missing/],
  ["dead list --since yesterday", /wanted a time such as/],
  ["dead list --limit 5000", /wanted a whole number from 1 to 1000/],
  ["doctor --days x", /wanted a whole number from 1 to 36500/],
  ["slots fast", /'fast' is invalid.*wanted high, standard, lumina/],
  ["slots high 10001 --for 1h --reason r", /'10001' is invalid.*wanted a whole number from 0 to 10000/],
  ["slots high 3", /a count needs --for/],
  ["slots high 3 --for 1h", /a count needs --reason/],
  ["slots high 3 --for 31d --reason r", /'31d' is invalid.*wanted a duration such as 30m.*at most 30d/],
  ["slots high 3 --for 0m --reason r", /'0m' is invalid/],
  ["slots high --for 1h", /--for and --reason need a queue and a count/],
  ["slots high 3 --clear", /--clear cannot be combined with a count/],
  ["slots --clear", /--clear needs a queue/],
  [`slots high 3 --for 1h --reason ${"r".repeat(201)}`, /wanted 1 to 200 characters/],
];
for (const [line, message] of refused) {
  Deno.test(`'worker ${line}' is refused with the reason`, () => {
    assert.throws(() => parseCommand(line.split(" ")), (error: Error & { code: string }) => {
      assert.equal(error.code, "usage");
      assert.match(error.message, message);
      return true;
    });
  });
}

const config = new URL("../../deno.json", import.meta.url).pathname;

async function run(rig: Rig, task: string, ...args: string[]) {
  const kept = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name) ?? ""]),
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", config, task, ...args],
    env: {
      ...noSettings,
      ...kept,
      ...rig.env,
      NO_COLOR: "1",
      LOG_LEVEL: "error",
      SECRET_KEY: "0123456789abcdef0123456789abcdef",
    },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, printed: decoder.decode(stdout), errors: decoder.decode(stderr) };
}

Deno.test("each command works with the worker's permissions", async () => {
  await using rig = await startRig();
  await join(rig.sql);
  const task = await rig.submit(["p", "q"]);
  const held = await run(rig, "worker", "pause", task);
  assert.deepEqual([held.code, held.printed], [0, `task ${task}: paused\n`], held.errors);
  const why = await run(rig, "worker:why", task, "1");
  assert.deepEqual(
    [why.code, /its task is paused \(paused by an operator\)/.test(why.printed)],
    [0, true],
    why.errors,
  );
  assert.equal((await run(rig, "worker", "resume", task)).printed, `task ${task}: resumed\n`);
  const claimed = await claim(rig.sql);
  await settleSubtasks(rig.sql, claimed.map((one) => one.cell === 0 ? done(one) : failed(one)));
  const dead = await run(rig, "worker", "dead", "list");
  assert.match(dead.printed, new RegExp(`task ${task} cell 1, attempt 1: 图像接口返回 HTTP 500  \\(rig\\)`));
  const replay = await run(rig, "worker", "dead", "replay", "--cause", "HTTP 500", "--since", "1h");
  assert.equal(replay.printed, "1 cell of 1 task is pending again\n");
  assert.equal((await run(rig, "worker", "rerun", task, "0")).printed, `task ${task}: rerun\n`);
  assert.equal((await readTask(rig.sql, task)).status, "processing");
  assert.ok((await readSubtasks(rig.sql, task)).every(({ status }) => status === "pending"));
  const none = await run(rig, "worker", "retry", id);
  assert.deepEqual([none.code, none.errors], [
    codes.not_found.exit,
    `error: retrying the failed cells of task '${id}': no such task\n`,
  ]);
});

Deno.test("the doctor exits with 1 while there is a fault, and with 0 once there is none", async () => {
  await using rig = await startRig();
  await join(rig.sql);
  const task = await rig.submit(["p"]);
  await settleSubtasks(rig.sql, (await claim(rig.sql)).map((one) => done(one)));
  await rig.sql`delete from workers`;
  await rig.sql`update tasks set subtasks_completed = 0`;
  const found = await run(rig, "worker:doctor");
  assert.equal(found.code, 1, found.errors);
  assert.match(
    found.printed,
    /^FAULT: the counters of task .* its rows count 1, 1, 0, 0\n {4}the counters are set from its rows \[--repair does this\]$/m,
  );
  assert.match(found.printed, /1 fault left\n$/);
  const json = await run(rig, "worker:doctor", "--json");
  const { healthy, findings } = JSON.parse(json.printed);
  assert.deepEqual([json.code, healthy, findings[0].about], [1, false, task]);
  const mended = await run(rig, "worker:doctor", "--repair");
  assert.deepEqual(
    [mended.code, /^repaired: the counters of task/m.test(mended.printed)],
    [0, true],
    mended.printed,
  );
  const well = await run(rig, "worker:doctor");
  assert.deepEqual([well.code, /no faults\n$/.test(well.printed)], [0, true], well.printed);
});

Deno.test("a slot override is applied, printed with its reason and changes, and cleared", async () => {
  await using rig = await startRig({ env: { TASK_EXECUTOR_MIN_CONCURRENT: "20" } });
  const empty = await run(rig, "worker", "slots", "standard");
  assert.deepEqual(
    [empty.code, empty.printed],
    [0, "standard: no slots yet, because no worker has started\n"],
    empty.errors,
  );
  await rig.startWorker();
  const slots = async () =>
    (await rig.sql<{ slots: number }[]>`select slots from queue_slots where queue = 'standard'`)[0]!.slots;
  const set = await run(rig, "worker", "slots", "standard", "7", ...[
    "--for",
    "2h",
    "--reason",
    "quiet hours",
  ]);
  assert.match(set.printed, /^standard is set to 7 slots by hand until \S+, by an operator: quiet hours;/);
  await waitFor("the leader to obey", async () => await slots() === 7);
  const shown = await run(rig, "worker", "slots");
  assert.match(shown.printed, /^high: 5 slots, 0 in use, 5 wanted for the backlog; /m);
  assert.match(
    shown.printed,
    /^standard: 7 slots, 0 in use, 20 wanted for the backlog; set by an operator until \S+: quiet hours \(since/m,
  );
  assert.match(shown.printed, /^ {4}standard is set to 7 slots by hand until/m);
  assert.match(shown.printed, /^ {4}\S+ {2}20 → 7 {2}set by an operator until/m);
  const doctor = await run(rig, "worker:doctor");
  assert.match(doctor.printed, /^note: standard is set to 7 slots by hand until .*: quiet hours$/m);
  assert.match(doctor.printed, /^ {4}deno task worker slots standard --clear ends the override$/m);
  assert.equal(doctor.code, 0, doctor.printed);
  const cleared = await run(rig, "worker", "slots", "standard", "--clear");
  assert.equal(cleared.printed, "standard: the slot override is cleared; backlog and health decide again\n");
  await waitFor("the old number", async () => await slots() === 20);
  const json = JSON.parse((await run(rig, "worker", "slots", "standard", "--json")).printed);
  assert.deepEqual(
    [
      json[0].slots,
      json[0].override,
      json[0].changes.map((change: { slots_after: number }) => change.slots_after),
    ],
    [20, null, [20, 7]],
  );
  assert.equal(
    (await run(rig, "worker", "slots", "standard", "--clear")).printed,
    "standard: no slot override is set\n",
  );
});
