/** The fault rig (docs/chaos.md): short runs without violations, plans, mutations and the proxy. */
import assert from "node:assert/strict";
import { type FaultKind, faultKinds } from "../../dev/chaos/faults.ts";
import { copyProject, mutations } from "../../dev/chaos/mutations.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { openLane, runPlan } from "../../dev/chaos/run.ts";
import { generatePlan } from "../../dev/chaos/plan.ts";

const project = new URL("../../", import.meta.url);

const runs: { seed: number; faults: FaultKind[] }[] = [
  { seed: 11, faults: ["kill", "flush", "duplicates"] },
  { seed: 12, faults: ["terminate", "postgres_immediate", "redis_restart"] },
  { seed: 13, faults: ["backends_cut", "postgres_mute", "groups_destroyed", "api_500"] },
];

Deno.test("under faults every cell ends once, is counted once and is paid for once", async (t) => {
  await using lane = await openLane(project);
  for (const { seed, faults } of runs) {
    await t.step(`seed ${seed}: ${faults.join(", ")}`, async () => {
      const { violations } = await runPlan(lane, generatePlan(seed, faults));
      assert.deepEqual(violations, []);
    });
  }
});

Deno.test("drawPlan() returns the same plan for the same seed and another plan for another seed", () => {
  assert.deepEqual(generatePlan(7), generatePlan(7));
  assert.notDeepEqual(generatePlan(7), generatePlan(8));
});

Deno.test("drawPlan() draws every kind of fault and respects a given list of kinds", () => {
  const drawn = new Set<FaultKind>();
  for (let seed = 0; seed < 1_000; seed++) {
    for (const { kind } of generatePlan(seed).plannedFaults) drawn.add(kind);
  }
  assert.deepEqual([...drawn].sort(), [...faultKinds].sort());
  for (let seed = 0; seed < 50; seed++) {
    for (const { kind } of generatePlan(seed, ["flush", "kill"]).plannedFaults) {
      assert.match(kind, /^(flush|kill)$/);
    }
  }
});

for (const [name, mutation] of Object.entries(mutations)) {
  Deno.test(`the mutation '${name}' applies to the present source`, async () => {
    await using copy = await copyProject(project, mutation);
    for (const { file, to } of mutation.patches) {
      const text = await Deno.readTextFile(new URL(file, copy.root));
      assert.ok(text.includes(to));
      assert.notEqual(text, await Deno.readTextFile(new URL(file, project)));
    }
  });
}

Deno.test("a copy of the project holds every file that the worker imports", async () => {
  await using copy = await copyProject(project);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "jobs/main.ts"],
    cwd: copy.root.pathname,
    stderr: "null",
  });
  const { modules } = JSON.parse(new TextDecoder().decode((await command.output()).stdout)) as {
    modules: { specifier: string; error?: string }[];
  };
  assert.ok(modules.length > 50);
  assert.deepEqual(modules.filter(({ error }) => error !== undefined), []);
});

Deno.test("copyProject() rejects a patch whose text does not occur", async () => {
  const patches = [{ file: "db/queue/subtasks.ts", from: "no such text", to: "" }];
  await assert.rejects(
    () => copyProject(project, { about: "", patches, faults: [] }),
    /mutating 'db\/queue\/subtasks\.ts': 0 matches, wanted exactly one: no such text/,
  );
});

const proxyCases: [string, (proxy: ReturnType<typeof startProxy>) => void, boolean][] = [
  ["forwards bytes", () => {}, true],
  ["holds bytes", (proxy) => proxy.set("hold"), false],
  ["drops replies", (proxy) => proxy.set("mute"), false],
  ["silences open connections for good", (proxy) => proxy.orphan(), false],
  ["forwards held bytes when it passes again", (proxy) => {
    proxy.set("hold");
    setTimeout(() => proxy.set("pass"), 30);
  }, true],
];
for (const [behaviour, disturb, answers] of proxyCases) {
  Deno.test(`a proxy ${behaviour}`, async () => {
    const echo = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted = echo.accept().then((connection) =>
      connection.readable.pipeTo(connection.writable).catch(() => {})
    );
    await using proxy = startProxy(echo.addr.port);
    const client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
    const reply = new Uint8Array(4);
    await client.write(new TextEncoder().encode("one "));
    await client.read(reply);
    disturb(proxy);
    await client.write(new TextEncoder().encode("two "));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), 200));
    const read = client.read(reply).then((count) => count === 4, () => false);
    assert.equal(await Promise.race([read, late]), answers);
    clearTimeout(timer);
    client.close();
    proxy.stop();
    echo.close();
    await Promise.all([accepted, read]);
  });
}
