/** `deno task bench guard` on a repository with a made-up bench, whose figures stand in its commits. */
import assert from "node:assert/strict";
import type { Row } from "../../bench/guard/judge.ts";
import { guard, type GuardOptions } from "../../bench/guard/run.ts";
import { findCommit, isDirty } from "../../bench/guard/worktrees.ts";
import { waitFor } from "../support/wait.ts";

/** A bench that counts its runs in a file outside of the repository, so that a figure can depend on the run. */
const toBench = (figures: string) => `
  const path = Deno.args[0];
  const run = Deno.readTextFileSync(path).length;
  Deno.writeTextFileSync(path, "x", { append: true });
  console.log(JSON.stringify({ figures: ${figures} }));`;

async function createRepository() {
  const folder = await Deno.makeTempDir();
  const root = new URL(`file://${folder}/repository/`);
  const bench = new URL("bench/made_up/", root);
  await Deno.mkdir(bench, { recursive: true });
  await Deno.writeTextFile(new URL("deno.json", root), "{}");
  const runs = `${folder}/runs`;
  await Deno.writeTextFile(runs, "");
  const git = async (...args: string[]) => {
    const identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"];
    const { code, stdout, stderr } = await new Deno.Command("git", {
      args: ["-C", root.pathname, ...identity, ...args],
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  await git("init", "--quiet");
  return {
    root,
    runs,
    git,
    /** Commits a bench. @returns the hash */
    async commit(source: string) {
      await Deno.writeTextFile(new URL("main.ts", bench), source);
      await git("add", "--all");
      await git("commit", "--quiet", "--allow-empty", "--message", "a bench");
      return await git("rev-parse", "HEAD");
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

type Repository = Awaited<ReturnType<typeof createRepository>>;

const toOptions = ({ root, runs }: Repository, changes: Partial<GuardOptions> = {}): GuardOptions => ({
  root,
  measures: [{ name: "made up", bench: "made_up", args: [runs], figures: /^(rate|delay)/ }],
  rounds: 1,
  signal: new AbortController().signal,
  onProgress: () => {},
  ...changes,
});

const verdicts = (rows: Row[]) => rows.map(({ what, verdict }) => `${what}: ${verdict}`);

/** Asserts that no checkout is left. */
async function assertTidy({ git, root }: Repository): Promise<void> {
  assert.equal((await git("worktree", "list")).split("\n").length, 1);
  assert.equal(await isDirty(root), false);
}

Deno.test("guard() finds a loss that repeats, leaves others out, and removes its checkouts", async () => {
  await using repository = await createRepository();
  const base = await repository.commit(
    toBench(
      '[{what:"rate",value:100,unit:"/s"},{what:"delay",value:5,unit:"ms"},{what:"x",value:1,unit:"ms"}]',
    ),
  );
  const head = await repository.commit(
    toBench(
      '[{what:"rate",value:50,unit:"/s"},{what:"delay",value:5,unit:"ms"},{what:"x",value:9,unit:"ms"}]',
    ),
  );
  const progress: string[] = [];
  const options = toOptions(repository, { rounds: 2, onProgress: (line) => progress.push(line) });
  const rows = await guard({ base, head }, options);
  assert.deepEqual(verdicts(rows), ["rate: loss repeated", "delay: same"]);
  assert.deepEqual([rows[0]!.base, rows[0]!.head, rows[0]!.ratio, rows[0]!.ratioAgain], [100, 50, 0.5, 0.5]);
  assert.equal((await Deno.readTextFile(repository.runs)).length, 8);
  assert.deepEqual(progress.slice(0, 2), ["round 1 of 2: made up of base", "round 1 of 2: made up of head"]);
  await assertTidy(repository);
});

Deno.test("guard() lets a loss pass that the second measurement does not show", async () => {
  await using repository = await createRepository();
  const source = toBench('[{ what: "delay", value: run === 1 ? 50 : 5, unit: "ms" }]');
  const base = await repository.commit(source);
  const rows = await guard({ base, head: base }, toOptions(repository));
  assert.deepEqual(verdicts(rows), ["delay: loss not repeated"]);
  await assertTidy(repository);
});

Deno.test("guard() names the commit and the bench that fails, and removes its checkouts", async () => {
  await using repository = await createRepository();
  const base = await repository.commit(toBench("[]"));
  const head = await repository.commit("Deno.exit(69)");
  await assert.rejects(guard({ base, head }, toOptions(repository)), {
    code: "internal",
    message: /^measuring head: 'deno task bench made_up .*' failed with exit code 69$/,
  });
  await assertTidy(repository);
});

Deno.test("guard() removes its checkouts after an abort", async () => {
  await using repository = await createRepository();
  const source = `Deno.writeTextFileSync(Deno.args[0], "x"); setInterval(() => {}, 1000);`;
  const base = await repository.commit(source);
  const stop = new AbortController();
  const running = guard({ base, head: base }, toOptions(repository, { signal: stop.signal }));
  await waitFor("the bench", async () => (await Deno.readTextFile(repository.runs)) === "x");
  stop.abort(new DOMException("received SIGINT", "AbortError"));
  await assert.rejects(running, { name: "AbortError" });
  await assertTidy(repository);
});

Deno.test("findCommit() knows names and hashes, and rejects what is no commit", async () => {
  await using repository = await createRepository();
  const commit = await repository.commit(toBench("[]"));
  for (const name of ["HEAD", commit, commit.slice(0, 8)]) {
    assert.equal(await findCommit(repository.root, name), commit);
  }
  for (const name of ["nope", "HEAD:deno.json", "-h", "0".repeat(40)]) {
    await assert.rejects(findCommit(repository.root, name), { code: "usage" }, name);
  }
});
