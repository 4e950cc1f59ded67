/** The rig itself (docs/chaos.md): short runs that must stay green, and what it draws and says. */
import assert from "node:assert/strict";
import { type FaultKind, faultKinds } from "../../dev/chaos/faults.ts";
import { copyProject, mutations } from "../../dev/chaos/mutations.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { openLane, runPlan } from "../../dev/chaos/run.ts";
import { drawPlan } from "../../dev/chaos/schedule.ts";

const project = new URL("../../", import.meta.url);

const runs: { seed: number; faults: FaultKind[] }[] = [
  { seed: 11, faults: ["kill", "flush", "duplicates"] },
  { seed: 12, faults: ["terminate", "postgres_immediate", "redis_restart"] },
  { seed: 13, faults: ["backends_cut", "postgres_mute", "groups_destroyed", "api_500"] },
];

Deno.test("under faults every cell ends once, is counted once and paid for once", async (t) => {
  await using lane = await openLane(project);
  for (const { seed, faults } of runs) {
    await t.step(`seed ${seed}: ${faults.join(", ")}`, async () => {
      const { violations } = await runPlan(lane, drawPlan(seed, faults));
      assert.deepEqual(violations, []);
    });
  }
});

Deno.test("a seed draws the same run again, another seed another one", () => {
  assert.deepEqual(drawPlan(7), drawPlan(7));
  assert.notDeepEqual(drawPlan(7), drawPlan(8));
});

Deno.test("every fault is drawn sooner or later, and only the wanted ones where some are wanted", () => {
  const drawn = new Set<FaultKind>();
  for (let seed = 0; seed < 1_000; seed++) for (const { kind } of drawPlan(seed).strikes) drawn.add(kind);
  assert.deepEqual([...drawn].sort(), [...faultKinds].sort());
  for (let seed = 0; seed < 50; seed++) {
    for (const { kind } of drawPlan(seed, ["flush", "kill"]).strikes) assert.match(kind, /^(flush|kill)$/);
  }
});

for (const [name, mutation] of Object.entries(mutations)) {
  Deno.test(`the guard '${name}' is still where the rig takes it out`, async () => {
    await using copy = await copyProject(project, mutation);
    for (const { file, to } of mutation.patches) {
      assert.ok((await Deno.readTextFile(new URL(file, copy.root))).includes(to));
    }
  });
}

Deno.test("a guard that is not there is said so", async () => {
  const patches = [{ file: "db/queue/subtasks.ts", from: "no such text", to: "" }];
  await assert.rejects(
    () => copyProject(project, { about: "", patches, faults: [] }),
    /mutating 'db\/subtasks\.ts': wanted exactly once: no such text/,
  );
});

const answersBy: [string, (proxy: ReturnType<typeof startProxy>) => void, boolean][] = [
  ["passes bytes on", () => {}, true],
  ["holds them", (proxy) => proxy.set("hold"), false],
  ["loses replies", (proxy) => proxy.set("mute"), false],
  ["leaves open connections silent for good", (proxy) => proxy.orphan(), false],
  ["goes on after holding", (proxy) => {
    proxy.set("hold");
    setTimeout(() => proxy.set("pass"), 30);
  }, true],
];
for (const [what, set, answers] of answersBy) {
  Deno.test(`a proxy ${what}`, async () => {
    const echo = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted = echo.accept().then((connection) =>
      connection.readable.pipeTo(connection.writable).catch(() => {})
    );
    await using proxy = startProxy(echo.addr.port);
    const client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
    const heard = new Uint8Array(4);
    await client.write(new TextEncoder().encode("one "));
    await client.read(heard);
    set(proxy);
    await client.write(new TextEncoder().encode("two "));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), 200));
    const read = client.read(heard).then((count) => count === 4, () => false);
    assert.equal(await Promise.race([read, late]), answers);
    clearTimeout(timer);
    client.close();
    proxy.stop();
    echo.close();
    await Promise.all([accepted, read]);
  });
}
