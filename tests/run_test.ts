/** The command line of the test runner. */
import assert from "node:assert/strict";
import { listRooms, parseArguments, type Selection } from "./run.ts";

const rooms = ["migrate", "v2", "v2/stats"];
const paths = ["migrate", "tests/json_test.ts", "tests/v2/judging"];
const parse = (...args: string[]) => parseArguments(args, rooms, (path) => paths.includes(path));

const valid: [what: string, args: string[], wanted: Partial<Selection>][] = [
  ["no argument selects the whole suite", [], {}],
  ["a room's name selects its folder, also if a path has the same name", ["migrate"], { rooms: ["migrate"] }],
  ["a room may be a subfolder", ["v2/stats", "migrate"], { rooms: ["v2/stats", "migrate"] }],
  ["a file is a path", ["tests/json_test.ts"], { paths: ["tests/json_test.ts"] }],
  ["a folder is a path", ["tests/v2/judging"], { paths: ["tests/v2/judging"] }],
  ["rooms and paths can be combined", ["v2", "tests/json_test.ts"], {
    rooms: ["v2"],
    paths: ["tests/json_test.ts"],
  }],
  ["flags are passed on", ["--fail-fast", "v2"], { rooms: ["v2"], flags: ["--fail-fast"] }],
  ["the value of --filter is not a room", ["--filter", "v2"], { flags: ["--filter", "v2"] }],
  ["--partitioned is not passed on", ["--partitioned", "v2"], { rooms: ["v2"], isPartitioned: true }],
  ["--help asks for the usage", ["--help"], { isHelp: true }],
];
for (const [what, args, wanted] of valid) {
  Deno.test(`deno task test: ${what}`, () => {
    assert.deepEqual(parse(...args), {
      isHelp: false,
      rooms: [],
      paths: [],
      flags: [],
      isPartitioned: false,
      ...wanted,
    });
  });
}

Deno.test("deno task test: an unknown name is a usage error that lists the rooms", () => {
  assert.throws(() => parse("nope"), {
    code: "usage",
    exit: 64,
    message: "selecting tests 'nope': no such room and no such path",
    fields: [{ field: "room", value: "nope", wanted: "migrate, v2, v2/stats" }],
  });
});

Deno.test("listRooms() finds the folders with tests and leaves out data and support", async () => {
  const found = await listRooms();
  for (const room of ["migrate", "v1", "v2", "v2/stats", "queue", "shadow", "db", "model", "chaos"]) {
    assert.ok(found.includes(room), room);
  }
  for (const folder of ["data", "support", "house", "v1/support"]) assert.ok(!found.includes(folder), folder);
});
