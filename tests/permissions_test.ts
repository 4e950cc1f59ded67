/** Each program's permissions (deno.json «permissions»): what it needs and no more. */
import assert from "node:assert/strict";
import { settings } from "../config.ts";

interface PermissionSet {
  /** With `ignore`, every other variable is there and unset: a driver asks for dozens. */
  env: string[] | { allow: string[]; ignore: true };
  net: boolean;
  read: string[] | boolean;
  sys?: string[];
  write?: string[] | boolean;
}

const file = new URL("../deno.json", import.meta.url);
const { permissions, tasks } = JSON.parse(await Deno.readTextFile(file)) as {
  permissions: Record<string, PermissionSet>;
  tasks: Record<string, { command: string }>;
};

/** What a package reads of the environment while it is imported, and stops at when it may not. */
const redisAsks = ["UPSTASH_CONSOLE", "VERCEL", "AWS_REGION"];
const packagesAsk: Record<string, string[]> = { api: redisAsks, worker: redisAsks };

Deno.test("the programs may read the settings' variables and what their packages ask for, no others", () => {
  for (const [name, { env }] of Object.entries(permissions)) {
    const allowed = Array.isArray(env) ? env : env.allow;
    assert.deepEqual(allowed, [...Object.keys(settings), ...packagesAsk[name] ?? [], "PG*"], name);
    assert.equal(Array.isArray(env), name !== "migrate", name);
  }
});

Deno.test("only chaos, demo, test, bench, schema and the gate run with all permissions", () => {
  const all = Object.entries(tasks).filter(([, { command }]) => /\s-A\b/.test(command)).map(([name]) => name);
  assert.deepEqual(all.sort(), ["bench", "chaos", "demo", "ok", "schema", "test"]);
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
    Deno.test(`the ${program} is refused ${what}`, async () => {
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
