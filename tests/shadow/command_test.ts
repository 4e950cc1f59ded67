/** `deno task shadow` as a command: options, exit codes and output. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { startAltered } from "./support/altered.ts";
import { waitFor } from "../support/wait.ts";
import { person, startLoaded } from "./support/backends.ts";

async function runTask(args: string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "shadow", ...args],
    cwd: new URL("../..", import.meta.url).pathname,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test("deno task shadow exits with a code that matches its report", async (t) => {
  await using api = await startLoaded();
  await using altered = startAltered(api.origin, {
    after: (request, answer) => {
      if (/^\/api\/v1\/users\/me\/?$/.test(request.url.pathname)) {
        answer.text = answer.text.replace('"is_active":true', '"is_active":1');
      }
    },
  });
  const env = { SHADOW_EMAIL: person.email, SHADOW_PASSWORD: person.password };
  const args = (to: string) => ["--old", api.origin, "--new", to, "--seed", "5", "--runs", "80"];
  await t.step("0: equal backends", async () => {
    const { code, out, err } = await runTask(args(api.origin), env);
    assert.equal(code, 0, err);
    assert.match(out, /80 requests to each, seed 5: no unexplained difference/);
  });
  await t.step("1: a difference, with its request as a curl command", async () => {
    const { code, out, err } = await runTask(args(altered.origin), env);
    assert.equal(code, 1, err);
    assert.match(out, /^GET \/api\/v1\/users\/me\n {2}type at \/data\/is_active {2}\(/m);
    assert.ok(
      out.includes(`$ curl -i -H "Authorization: Bearer \${token}" ${altered.origin}/api/v1/users/me\n`),
      out,
    );
    assert.ok(!out.includes(person.password) && !/eyJ/.test(out));
  });
  await t.step("1: the report as JSON, with a token instead of a sign-in", async () => {
    const token = await api.tokens.sign({ sub: "x", email: person.email });
    const { code, out } = await runTask([...args(altered.origin), "--json"], { SHADOW_TOKEN: token });
    assert.equal(code, 1);
    const report = JSON.parse(out);
    assert.equal(report.unexplained, 1);
    const { route, kind, path, old, new: now, example } = report.differences[0];
    assert.deepEqual({ route, kind, path, old, now }, {
      route: "GET /api/v1/users/me",
      kind: "type",
      path: "/data/is_active",
      old: "true",
      now: "1",
    });
    assert.equal(example[0].target, "/api/v1/users/me");
    assert.ok(!out.includes(token));
  });
  const usageErrors: [string, string[], Record<string, string>, RegExp][] = [
    ["no --new", ["--old", api.origin], env, /required option '--new <url>'/],
    ["an invalid URL", ["--old", api.origin, "--new", "localhost"], env, /--new 'localhost': expected a URL/],
    ["an unknown option", [...args(api.origin), "--quick"], env, /unknown option '--quick'/],
    [
      "a fractional number of runs",
      ["--old", api.origin, "--new", api.origin, "--runs", "0.5"],
      env,
      /'0.5' is invalid. Expected an integer/,
    ],
    [
      "contradicting modes",
      [...args(api.origin), "--writes", "--reads-only"],
      env,
      /cannot be used with option/,
    ],
    ["no credentials", args(api.origin), {}, /SHADOW_EMAIL and SHADOW_PASSWORD/],
    [
      "a wrong password",
      args(api.origin),
      { ...env, SHADOW_PASSWORD: "no" },
      /signing in as 'admin@example.com' at --old.*401/,
    ],
    [
      "no server",
      args("http://127.0.0.1:2"),
      env,
      /requesting --new http:\/\/127.0.0.1:2\/health: expected 200/,
    ],
  ];
  for (const [name, args, variables, message] of usageErrors) {
    await t.step(`64: ${name}`, async () => {
      const { code, out, err } = await runTask(args, variables);
      assert.equal(code, 64, out + err);
      assert.match(err, message);
    });
  }
  await t.step("78: a token that only one backend accepts, before the first request of the run", async () => {
    await using other = await startApi({
      database: api.database,
      env: { SECRET_KEY: "another-secret-key-of-32-letters" },
    });
    await using seen = startAltered(other.origin, {});
    const { code, out, err } = await runTask(args(seen.origin), env);
    assert.equal(code, 78, out + err);
    assert.equal(out, "");
    assert.match(
      err,
      /^error: the two backends do not share SECRET_KEY: the new backend rejects the token of/,
    );
    assert.equal(err.match(/SECRET_KEY/g)!.length, 1);
    const paths = seen.requests.map((line) => line.split(" ")[1]);
    assert.deepEqual(paths, ["/health", "/api/v1/auth/login", "/api/v1/users/me", "/api/v1/users/me"]);
  });
  await t.step("66 and 65: a missing recording, and a file that is not one", async () => {
    assert.equal((await runTask([...args(api.origin), "--recorded", "nowhere.jsonl"], env)).code, 66);
    const { code, err } = await runTask([...args(api.origin), "--recorded", "README.md"], env);
    assert.equal(code, 65);
    assert.match(err, /README.md:1: not JSON/);
  });
  await t.step("130: an interrupted run", async () => {
    await using proxy = startAltered(api.origin, {});
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", "dev/shadow/main.ts", ...args(proxy.origin), "--runs", "100000"],
      cwd: new URL("../..", import.meta.url).pathname,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    await waitFor("30 requests", () => proxy.requests.length >= 30);
    child.kill("SIGINT");
    const { code, stdout } = await child.output();
    assert.equal(code, 130);
    assert.match(new TextDecoder().decode(stdout), /requests to each before the interruption, seed 5/);
  });
  await t.step("0: --help", async () => {
    const { code, out } = await runTask(["--help"]);
    assert.equal(code, 0);
    assert.match(out, /--recorded <file>/);
  });
});
