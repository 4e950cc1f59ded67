/** Hostile tokens, forms, queries and headers by their number in the list of attacks. */
import {
  type Attack,
  attack,
  closed,
  encodeTokenPart,
  form,
  type Headers,
  json,
  multipart,
  onAll,
  onClosed,
  post,
  queries,
  read,
  routes,
  toBodies,
} from "./attack_requests.ts";

/** Statuses of a refused request. */
const refused = [400, 401, 403, 404, 405, 413, 414, 422, 429, 431];
/** Statuses of requests with a header that must have no effect. */
const unaffected = [200, 400, 401, 403, 404, 422];
const huge = "9".repeat(30);

const bearer = (token: string): Headers => [["Authorization", `Bearer ${token}`]];
const schemes = [
  "Bearer",
  "Bearer ",
  "Bearer  ",
  "bearer x.y.z",
  "Basic YTpi",
  "Digest a=b",
  "x",
  "Bearer\tx",
];
const algorithms = ["none", "None", "nOnE", "HS512", "RS256"];
const claims = encodeTokenPart({ email: "admin@example.com", sub: "x", exp: 9e9 });
const roles = ['["root"]', '"admin"', "null", "[1]", "{}", '["admin",null]', '["ADMIN"]'];
const withRoles = (text: string) => `{"email":"x@example.com","password":"12345678","roles":${text}}`;
const hidden = [
  "/metrics",
  "/debug",
  "/.git/config",
  "/.env",
  "/admin",
  "/live",
  "/api/v1",
  "/api/v1/auth",
  "/x/..%2f.env",
];
const evil: Headers = [
  ["X-Forwarded-Host", "evil.example"],
  ["X-Original-URL", "/api/v1/users/"],
  ["X-Forwarded-Prefix", "//evil.example"],
];

/** Requests that are refused, or get the same response as without the attack. No row may change. */
export const callAttacks: Attack[] = [
  attack(1, "no Authorization", [401], onClosed([])),
  ...schemes.map((header) =>
    attack(3, `Authorization '${header}'`, [401], onClosed([["Authorization", header]]))
  ),
  ...algorithms.map((alg) =>
    attack(4, `alg ${alg}`, [401], onClosed(bearer(`${encodeTokenPart({ alg })}.${claims}.`)))
  ),
  ...["", "a.b", "a.b.c.d", ".".repeat(5000)].map((token) =>
    attack(14, "tokens with a wrong number of parts", [401], onClosed(bearer(token)))
  ),
  ...(["deleted", "disabled"] as const).map((caller) =>
    attack(
      18,
      `a ${caller} user`,
      [401],
      closed.map(({ method, path, body }) => ({ method, path, body, caller })),
    )
  ),
  attack(28, "malformed and oversized forms", refused, [
    form('{"username":"admin@example.com","password":"x"}', json),
    multipart(['name="username"; filename="a"\r\n\r\nadmin@example.com', 'name="password"\r\n\r\nx']),
    multipart(['name="username"\r\nContent-Type: text/html\r\n\r\nx']),
    form(`username=a&password=b&${"c=d&".repeat(1001)}`),
    form(`username=a&password=${"b".repeat(1_100_000)}`),
    form("username=%ff&password=%00"),
    form("--x\r\n", [["Content-Type", "multipart/form-data"]]),
    form("x".repeat(9000), [["Content-Type", `multipart/form-data; boundary=${"x".repeat(7000)}`]]),
  ]),
  attack(29, "operators, and repeated names", [401, 422], [
    form("username=a&username=b&password=c"),
    form("username[]=a&password=b"),
    form("username.$ne=&password=b"),
    form("username[$gt]=&password="),
  ]),
  attack(
    30,
    "another grant type",
    [422],
    ["client_credentials", "PASSWORD", "password "].map((grant) =>
      form(`username=a&password=b&grant_type=${encodeURIComponent(grant)}`)
    ),
  ),
  attack(
    37,
    "a manager on routes for admins",
    [403],
    toBodies("{}").slice(1).map((sent) => ({ ...sent, caller: "manager" })),
  ),
  attack(42, "invalid roles", [422], roles.flatMap((text) => toBodies(withRoles(text)).slice(1))),
  attack(47, "invalid pages", [422], [
    ...queries("/tasks", "page", ["0", "-1", "1.5", "abc", "", "1e3", huge, "0x10", "\0"]),
    ...queries("/tasks", "page_size", ["0", "101", "-1", "NaN", huge]),
  ]),
  attack(49, "invalid ranges of users", [422], [
    ...queries("/users/", "skip", ["-1", "a", huge]),
    ...queries("/users/", "limit", ["-1", "", "1.5"]),
  ]),
  attack(63, "names of object properties in a form", [422], [
    form("__proto__=1"),
    form("constructor.prototype=1"),
    form("toString=1&hasOwnProperty=2"),
  ]),
  attack(81, "long targets, long and many headers", [...refused, 200], [
    read(`/tasks?x=${"y".repeat(64_000)}`),
    ...onAll([["X-Long", "x".repeat(12_000)]]),
    ...onAll(Array.from({ length: 90 }, (_, i): [string, string] => [`X-H${i}`, "x"])),
  ]),
  ...["TRACE", "PATCH", "PROPFIND", "LINK", "get"].map((method) =>
    attack(
      82,
      `the method ${method}`,
      [400, 405],
      routes.map(({ path }) => ({ method, path, caller: "admin" })),
    )
  ),
  attack(82, "another method in a header", unaffected, onAll([["X-HTTP-Method-Override", "DELETE"]])),
  ...evil.map((header) => attack(83, header[0], unaffected, onAll([header]))),
  attack(86, "encodings and ranges", [...unaffected, 400], [
    ...onAll([["Accept-Encoding", "br;q=0"], ["Range", "bytes=0-1"]]),
    ...toBodies(Uint8Array.from([0x1f, 0x8b, 8, 0])).map((sent) => ({
      ...sent,
      headers: [...json, ["Content-Encoding", "gzip"] as [string, string]],
    })),
  ]),
  attack(
    94,
    "a cross-origin form with cookies and no token",
    [401],
    ["/tasks", "/users/"].map((path) => {
      const { caller: _, ...sent } = post(path, '{"task_name":"x"}', [
        ["Content-Type", "text/plain"],
        ["Origin", "https://evil.example"],
        ["Cookie", "access_token=x"],
      ]);
      return sent;
    }),
  ),
  attack(
    96,
    "paths that are not served",
    [404],
    hidden.map((path) => ({ method: "GET", path, caller: "admin" })),
  ),
];
