/** Which failures pass by themselves, and who repeats work because of them. */
import assert from "node:assert/strict";
import { isConnectionLost, isDiskFull, isPassing, isPassingForClient } from "../passing.ts";

type Row = [what: string, code: unknown, passing: boolean, forClient: boolean, lost: boolean, full: boolean];

const rows: Row[] = [
  ["a connection that PostgreSQL refuses", "ECONNREFUSED", true, true, false, false],
  ["a name that is not resolved", "EAI_AGAIN", true, true, false, false],
  ["a broken pipe", "EPIPE", true, true, true, false],
  ["a socket that was closed", "ERR_SOCKET_CLOSED", true, true, false, false],
  ["a connection that the driver lost", "CONNECTION_CLOSED", true, true, true, false],
  ["a connection that the driver could not make", "CONNECT_TIMEOUT", true, true, false, false],
  ["a connection failure of PostgreSQL", "08006", true, true, false, false],
  ["a server that stops", "57P01", true, true, true, false],
  ["a server that starts", "57P03", true, true, true, false],
  ["a cancelled statement", "57014", true, true, false, false],
  ["a full disk", "53100", true, true, false, true],
  ["a configured limit", "53400", true, true, false, true],
  ["too many connections", "53300", true, true, false, false],
  ["a deadlock", "40P01", true, true, false, false],
  ["a serialization failure", "40001", true, true, false, false],
  ["a standby", "25006", true, true, false, false],
  ["a lock that was held for too long", "55P03", false, true, false, false],
  ["a duplicate key", "23505", false, false, false, false],
  ["a value out of range", "22003", false, false, false, false],
  ["a missing table", "42P01", false, false, false, false],
  ["a fault of the program", "ERR_INVALID_ARG_TYPE", false, false, false, false],
  ["a failure without a code", undefined, false, false, false, false],
];

for (const [what, code, ...wanted] of rows) {
  Deno.test(`passing: ${what}`, () => {
    const error = Object.assign(new Error("failed"), { code });
    const given = [isPassing, isPassingForClient, isConnectionLost, isDiskFull].map((test) => test(error));
    assert.deepEqual(given, wanted);
  });
}

Deno.test("passing: a thrown value that is no error does not pass", () => {
  for (const thrown of [undefined, null, "ECONNREFUSED", 1]) assert.equal(isPassing(thrown), false);
});
