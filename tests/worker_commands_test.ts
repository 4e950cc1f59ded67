/** The worker's command line: what it takes, what it refuses, and what each order does as its user sees it. */
import assert from "node:assert/strict";
import { settleSubtasks } from "../db/subtasks.ts";
import { codes } from "../errors.ts";
import { type Order, parseOrder } from "../jobs/commands.ts";
import { claim, done, failed, join } from "./support/cells.ts";
import { readSubtasks, readTask, type Rig, startRig } from "./support/queue_rig.ts";

const id = "0b5f6a9e-1111-4222-8333-123456789abc";

const orders: [string, Order][] = [
  ["", { kind: "work", flags: {} }],
  ["--once --queues high,lumina --slots 3", {
    ...{ kind: "work", flags: { once: true, queues: ["high", "lumina"], slots: 3 } },
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
    ...{ kind: "dead_replay", filter: { taskId: id, since: new Date("2026-01-31T08:00Z") } },
  }],
];
for (const [line, order] of orders) {
  Deno.test(`'worker ${line}' is understood`, () => {
    assert.deepEqual(parseOrder(line.split(" ").filter((word) => word !== "")), order);
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
  [`why ${id} -1`, /'-1' is invalid.*wanted a place in the matrix from 0/],
  [`why ${id} 1.5`, /wanted a place in the matrix from 0/],
  ["dead", /a command is missing/],
  ["dead list --since yesterday", /wanted a time such as/],
  ["dead list --limit 5000", /wanted a whole number from 1 to 1000/],
  ["doctor --days x", /wanted a whole number from 1 to 36500/],
];
for (const [line, message] of refused) {
  Deno.test(`'worker ${line}' is refused with a word about it`, () => {
    assert.throws(() => parseOrder(line.split(" ")), (error: Error & { code: string }) => {
      assert.equal(error.code, "usage");
      assert.match(error.message, message);
      return true;
    });
  });
}

const config = new URL("../deno.json", import.meta.url).pathname;

async function run(rig: Rig, task: string, ...args: string[]) {
  const kept = Object.fromEntries(
    ["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name) ?? ""]),
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "--config", config, task, ...args],
    env: {
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
  return { code, printed: decoder.decode(stdout), said: decoder.decode(stderr) };
}

Deno.test("each order does what it says, with the worker's permissions", async () => {
  await using rig = await startRig();
  await join(rig.sql);
  const task = await rig.submit(["p", "q"]);
  const held = await run(rig, "worker", "pause", task);
  assert.deepEqual([held.code, held.printed], [0, `task ${task}: paused\n`], held.said);
  const why = await run(rig, "worker:why", task, "1");
  assert.deepEqual(
    [why.code, /its task is paused \(paused by an operator\)/.test(why.printed)],
    [0, true],
    why.said,
  );
  assert.equal((await run(rig, "worker", "resume", task)).printed, `task ${task}: resumed\n`);
  const claimed = await claim(rig.sql);
  await settleSubtasks(rig.sql, claimed.map((one) => one.cell === 0 ? done(one) : failed(one)));
  const dead = await run(rig, "worker", "dead", "list");
  assert.match(dead.printed, new RegExp(`task ${task} cell 1, attempt 1: 图像接口返回 HTTP 500  \\(rig\\)`));
  const replay = await run(rig, "worker", "dead", "replay", "--cause", "HTTP 500", "--since", "1h");
  assert.equal(replay.printed, "1 cells of 1 tasks are pending again\n");
  assert.equal((await run(rig, "worker", "rerun", task, "0")).printed, `task ${task}: rerun\n`);
  assert.equal((await readTask(rig.sql, task)).status, "processing");
  assert.ok((await readSubtasks(rig.sql, task)).every(({ status }) => status === "pending"));
  const none = await run(rig, "worker", "retry", id);
  assert.deepEqual([none.code, none.said], [
    codes.not_found.exit,
    `error: drawing failed cells again of task '${id}': no such task\n`,
  ]);
});

Deno.test("the doctor ends with 1 while there is a fault, and with 0 once there is none", async () => {
  await using rig = await startRig();
  await join(rig.sql);
  const task = await rig.submit(["p"]);
  await settleSubtasks(rig.sql, (await claim(rig.sql)).map((one) => done(one)));
  await rig.sql`delete from workers`;
  await rig.sql`update tasks set subtasks_completed = 0`;
  const found = await run(rig, "worker:doctor");
  assert.equal(found.code, 1, found.said);
  assert.match(
    found.printed,
    /^FAULT: task .* its rows are 1, 1, 0, 0\n {4}its rows are counted again \[--repair does it\]$/m,
  );
  assert.match(found.printed, /1 fault left\n$/);
  const json = await run(rig, "worker:doctor", "--json");
  const { healthy, findings } = JSON.parse(json.printed);
  assert.deepEqual([json.code, healthy, findings[0].about], [1, false, task]);
  const mended = await run(rig, "worker:doctor", "--repair");
  assert.deepEqual([mended.code, /^repaired: task/m.test(mended.printed)], [0, true], mended.printed);
  const well = await run(rig, "worker:doctor");
  assert.deepEqual([well.code, /everything holds that must\n$/.test(well.printed)], [0, true], well.printed);
});
