/** Runs every command of docs/operating-queue.md, as it is written, against a task with ended and failed cells. */
import assert from "node:assert/strict";
import { settleSubtasks } from "../../db/queue/subtasks.ts";
import { claim, done, failed, join } from "../support/cells.ts";
import { type Rig, startRig } from "../support/queue_rig.ts";
import { makeCleanCopy } from "./support/clean_copy.ts";
import { listWritten, type Written } from "./support/pages.ts";

const page = "docs/operating-queue.md";

/** What each command prints. The commands stand here in the order of the page. */
const printed: [string, RegExp][] = [
  ["worker:why TASK CELL", /attempt 1/],
  ["worker:doctor", /no faults|note: /],
  ["worker slots", /standard/],
  ["worker dead list", /attempt 1: .*HTTP 500/],
  ["worker pause TASK", /: paused$/m],
  ["worker resume TASK", /: resumed$/m],
  ["worker retry TASK [--cause TEXT]", /: 1 cell is pending again$/m],
  ["worker rerun TASK CELL", /: rerun$/m],
  ["worker dead replay [--task …] [--cause …] [--since …]", /^1 cell of 1 task is pending again$/m],
  ["worker slots QUEUE N --for 30m --reason TEXT", /^standard is set to 7 slots by hand until .*: HTTP 500/m],
  ["worker slots QUEUE --clear", /^standard: the slot override is cleared/m],
  ["worker:doctor --repair", /no faults|note: /],
];

/** A command of the page with the flags that its row lists. */
interface Row {
  command: string;
  flags: string[];
}

/** Returns the commands with a task, a queue or an option; flags belong to the last command of their line. */
function listRows(written: Written[]): Row[] {
  const rows: (Row & { line: number })[] = [];
  for (const { text, line } of written) {
    const last = rows.at(-1);
    if (text.startsWith("--")) {
      if (last?.line === line) last.flags.push(text);
    } else rows.push({ command: text, flags: [], line });
  }
  // The introduction names commands without running them.
  return rows.filter(({ line }) => line > 8);
}

/** What the placeholders of the page stand for. */
interface Targets {
  task: string;
  /** A completed cell of `task`. */
  cell: number;
  failedTask: string;
}

/** Replaces the placeholders of the page. */
function fill(text: string, { task, cell, failedTask }: Targets): string[] {
  const values: Record<string, string> = {
    TASK: task,
    CELL: String(cell),
    QUEUE: "standard",
    N: "7",
    NAME: "night shift",
  };
  const words = text.replaceAll(/[[\]]/g, "").split(" ");
  const options: Record<string, string> = { "--task": failedTask, "--cause": "HTTP 500", "--since": "1h" };
  return words.map((word, index) => {
    const option = options[words[index - 1] ?? ""];
    if (option !== undefined && /^(…|TEXT)$/.test(word)) return option;
    return word === "TEXT" ? "HTTP 500" : values[word] ?? word;
  });
}

/** Creates a task that failed, and one with a completed, a failed and a pending cell. */
async function makeTasks({ sql, submit }: Rig): Promise<Targets> {
  await join(sql);
  const failedTask = await submit(["lost"]);
  await settleSubtasks(sql, (await claim(sql)).map((one) => failed(one)));
  const task = await submit(["drawn", "refused", "waiting"]);
  // Cells of a task are dispatched in a random order.
  const [completed, refused] = await claim(sql, 2);
  await settleSubtasks(sql, [done(completed!), failed(refused!)]);
  await sql`delete from workers`;
  return { task, cell: completed!.cell!, failedTask };
}

Deno.test("the commands of docs/operating-queue.md run as written, each with all its flags too", async (t) => {
  await using rig = await startRig();
  await using copy = await makeCleanCopy();
  const settings = { ...rig.env, SECRET_KEY: "0123456789abcdef0123456789abcdef", LOG_LEVEL: "error" };
  await copy.write(".env", Object.entries(settings).map(([name, value]) => `${name}=${value}\n`).join(""));
  const targets = await makeTasks(rig);
  const rows = listRows(listWritten(page));
  assert.deepEqual(rows.map(({ command }) => command), printed.map(([command]) => command));
  for (const { command, flags } of rows) {
    const wanted = new Map(printed).get(command)!;
    for (const text of flags.length === 0 ? [command] : [command, `${command} ${flags.join(" ")}`]) {
      await t.step(text, async () => {
        const words = fill(text, targets).map((word) => `'${word}'`).join(" ");
        const { code, out, err } = await copy.run(`deno task ${words}`);
        const codes = command.startsWith("worker:doctor") ? [0, 1] : [0];
        assert.ok(codes.includes(code), `exit code ${code}: ${out}${err}`);
        if (!text.includes("--json")) assert.match(out, wanted);
        else assert.equal(typeof JSON.parse(out), "object");
      });
    }
  }
});
