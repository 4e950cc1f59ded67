/** Each program's least permissions (deno.json «permissions»). */
import assert from "node:assert/strict";
import { settings } from "../settings.ts";

interface PermissionSet {
  /** With `ignore`, reading any other variable returns undefined; a driver reads dozens of them. */
  env: string[] | { allow: string[]; ignore: true };
  net: boolean;
  read: string[] | boolean;
  run?: string[] | boolean;
  sys?: string[];
  write?: string[] | boolean;
}

const file = new URL("../deno.json", import.meta.url);
const { permissions, tasks } = JSON.parse(await Deno.readTextFile(file)) as {
  permissions: Record<string, PermissionSet>;
  tasks: Record<string, { command: string }>;
};

/** Variables that a package reads while it is imported, or at its first use; a denied one would end that. */
const redisVariables = ["UPSTASH_CONSOLE", "VERCEL", "AWS_REGION"];
const undiciVariables = ["JEST_WORKER_ID", "UNDICI_NO_WASM_SIMD"];
const packageVariables: Record<string, string[]> = {
  start: [...redisVariables, ...undiciVariables],
  api: [...redisVariables, ...undiciVariables],
  worker: redisVariables,
};

Deno.test("programs may read the variables of the settings and of their packages, and no others", () => {
  for (const [name, { env }] of Object.entries(permissions)) {
    const allowed = Array.isArray(env) ? env : env.allow;
    assert.deepEqual(allowed, [...Object.keys(settings), ...packageVariables[name] ?? [], "PG*"], name);
    assert.equal(Array.isArray(env), name !== "migrate" && name !== "backup", name);
  }
});

Deno.test("only console and its pictures, chaos, demo, drill, test, bench, schema and the gate run with all permissions", () => {
  const all = Object.entries(tasks).filter(([, { command }]) => /\s-A\b/.test(command)).map(([name]) => name);
  assert.deepEqual(all.sort(), [
    "bench",
    "chaos",
    "console",
    "console:shots",
    "demo",
    "drill",
    "ok",
    "schema",
    "test",
  ]);
});

Deno.test("only the parent of several API processes and the backup may run programs", () => {
  const { run, ...rest } = permissions.start!;
  assert.deepEqual(run, ["deno"]);
  assert.deepEqual(rest, permissions.api);
  for (const [name, set] of Object.entries(permissions)) {
    // The operator names the folder of pg_dump.
    if (name !== "start") assert.equal(set.run, name === "backup" ? true : undefined, name);
  }
});

const forbidden: [string, string][] = [
  ["a file outside", "Deno.readTextFileSync('/etc/hostname')"],
  ["writing a file", "Deno.writeTextFileSync('written', '')"],
  ["another variable", "Deno.env.get('HOME')"],
  ["another program", "new Deno.Command('true').outputSync()"],
  ["a native library", "Deno.dlopen('libc.so.6', {})"],
];
for (const program of ["api", "worker"]) {
  for (const [what, code] of forbidden) {
    Deno.test(`the ${program} is denied ${what}`, async () => {
      const path = await Deno.makeTempFile({ suffix: ".ts" });
      await Deno.writeTextFile(
        path,
        `try { ${code}; } catch (error) { Deno.exit(error.name === "NotCapable" ? 42 : 1) }`,
      );
      const { code: ending } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--quiet",
          "--no-prompt",
          "--no-lock",
          `-P=${program}`,
          "--config",
          file.pathname,
          path,
        ],
        stdin: "null",
      }).output();
      await Deno.remove(path);
      assert.equal(ending, 42);
    });
  }
}
