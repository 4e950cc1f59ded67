/** Which test shows which case of the design's list of attacks for v2; the numbers are the list's. */
import { checkCoverage, type Proof } from "../support/coverage.ts";

const proofs: Proof[] = [
  [
    [1, 2, 3, 18, 20, 36, 37, 38],
    "v2/authorization_test.ts",
    "every route is for those whom the table names",
  ],
  [
    [4, 5, 6, 7, 8, 10, 11, 13, 14, 20],
    "v2/people/auth_test.ts",
    "each kind of token is good in its own place alone",
  ],
  [
    [18],
    "v2/people/auth_test.ts",
    "who is disabled, removed or taken a role from feels it at the next request",
  ],
  [[21], "v2/people/auth_test.ts", "an old refresh token, used again, ends the session"],
  [[22], "v2/people/auth_test.ts", "two that renew at once, and one whose answer was lost"],
  [[23], "v2/people/auth_test.ts", "unknown, wrong, disabled and deleted are refused alike"],
  [
    [26, 29],
    "v2/people/auth_test.ts",
    "credentials are text: anything else is named, and nothing is an operator",
  ],
  [[31, 32, 33], "v2/people/auth_test.ts", "tries are counted with v1's"],
  [[33], "v2/limits_test.ts", "what is for anyone is counted by address, as trusted proxies tell it"],
  [[35], "v2/people/auth_test.ts", "nobody signs in while tries cannot be counted"],
  [
    [39, 40],
    "v2/tasks/control_test.ts",
    "cancel tells what will have no image and what was under way; again it changes nothing",
  ],
  [[39], "v2/sequences_test.ts", "any sequence of create, draw, rate, pause, cancel and delete"],
  [[41, 42], "v2/people/users_test.ts", "what is no user is refused by the name of its field"],
  [[43], "v2/people/users_test.ts", "two admins who take each other out at once: one stays"],
  [[44], "v2/people/users_test.ts", "of 20 who add the same e-mail at once one wins"],
  [[45, 46], "v2/problems_test.ts", "odd paths are not found"],
  [[47, 48, 49], "v2/problems_test.ts", "a page's limit and cursor are as they should be, or named"],
  [[50, 51, 52, 53, 54], "v2/contract_test.ts", "every answer to a drawn request is as the document says"],
  [
    [51],
    "v2/tasks/tasks_test.ts",
    "lists go newest first by cursor, filtered by status, owner, name and time",
  ],
  [[53, 58, 63, 64, 65, 66], "v2/tasks/tasks_test.ts", "client JSON comes back as it was sent"],
  [[55, 56, 57, 59, 60, 61], "v2/problems_test.ts", "a faulty body is a problem that names what is wrong"],
  [[62], "v2/problems_test.ts", "20 MB are refused at once, whoever sends them, and hold nobody up"],
  [[64, 66], "v2/problems_test.ts", "of two equal keys the last counts"],
  [
    [67, 68, 69, 70, 71, 72],
    "v2/tasks/tasks_test.ts",
    "what cannot be made is refused by the name of its field",
  ],
  [[75], "v2/live/webhooks_test.ts", "a name is looked up once, judged, and connected to by its address"],
  [[78], "v2/judging/ratings_test.ts", "what is no rating is refused by the name of its field"],
  [[78], "v2/judging/evaluations_test.ts", "what is no text and no tag is refused by the name of its field"],
  [[78], "v2/cells/export_test.ts", "csv: nothing that a spreadsheet would compute"],
  [[79], "v2/judging/ratings_test.ts", "20 raters at once on one cell, and one of them 20 times"],
  [
    [82],
    "v2/problems_test.ts",
    "an unknown path is not found, a method that is not for it is told which are",
  ],
  [[84, 97], "v2/problems_test.ts", "a request has one id"],
  [[85], "v2/problems_test.ts", "a body that comes too slowly is given up"],
  [[87], "v2/cells/export_test.ts", "a reader that leaves: nothing more is asked of the database"],
  [[89], "v2/idempotency_test.ts", "where the first died in the middle, nothing of it is there"],
  [[93], "v2/problems_test.ts", "a database that is away is 503 with Retry-After"],
  [
    [94, 95],
    "v2/problems_test.ts",
    "another origin is let in as CORS_ORIGINS says, and never with credentials",
  ],
  [[96], "v2/docs_test.ts", "asks nobody for anything"],
  [[97], "v2/problems_test.ts", "a secret is not said back where its field is wrong"],
  [[98], "v2/tasks/tasks_test.ts", "its owner changes a task, where it is still as it was seen"],
  [[99], "v2/live/events_test.ts", "twenty streams a user, 429 beyond"],
  [[100], "v2/live/webhooks_test.ts", "a receiver that does not answer delays nobody else"],
];

/** What v2 has from the same code as v1, or has not at all. */
const elsewhere: [numbers: number[], why: string][] = [
  [
    [9, 12, 15, 16, 17, 19],
    "the same verifier and key as v1's, by jose; deny lists go by session, never by token",
  ],
  [[24, 25, 27, 34], "the same passwords as v1's, off the loop"],
  [[28, 30], "v2 has no forms"],
  [[73, 74, 77], "the same expansion and image API as v1's"],
  [[76], "v2 passes no images on"],
  [
    [80, 81, 83, 86],
    "what Deno.serve makes of bytes is shown with v1; nothing here uses Host or forwarded names",
  ],
  [[88, 90], "the same gate, pool and failures as v1's"],
  [[91, 92], "the same submission, queue and clocks as v1's"],
];

Deno.test("every case of the list of attacks has a test for v2, or a reason why v2 needs none", () =>
  checkCoverage(proofs, elsewhere));
