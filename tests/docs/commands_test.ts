/** The documents name only commands, flags, files and links that exist, and a test runs each command. */
import assert from "node:assert/strict";
import { faultKinds } from "../../dev/chaos/faults.ts";
import { liveMutations } from "../../dev/chaos/live/mutations.ts";
import { liveFaultNames } from "../../dev/chaos/live/plan.ts";
import { mutations } from "../../dev/chaos/mutations.ts";
import { switchMutations } from "../../dev/chaos/switch/mutations.ts";
import { switchFaultNames } from "../../dev/chaos/switch/plan.ts";
import { createProgram as createWorker } from "../../jobs/commands.ts";
import { dataCommand } from "../../migrate/data/commands.ts";
import { listRooms, parseArguments } from "../run.ts";
import { makeCleanCopy } from "./support/clean_copy.ts";
import { commands, foreignFlags, type Known, looseFlags } from "./support/commands.ts";
import { listAnchors, listWritten, pages, root, type Written } from "./support/pages.ts";

/** Blocks marked `sh` in these documents are run as a whole by their own tests. */
const runAsWhole: Record<string, string> = {
  "docs/following.md": "tests/migrate/following_doc_test.ts",
  "docs/loading.md": "tests/migrate/loading_doc_test.ts",
  "docs/migrating.md": "tests/migrate/cutover/migrating_doc_test.ts",
  "docs/v2.md": "tests/v2/doc_test.ts",
};

const written = [...pages.keys()].flatMap((page) => listWritten(page, { skipsShell: page in runAsWhole }));

/** Returns the known command with the longest name that starts a text. */
function findCommand(text: string): [string, Known] | undefined {
  const names = Object.keys(commands).filter((name) => text === name || text.startsWith(`${name} `));
  const name = names.sort((a, b) => b.length - a.length)[0];
  return name === undefined ? undefined : [name, commands[name]!];
}

/** Reports whether a word is a flag. */
const isFlag = (word: string): boolean => word.startsWith("--");

/** Returns what the table does not know about a text; undefined if it knows everything. */
function findUnknown({ text }: Written, base: string): string | undefined {
  const command = commands[base]!;
  const rest = text.startsWith("--") ? text : text.slice(base.length).trim();
  const words = rest.replaceAll(/[[\]]/g, "").split(" ").filter((word) => word !== "");
  let count = 0;
  for (const [index, word] of words.entries()) {
    if (isFlag(word)) {
      const flag = word.split("=")[0]!;
      if (!command.flags.includes(flag)) return `${base} ${flag}`;
    } else if (index === 0 || !isFlag(words[index - 1]!)) count++;
  }
  return count > (command.argumentsMax ?? 0) ? `${base}: ${count} arguments` : undefined;
}

/** Returns what the table does not know about a flag that stands alone: it belongs to a command of its line, or to its page. */
function findUnknownFlag(one: Written, ofLine: string[]): string | undefined {
  if (foreignFlags.includes(one.text)) return undefined;
  const ofPage = looseFlags[one.page]?.[one.text.split(" ")[0]!];
  const owners = ofLine.length > 0 ? ofLine : ofPage === undefined ? [] : [ofPage];
  const faults = owners.map((owner) => findUnknown(one, owner));
  return faults.includes(undefined) ? undefined : faults[0] ?? one.text;
}

Deno.test("the documents name only commands and flags that the table of commands knows", () => {
  const unknown: string[] = [];
  const note = ({ page, line }: Written, fault: string | undefined) => {
    if (fault !== undefined) unknown.push(`${page}:${line}: ${fault}`);
  };
  const isOnLine = (a: Written) => (b: Written) => a.page === b.page && a.line === b.line;
  for (const one of written) {
    if (one.text.startsWith("--")) {
      const before = written.slice(0, written.indexOf(one)).filter(isOnLine(one));
      note(one, findUnknownFlag(one, before.flatMap(({ text }) => findCommand(text)?.[0] ?? [])));
      continue;
    }
    // A table about the migrator's commands names them without `migrate data`.
    const text = findCommand(one.text) ? one.text : `migrate data ${one.text}`;
    const owner = findCommand(text)?.[0];
    note(
      one,
      owner === undefined || owner === "migrate data" ? one.text : findUnknown({ ...one, text }, owner),
    );
  }
  assert.deepEqual(unknown, []);
});

Deno.test("each command of the table is named by a document and run by what the table says", async () => {
  for (const [name, { how }] of Object.entries(commands)) {
    const isNamed = [...pages.values()].some((text) => text.includes(name));
    assert.ok(isNamed, `a document names '${name}'`);
    if (how === "help") continue;
    const [path, text] = how;
    assert.ok((await Deno.readTextFile(new URL(path, root))).includes(text), `${path} has ${text}`);
  }
});

Deno.test("the parsers of the worker and of the migrator have the flags of the table", () => {
  const worker = createWorker(() => {});
  const data = dataCommand({ databaseUrl: () => "", print: () => {}, signal: new AbortController().signal });
  for (const [name, { flags }] of Object.entries(commands)) {
    const words = name.replace("worker:", "worker ").split(" ");
    const isWorker = words[0] === "worker" && words.length > 1;
    if (!isWorker && !/^migrate data [a-z]/.test(name)) continue;
    let command = isWorker ? worker : data;
    for (const word of words.slice(isWorker ? 1 : 2)) {
      const next = command.commands.find((one) => one.name() === word);
      assert.ok(next, name);
      command = next;
    }
    for (const flag of flags) assert.ok(command.options.some(({ long }) => long === flag), `${name} ${flag}`);
  }
});

Deno.test("commands that take minutes print their flags with --help", async (t) => {
  await using copy = await makeCleanCopy();
  const inTable = Object.entries(commands).filter(([, { how }]) => how === "help");
  // Two processes at a time, as the tests run two files at a time.
  for (let start = 0; start < inTable.length; start += 2) {
    const some = inTable.slice(start, start + 2);
    const results = await Promise.all(some.map(([name]) => copy.run(`deno task ${name} --help`)));
    for (const [index, [name, { flags }]] of some.entries()) {
      const { code, out, err } = results[index]!;
      await t.step(`deno task ${name} --help`, () => {
        assert.equal(code, 0, err);
        assert.match(out, /^Usage: deno task/);
        for (const flag of flags) assert.ok(out.includes(flag), `${flag} in:\n${out}`);
        for (const { text } of written.filter(({ text }) => text.startsWith(`${name} --only `))) {
          for (const part of text.split(" ").at(-1)!.split(",")) {
            assert.match(out, new RegExp(`\\b${part}\\b`));
          }
        }
      });
    }
  }
  await t.step("`deno task` alone lists all tasks", async () => {
    const { code, out, err } = await copy.run("deno task");
    assert.equal(code, 0, err);
    const tasks = [...new Set(Object.keys(commands).map((name) => name.split(" ")[0]!))].filter((name) =>
      name !== ""
    );
    for (const task of tasks) assert.match(out + err, new RegExp(`^- ${task}$`, "m"));
  });
  await t.step("deno task chaos --list", async () => {
    const { code, out } = await copy.run("deno task chaos --list");
    assert.equal(code, 0);
    for (const name of [...faultKinds, ...Object.keys(mutations)]) {
      assert.match(out, new RegExp(`^${name} `, "m"));
    }
  });
});

Deno.test("the documents name only faults and guards that deno task chaos has", () => {
  for (const { text } of written) {
    const faults = /^chaos .*--faults (\S+)/.exec(text)?.[1]?.split(",") ?? [];
    const guards = /^chaos .*--mutation (\S+)/.exec(text)?.slice(1) ?? [];
    const [, rig = ""] = /^chaos (live|switch)\b/.exec(text) ?? [];
    const kinds: readonly string[] = { live: liveFaultNames, switch: switchFaultNames }[rig] ?? faultKinds;
    const removable = { live: liveMutations, switch: switchMutations }[rig] ?? mutations;
    assert.deepEqual(faults.filter((fault) => !kinds.includes(fault)), []);
    assert.deepEqual(guards.filter((guard) => !(guard in removable)), []);
  }
});

Deno.test("the documents select only tests that exist", async () => {
  const rooms = await listRooms();
  const exists = (path: string) => Deno.statSync(new URL(path, root)).isFile;
  for (const { text } of written.filter(({ text }) => /^test [^A-Z]/.test(text))) {
    const { paths, flags } = parseArguments(text.split(" ").slice(1), rooms, exists);
    const filter = flags[flags.indexOf("--filter") + 1];
    if (!flags.includes("--filter")) continue;
    const names = [
      ...(await Deno.readTextFile(new URL(paths[0]!, root))).matchAll(/Deno\.test\(\s*["'`](.+)/g),
    ];
    assert.ok(names.some(([, name]) => name!.includes(filter!)), text);
  }
});

Deno.test("deno task ok and the gate of CI run the same steps, and all documents name the same Deno", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const script = await Deno.readTextFile(new URL(".ci/run", root));
  for (const step of (tasks.ok.command as string).split(" && ")) {
    const words = step.replace("deno run -A tests/run.ts", "deno task test");
    assert.ok(script.split("\n").some((line) => line.startsWith(words)), words);
  }
  assert.ok(script.includes("deno task demo --check"));
  const version = /^version=(\S+)$/m.exec(script)![1]!;
  for (const [page, text] of pages) {
    for (const [, named] of text.matchAll(/\bdeno[@ ](\d+\.\d+\.\d+)/gi)) assert.equal(named, version, page);
  }
});

Deno.test("links between documents lead to a file, and to a heading where they name one", async () => {
  let count = 0;
  for (const [page, text] of pages) {
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      count++;
      const [path, anchor] = target!.split("#");
      const file = path === "" ? page : new URL(path!, new URL(page, "file:///")).pathname.slice(1);
      await assert.doesNotReject(Deno.stat(new URL(file, root)), `${page}: ${target}`);
      if (anchor !== undefined) assert.ok(listAnchors(file).includes(anchor), `${page}: ${target}`);
    }
  }
  assert.ok(count > 20);
});
