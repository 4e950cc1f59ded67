/** Maps the design's list of attacks to the tests of v2. The numbers are those of the list. */
import { checkCoverage, type Proof } from "../support/coverage.ts";

const proofs: Proof[] = [
  [
    [1, 2, 3, 18, 20, 36, 37, 38],
    "v2/authorization_test.ts",
    "each route permits the callers that the table names",
  ],
  [
    [4, 5, 6, 7, 8, 10, 11, 13, 14, 20],
    "v2/people/auth_test.ts",
    "each kind of token is valid only for its own purpose",
  ],
  [
    [18],
    "v2/people/auth_test.ts",
    "disabling, deleting or demoting a user takes effect with the next request",
  ],
  [[21], "v2/people/auth_test.ts", "reusing an old refresh token ends the session and all its tokens"],
  [
    [22],
    "v2/people/auth_test.ts",
    "concurrent renewals and a retry after a lost response get the same valid token",
  ],
  [
    [23],
    "v2/people/auth_test.ts",
    "sign-in is refused in the same way for unknown, wrong, disabled and deleted accounts",
  ],
  [
    [26, 29],
    "v2/people/auth_test.ts",
    "credentials must be text: other types are refused by field, and query operators have no effect",
  ],
  [
    [31, 32, 33],
    "v2/people/auth_test.ts",
    "sign-in attempts are counted together with v1's by e-mail address, without affecting others",
  ],
  [
    [33],
    "v2/limits_test.ts",
    "routes without authentication are limited by the address that trusted proxies report",
  ],
  [
    [35],
    "v2/people/auth_test.ts",
    "sign-in fails with 503 while attempts cannot be counted, and existing sessions continue",
  ],
  [
    [39, 40],
    "v2/tasks/control_test.ts",
    "cancel reports the cells without an image and those being drawn, and repeating it changes nothing",
  ],
  [
    [39],
    "v2/sequences_test.ts",
    "the API reports the result of any sequence of create, draw, rate, pause, cancel and delete",
  ],
  [
    [41, 42],
    "v2/people/users_test.ts",
    "an invalid user is refused with the name of the field, for creation and change",
  ],
  [[43], "v2/people/users_test.ts", "when two admins remove each other concurrently, one remains"],
  [[44], "v2/people/users_test.ts", "of 20 concurrent creations with the same e-mail address one succeeds"],
  [[45, 46], "v2/paths_test.ts", "odd paths are not found"],
  [[47, 48, 49], "v2/paths_test.ts", "an invalid limit or cursor of a page is named"],
  [
    [50, 51, 52, 53, 54],
    "v2/contract_test.ts",
    "every response to a generated request conforms to the document",
  ],
  [
    [51],
    "v2/tasks/tasks_test.ts",
    "GET /tasks lists tasks newest first by cursor, filtered by status, owner, name and time",
  ],
  [
    [53, 58, 63, 64, 65, 66],
    "v2/tasks/tasks_test.ts",
    "client JSON is returned as sent: key order, 1.0, long integers and prototype keys",
  ],
  [
    [55, 56, 57, 59, 60, 61],
    "v2/bodies_test.ts",
    "an invalid body results in a problem that names the field",
  ],
  [[62], "v2/bodies_test.ts", "a body of 20 MB is rejected at once and does not block the event loop"],
  [[64, 66], "v2/bodies_test.ts", "of two equal keys the last one counts"],
  [
    [67, 68, 69, 70, 71, 72],
    "v2/tasks/tasks_test.ts",
    "an invalid task is refused with the name of the field, and nothing is stored",
  ],
  [
    [75],
    "v2/live/webhooks_connection_test.ts",
    "a host name is resolved once, its address is checked and used, and its certificate is verified",
  ],
  [[78], "v2/judging/ratings_test.ts", "an invalid rating is refused with the name of the field"],
  [[78], "v2/judging/evaluations_test.ts", "an invalid text or tag is refused with the name of the field"],
  [[78], "v2/cells/export_test.ts", "csv contains no formulas, and every text is complete"],
  [
    [79],
    "v2/judging/ratings_test.ts",
    "count, sum and mean are exact for 20 concurrent raters of a cell and for 20 concurrent ratings by one",
  ],
  [
    [82],
    "v2/paths_test.ts",
    "an unknown path is not found; an unknown method is rejected with the methods of the path",
  ],
  [[84, 97], "v2/problems_test.ts", "a request has one id"],
  [[85], "v2/bodies_test.ts", "a body that arrives too slowly is rejected"],
  [
    [87],
    "v2/cells/export_test.ts",
    "when the client disconnects, the export stops reading and frees its slot",
  ],
  [[89], "v2/idempotency_test.ts", "a request that fails in the middle leaves nothing"],
  [[93], "v2/problems_test.ts", "an unavailable database results in 503 with Retry-After"],
  [
    [94, 95],
    "v2/paths_test.ts",
    "CORS_ORIGINS permits other origins, and never with credentials",
  ],
  [[96], "v2/docs_page_test.ts", "shows all operations without a violation of its policy"],
  [[97], "v2/problems_test.ts", "an error never repeats a secret"],
  [
    [98],
    "v2/tasks/tasks_test.ts",
    "the owner changes a task if If-Match matches its editable fields, regardless of progress",
  ],
  [
    [99],
    "v2/live/events_test.ts",
    "a user has at most twenty streams, more get 429, and closing one frees a place",
  ],
  [
    [100],
    "v2/live/webhooks_test.ts",
    "a receiver that does not respond delays neither other deliveries nor the caller",
  ],
];

/** Cases that v2 does not have, or that it handles with the code of v1. */
const elsewhere: [numbers: number[], why: string][] = [
  [
    [9, 12, 15, 16, 17, 19],
    "the same verifier and key as v1's; revocation is by session, never by token",
  ],
  [[24, 25, 27, 34], "the same password hashing as v1's, in a worker thread"],
  [[28, 30], "v2 has no forms"],
  [[73, 74, 77], "the same expansion and image API as v1's"],
  [[76], "v2 does not proxy images"],
  [
    [80, 81, 83, 86],
    "the tests of v1 cover Deno.serve; v2 does not use Host or forwarded names",
  ],
  [[88, 90], "the same gate, pool and error handling as v1's"],
  [[91, 92], "the same submission, queue and clocks as v1's"],
];

Deno.test("each case of the list of attacks has a test for v2, or a reason why v2 needs none", () =>
  checkCoverage(proofs, elsewhere));
