/**
 * A folder that holds a collection twice is refused, because one of the files may be older than the other.
 */
import assert from "node:assert/strict";
import { AppError } from "../../../errors.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { createDatabase } from "../../support/database.ts";
import { runMigrate } from "../support/program.ts";
import { makeFolder } from "../support/sources.ts";

type Files = Record<string, string>;
const all = (ending: string, folder = ""): Files =>
  Object.fromEntries(collections.map((name) => [`${folder}${name}${ending}`, ""]));

const endings = [".bson", ".bson.gz", ".json", ".json.gz", ".jsonl", ".jsonl.gz"];
/** The files of a folder, and the two that the message names. */
const doubles: [files: Files, first: string, second: string][] = [
  ...endings.flatMap((ending, i) =>
    endings.slice(i + 1).flatMap((other): [Files, string, string][] =>
      collections.map((name) => [
        { ...all(ending), [`${name}${other}`]: "" },
        `${name}${ending}`,
        `${name}${other}`,
      ])
    )
  ),
  [{ ...all(".bson", "old/"), "old/tasks.bson.gz": "" }, "old/tasks.bson", "old/tasks.bson.gz"],
  [{ ...all(".bson", "old/"), "old/tasks.json": "" }, "old/tasks.bson", "old/tasks.json"],
  [{ ...all(".json"), ...all(".bson", "old/") }, "users.json", "old/users.bson"],
  [{ ...all(".bson"), "old/users.bson": "" }, "users.bson", "old/users.bson"],
];

Deno.test("a folder with two files of one collection is refused, and both are named", async () => {
  for (const [files, first, second] of doubles) {
    await using folder = await makeFolder(files);
    await assert.rejects(
      () => openSource(folder.path),
      (error: unknown) => {
        assert.ok(error instanceof AppError, String(error));
        assert.equal(error.code, "invalid_source");
        const [name] = first.replace("old/", "").split(".");
        assert.ok(
          error.message.includes(`${name} in '${folder.path}/${first}' and '${folder.path}/${second}'`),
          error.message,
        );
        assert.match(error.message, /move the files that are not to be loaded to a folder elsewhere/);
        return true;
      },
    );
  }
});

const single: [name: string, files: Files][] = [
  ...endings.map((ending): [string, Files] => [`only ${ending}`, all(ending)]),
  ["one ending for each collection", { "users.json": "", "tasks.jsonl": "", "dramatiq_tasks.json.gz": "" }],
  ["metadata and other collections", {
    ...all(".bson"),
    ...all(".metadata.json"),
    "oplog.bson": "",
    "logs.bson": "",
    "logs.bson.gz": "",
  }],
  ["one database beside the folder's own files of other collections", {
    ...all(".bson", "old/"),
    "oplog.bson": "",
    "notes.json": "",
  }],
  ["a subfolder with files of mongoexport, which are not read", {
    ...all(".json"),
    ...all(".json", "yesterday/"),
  }],
];
for (const [name, files] of single) {
  Deno.test(`a folder with each collection once is opened: ${name}`, async () => {
    await using folder = await makeFolder(files);
    await using source = await openSource(folder.path);
    assert.ok(source.location.startsWith(folder.path));
  });
}

Deno.test("the program names all double collections, exits with 65 and writes nothing", async () => {
  await using database = await createDatabase();
  await using folder = await makeFolder({ ...all(".json"), "users.jsonl": "", "tasks.bson": "" });
  const { code, err } = await runMigrate(database.url, "data", "load", "--from", folder.path);
  assert.equal(code, 65, err);
  for (const file of ["users.json'", "users.jsonl'", "tasks.bson'", "tasks.json'"]) {
    assert.ok(err.includes(file), err);
  }
  const [row] = await database.sql`select count(*)::int as sources from migration.sources`;
  assert.equal(row!.sources, 0);
});
