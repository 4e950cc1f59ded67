import assert from "node:assert/strict";
import { parseConfig } from "../config.ts";
import { type SettingName, settings } from "../settings.ts";
import { AppError, describeError } from "../errors.ts";

const good = {
  DATABASE_URL: "postgres://u:p@localhost/db",
  SECRET_KEY: "0123456789abcdef0123456789abcdef",
  IMAGE_API_URL: "http://127.0.0.1:9000",
  NIETA_XTOKEN: "t",
};

function faultsOf(env: Record<string, string>, program: "api" | "worker" | "migrate" = "api"): string {
  try {
    parseConfig({ ...good, ...env }, program);
  } catch (error) {
    assert.ok(error instanceof AppError);
    assert.equal(error.exit, 78);
    return describeError(error);
  }
  return "";
}

Deno.test("parseConfig() accepts an .env file of the old backend unchanged", () => {
  const config = parseConfig({
    ...good,
    ALGORITHM: "HS256",
    ACCESS_TOKEN_EXPIRE_MINUTES: "10080",
    REDIS_URL: "redis://localhost:6379/0",
    MONGODB_URL: "mongodb://localhost:27017",
    DB_NAME: "old",
    CORS_ORIGINS: "http://a, http://b",
    LOG_LEVEL: "info",
    IMAGE_POLLING_INTERVAL: "2.0",
    BACKEND_SOMETHING_ELSE: "ignored",
  }, "api");
  assert.equal(config.ACCESS_TOKEN_EXPIRE_MINUTES, 10_080);
  assert.deepEqual(config.CORS_ORIGINS, ["http://a", "http://b"]);
  assert.equal(config.IMAGE_POLLING_INTERVAL, 2);
  assert.equal(config.LUMINA_EXECUTOR_MIN_CONCURRENT, 24);
  assert.equal(config.LUMINA_API_URL, good.IMAGE_API_URL);
  assert.equal(config.LOG_LEVEL, "info");
});

Deno.test("parseConfig() reports all faults at once with field, value and valid values", () => {
  const report = faultsOf({ PORT: "eighty", LOG_LEVEL: "loud", DATABASE_URL: "mysql://x", SECRET_KEY: "" });
  assert.match(report, /PORT 'eighty': wanted a whole number from 0 to 65535/);
  assert.match(report, /LOG_LEVEL 'loud': wanted one of debug, info/);
  assert.match(report, /DATABASE_URL: wanted a URL that starts with postgres:/);
  assert.match(report, /SECRET_KEY: wanted to be set/);
});

const faulty: [string, Record<string, string>, RegExp][] = [
  ["another algorithm", { ALGORITHM: "RS256" }, /ALGORITHM 'RS256': wanted one of HS256/],
  [
    "a short key",
    { SECRET_KEY: "short" },
    /SECRET_KEY: wanted 32 bytes or more, it has 5; .*SHORT_SECRET_KEY=allow/,
  ],
  ["a port that is out of range", { PORT: "70000" }, /PORT '70000'/],
  [
    "a fraction for slots",
    { TASK_EXECUTOR_MAX_CONCURRENT: "1.5" },
    /TASK_EXECUTOR_MAX_CONCURRENT '1.5': wanted a whole/,
  ],
  [
    "a flag that is neither true nor false",
    { PUBLIC_TASK_READS: "maybe" },
    /PUBLIC_TASK_READS 'maybe': wanted true or false/,
  ],
  [
    "a Redis URL of another scheme",
    { REDIS_URL: "http://x" },
    /REDIS_URL: wanted a URL that starts with redis:/,
  ],
];
for (const [what, env, wanted] of faulty) {
  Deno.test(`parseConfig() rejects ${what}`, () => assert.match(faultsOf(env), wanted));
}

Deno.test("faults never contain a secret", () => {
  const report = faultsOf({
    DATABASE_URL: "mysql://u:hunter2@x/y",
    SECRET_KEY: "hunter2",
    REDIS_URL: "x://hunter2",
  });
  assert.doesNotMatch(report, /hunter2/);
});

Deno.test("SHORT_SECRET_KEY=allow permits a short key", () => {
  assert.equal(faultsOf({ SECRET_KEY: "golden-secret-key", SHORT_SECRET_KEY: "allow" }), "");
});

Deno.test(".env.example and docs/settings.md list every setting with its default", async () => {
  const example = await Deno.readTextFile(new URL("../.env.example", import.meta.url));
  const page = await Deno.readTextFile(new URL("../docs/settings.md", import.meta.url));
  const inExample = [...example.matchAll(/^#? ?([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]);
  const wanted = Object.entries(settings).map(([name, { default: standard }]) => [name, standard]);
  assert.deepEqual(inExample, wanted);
  for (const [name, setting] of Object.entries(settings)) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
    assert.ok(row, `${name} has a row`);
    assert.ok(row.includes(setting.help), `${name} says: ${setting.help}`);
    if (setting.default !== "") assert.ok(row.includes(`\`${setting.default}\``), `${name} has its default`);
  }
  const names = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name as SettingName);
  assert.deepEqual(names, Object.keys(settings));
});
