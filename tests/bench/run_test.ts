/** Running one bench as a process: its report, its failures, and its end with its servers. */
import assert from "node:assert/strict";
import { runBench } from "../../bench/all/run.ts";
import { isAlive } from "../../dev/servers/pids.ts";
import { waitFor } from "../support/wait.ts";

/** Creates a project with one bench named `made_up`. */
async function createProject(source: string) {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/bench/made_up`, { recursive: true });
  await Deno.writeTextFile(`${folder}/deno.json`, "{}");
  await Deno.writeTextFile(`${folder}/bench/made_up/main.ts`, source);
  return {
    folder,
    root: new URL(`file://${folder}/`),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

const reporting = `
  Deno.writeTextFileSync(Deno.makeTempDirSync() + "/file", "");
  console.error("message");
  console.log("note");
  console.log(JSON.stringify({ figures: [], args: Deno.args, folder: Deno.makeTempDirSync() }));`;

/** A bench that starts a server, writes the ids of both to the file of its argument, and then hangs. */
const hanging = `
  const server = new Deno.Command(Deno.execPath(), { args: ["eval", "setInterval(() => {}, 1000)"] }).spawn();
  Deno.writeTextFileSync(Deno.args[0] + ".new", Deno.pid + " " + server.pid);
  Deno.renameSync(Deno.args[0] + ".new", Deno.args[0]);
  Deno.addSignalListener("SIGTERM", () => {});
  setInterval(() => {}, 1000);`;

const options = { args: [], minutesMax: 1, signal: new AbortController().signal, isQuiet: true };

Deno.test("runBench() passes arguments on with --json, reads the report and removes temporary files", async () => {
  await using project = await createProject(reporting);
  const { exitCode, report } = await runBench("made_up", {
    ...options,
    root: project.root,
    args: ["--quick"],
  });
  const { args, folder } = report as unknown as { args: string[]; folder: string };
  assert.deepEqual([exitCode, args], [0, ["--quick", "--json"]]);
  await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
});

Deno.test("runBench() returns the exit code of a bench that fails", async () => {
  await using project = await createProject("Deno.exit(69)");
  const ended = await runBench("made_up", { ...options, root: project.root });
  assert.deepEqual(ended, { exitCode: 69 });
});

Deno.test("a bench that could not measure a figure prints the others and fails", async () => {
  const reportPath = new URL("../../bench/report.ts", import.meta.url).href;
  await using project = await createProject(`
    import { openReport } from "${reportPath}";
    const report = openReport(true);
    report.add({ what: "delay", value: NaN, unit: "ms" });
    report.add({ what: "rate", value: 2, unit: "/s" });
    report.end(1);`);
  const { exitCode, report } = await runBench("made_up", { ...options, root: project.root });
  assert.deepEqual([exitCode, report?.figures], [1, [{ what: "rate", value: 2, unit: "/s" }]]);
});

const readIds = async (path: string): Promise<number[]> =>
  (await Deno.readTextFile(path)).split(" ").map(Number);

Deno.test("runBench() ends a bench that takes too long, with its servers", async () => {
  await using project = await createProject(hanging);
  const path = `${project.folder}/ids`;
  const ended = await runBench("made_up", { ...options, root: project.root, args: [path], minutesMax: 0.05 });
  assert.deepEqual(ended, { exitCode: 124 });
  for (const pid of await readIds(path)) assert.equal(isAlive(pid), false);
});

Deno.test("runBench() ends a bench and its servers after an abort", async () => {
  await using project = await createProject(hanging);
  const path = `${project.folder}/ids`;
  const stop = new AbortController();
  const running = runBench("made_up", { ...options, root: project.root, args: [path], signal: stop.signal });
  await waitFor("the bench", () => readIds(path).catch(() => undefined));
  stop.abort(new DOMException("received SIGINT", "AbortError"));
  await assert.rejects(running, { name: "AbortError" });
  for (const pid of await readIds(path)) assert.equal(isAlive(pid), false);
});
