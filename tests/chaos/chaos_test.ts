/** The fault rig (docs/chaos.md): short runs without violations, plans, mutations and the proxy. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { type FaultKind, faultKinds, faults as catalogue } from "../../dev/chaos/faults.ts";
import { copyProject, mutations } from "../../dev/chaos/mutations.ts";
import { ruleNames } from "../../dev/chaos/oracle.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { sendCommands } from "../../dev/chaos/nodes/redis.ts";
import { openLane, runPlan } from "../../dev/chaos/run.ts";
import { generatePlan } from "../../dev/chaos/plan.ts";
import { openRedis } from "../../redis/connect.ts";
import { waitFor } from "../support/wait.ts";

const project = new URL("../../", import.meta.url);

const runs: { seed: number; faults: FaultKind[] }[] = [
  { seed: 11, faults: ["kill", "flush", "duplicates"] },
  { seed: 12, faults: ["terminate", "postgres_immediate", "redis_restart"] },
  { seed: 13, faults: ["backends_cut", "postgres_mute", "groups_destroyed", "api_500"] },
  { seed: 28, faults: ["postgres_failover", "redis_failover", "redis_full"] },
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

Deno.test("a failover moves the data and the address, and open connections stay on the read-only node", async (t) => {
  await using lane = await openLane(project);
  const { postgres, redis } = lane;
  for (const movesFirst of [true, false]) {
    await t.step(`PostgreSQL${movesFirst ? " whose address moves before the promotion" : ""}`, async () => {
      const database = `moved_${movesFirst}`;
      await postgres.createDatabase(database);
      const worker = connect(postgres.url(database, postgres.port), { max: 1 });
      const own = connect(postgres.url(database), { max: 1 });
      const readPort = async () => (await worker`select inet_server_port() as port`)[0]!.port as number;
      await worker`create table notes as select inet_server_port() as at`;
      const oldPort = await readPort();
      await postgres.failOver({ readOnlyMs: 50, movesFirst });
      assert.equal(await readPort(), oldPort);
      await waitFor("the new node", async () => await readPort().catch(() => oldPort) !== oldPort, 5_000);
      await worker`insert into notes values (inet_server_port())`;
      await waitFor("the rig's connection", () => own`select 1`.then(() => true, () => false), 5_000);
      assert.deepEqual((await own`select at from notes`).map(({ at }) => at), [oldPort, await readPort()]);
      await Promise.all([worker.end(), own.end()]);
    });
  }
  for (const answersReads of [true, false]) {
    await t.step(`Redis whose old node ${answersReads ? "answers" : "refuses"} reads`, async () => {
      await redis.startIfDown();
      await using connection = openRedis({ url: `redis://127.0.0.1:${redis.port}/0` });
      const before = redis.url;
      await connection.redis.set("key", "value");
      await redis.failOver({ readOnlyMs: 0, answersReads });
      assert.notEqual(redis.url, before);
      const sendToOld = (command: string[]) => sendCommands(before, [command], true);
      assert.deepEqual(await sendToOld(["SET", "key", "old"]), [null]);
      if (!answersReads) assert.deepEqual(await sendToOld(["GET", "key"]), [null]);
      await connection.redis.set("key", "new");
      assert.deepEqual(await sendCommands(redis.url, [["GET", "key"]]), ["new"]);
    });
  }
});

/** Returns the rows of a table of docs/chaos.md whose header begins with `header`. */
async function readTable(header: string): Promise<string[][]> {
  const lines = (await Deno.readTextFile(new URL("docs/chaos.md", project))).split("\n");
  const from = lines.findIndex((line) => line.startsWith(`| ${header} |`)) + 2;
  const table = lines.slice(from, lines.findIndex((line, i) => i > from && line === ""));
  return table.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const formatRange = ([min, max]: readonly [number, number]) =>
  max === 0 ? "" : `${min / 1000}–${max / 1000} s`;

Deno.test("docs/chaos.md lists all faults, rules and guards", async () => {
  assert.deepEqual(
    (await readTable("target")).map(([, ...row]) => row),
    Object.entries(catalogue).map(([name, { about, ms }]) => [`\`${name}\``, about, formatRange(ms)]),
  );
  assert.deepEqual((await readTable("rule")).map(([name]) => name), ruleNames);
  assert.deepEqual(
    await readTable("guard"),
    Object.entries(mutations).map(([name, { about }]) => [`\`${name}\``, about]),
  );
});

Deno.test("generatePlan() returns the same plan for the same seed and another plan for another seed", () => {
  assert.deepEqual(generatePlan(7), generatePlan(7));
  assert.notDeepEqual(generatePlan(7), generatePlan(8));
});

Deno.test("generatePlan() draws every kind of fault and respects a given list of kinds", () => {
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
  ["leaves open connections where they are when its target moves", (proxy) => proxy.to = 1, true],
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
