/** Hostile bodies by their number in the list of attacks, and unusual bodies that are valid. */
import {
  type Attack,
  attack,
  fixed,
  json,
  post,
  queries,
  read,
  repeat,
  task,
  toBodies,
  unknownId,
  values,
} from "./attack_requests.ts";

const huge = "9".repeat(30);
const invalidJson = [
  ...["", "null", "[]", '"x"', "0", "{", '{"a":1,}', "{} {}", "\ufeff", "// x\n{}", "{'a':1}", "{a:1}", "\0"],
  ...['{"a":\t\v1}', "tru", "+1", "01", "-", '"\\x"', '"\n"', "[1,,2]", '{"a"}', '"\\ud8"'],
];
const invalidUtf = [
  [0xff],
  [0xc0, 0xaf],
  [0x22, 0xed, 0xa0, 0x80, 0x22],
  [0xff, 0xfe, 0x7b],
  [0xfe, 0xff, 0, 0x7b],
  [0, 0, 0, 0x7b],
  [0x22, 0xf5, 0x80, 0x80, 0x80, 0x22],
];
const nonFinite = ["NaN", "Infinity", "-Infinity", "1e400"];
const invalidTags = [
  ...[
    "[]",
    "null",
    "{}",
    '"x"',
    "[1]",
    "[null]",
    '[["a"]]',
    '[{"type":"prompt","isVariable":true,"name":"none"}]',
  ],
  `[${repeat(10_000, () => "1")}]`,
];
const invalidVariables = [
  ...["[]", "1", '"x"', '{"v0":1}', '{"v0":{"values":{}}}', '{"v0":{"values":"x"}}', `{"v0":${values(101)}}`],
  `{${repeat(7, (i) => `"v${i}":${values(1)}`)}}`,
  `{"v00":${values(101)}}`,
];
const ofType = (type: string, text: string) => `[${fixed},{"type":"${type}","value":${text}}]`;
const maximalVariables = `{${repeat(6, (i) => `"v${i}":${values(100)}`)}}`;
const foreignUrls = [
  "http://169.254.169.254/",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "http://0/",
  "http://[::1]/",
];
const protectedFields =
  `"id":"${unknownId}","status":"completed","priority":9,"is_deleted":true,"total_images":0,"_id":"x"`;

const nasty = [
  ...[
    "'; drop table tasks; --",
    "' or '1'='1",
    "$1",
    "${7*7}",
    "{{7*7}}",
    "%s%n%x",
    "\\",
    '"',
    "\0",
    "\ud800",
    "\x1e",
  ],
  ...[
    "\u202eabc",
    "😀 👩‍👩‍👧",
    "e\u0301",
    "\u2028",
    "\ufeff",
    "<script>alert(1)</script>",
    "=cmd()",
    "../../etc/passwd",
  ],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "$where",
    "file:///etc/passwd",
    "\r\nX-Injected: 1",
    "{}",
    "[]",
    "null",
    "NaN",
  ],
];
/** Returns requests with the text in every text field. */
const inEveryField = (text: string) => {
  const json = JSON.stringify(text);
  return [
    task({ name: json }),
    post("/tasks", `{"task_name":"t","username":${json},"tags":[${fixed}],"variables":{},"settings":{}}`),
    ...["id", "type", "value", "name", "uuid", "header_img", "weight"].map((field) =>
      task({ tags: `[{"type":"element","${field}":${json}}]` })
    ),
    task({ settings: `{${json}:${json}}` }),
    task({ settings: `{"client_args":{${json}:${json}}}` }),
    task({ variables: `{"v0":{"name":${json},"values":[{"value":${json}}]},${json}:1}` }),
  ];
};

/** Bodies that are rejected, so that nothing is stored. */
export const bodyAttacks: Attack[] = [
  attack(55, "bodies that are not JSON, or not an object", [422], invalidJson.flatMap(toBodies)),
  attack(
    56,
    "bodies that are not in a UTF encoding",
    [400, 422],
    invalidUtf.flatMap((bytes) => toBodies(Uint8Array.from(bytes))),
  ),
  attack(
    57,
    "numbers that JSON does not have",
    [422],
    nonFinite.flatMap((text) => [
      task({ settings: `{"a":${text}}` }),
      task({ name: text }),
      task({ tags: ofType("seed", text) }),
    ]),
  ),
  attack(58, "integers of thousands of digits", [400], toBodies(`{"a":${"9".repeat(4301)}}`)),
  attack(
    59,
    "deep nesting",
    [400, 422],
    [961, 5000, 100_000].flatMap((depth) => ["[", '{"a":'].flatMap((open) => toBodies(open.repeat(depth)))),
  ),
  attack(59, "a task of 101 levels", [400], [task({ settings: `{"a":${"[".repeat(99)}${"]".repeat(99)}}` })]),
  attack(60, "half a million keys", [413], toBodies(`{${repeat(500_000, (i) => `"k${i}":1`)}}`)),
  attack(
    61,
    "100,000 keys with a common prefix",
    [413],
    toBodies(`{${repeat(100_000, (i) => `"_________${i}":1`)}}`),
  ),
  attack(62, "a text of 20 MB", [413], toBodies(`{"a":"${"x".repeat(20_000_000)}"}`)),
  attack(67, "invalid tags", [422], invalidTags.map((tags) => task({ tags }))),
  attack(67, "20,000 tags", [413], [task({ tags: `[${repeat(20_000, () => fixed)}]` })]),
  attack(68, "invalid variables", [422], invalidVariables.map((variables) => task({ variables }))),
  attack(69, "more cells than a task may have", [422], [
    task({ variables: `{"v0":${values(100)},"v1":${values(100)},"v2":${values(6)}}` }),
    task({ variables: maximalVariables }),
    task({ tags: ofType("batch", "50001") }),
    task({ tags: ofType("batch", huge) }),
  ]),
  attack(
    71,
    "a concurrency that is not a number",
    [422],
    ['"5"', "null", "[]", "{}", '"x"'].map((text) => task({ settings: `{"concurrency":${text}}` })),
  ),
  attack(
    72,
    "seeds over 64 bits",
    [422],
    ["9223372036854775808", "1e30", huge].map((seed) => task({ tags: ofType("seed", seed) })),
  ),
];

/** Unusual bodies that the old backend accepted too. They create ordinary tasks. */
export const oddities: Attack[] = [
  attack(38, "a guest creates a task", [200], [{ ...task({}), caller: "guest" }]),
  attack(41, "fields that clients may not set", [200], [
    post(
      "/tasks",
      `{${protectedFields},"task_name":"t","username":"admin@example.com","tags":[${fixed}]}`,
      json,
      "user",
    ),
  ]),
  attack(47, "pages past the end, and spellings of 1", [200], [
    ...queries("/tasks", "page", ["9223372036854775807", "1000000000000", "01", "+1", " 1 ", "1.0"]),
  ]),
  attack(48, "a repeated parameter, of which the last counts", [200], [
    read("/tasks?page=0&page=1"),
    read("/tasks?page_size=x&page_size=5"),
  ]),
  attack(49, "ranges past the end", [200], [
    ...queries("/users/", "limit", ["0", "1000000000"]),
    ...queries("/users/", "skip", ["1000000000000"]),
  ]),
  attack(50, "lists of statuses", [200], [
    ...queries("/tasks", "status", [
      "pending,,bogus",
      "",
      ",",
      repeat(1000, () => "pending"),
      "PENDING",
      "' or 1=1 --",
    ]),
  ]),
  attack(51, "patterns for names", [200], [
    ...queries("/tasks", "task_name", [
      "%",
      "_",
      "\\",
      "x\\",
      "(a+)+$",
      "x".repeat(10_000),
      "\0",
      "[",
      "*",
      "%_%_%_%_%",
    ]),
  ]),
  attack(52, "unknown parameters", [200], [
    read("/tasks?x=1&__proto__=2&$where=3&page[$gt]=1"),
    read("/users/me?token=x&_method=DELETE"),
  ]),
  attack(53, "hostile text in every field, which is stored, or rejected if it cannot be stored", [200, 422], [
    ...nasty.flatMap(inEveryField),
  ]),
  attack(
    67,
    "unknown types",
    [200],
    ['[{"type":"bogus"}]', "[{}]", '[{"type":["prompt"]}]'].map((tags) => task({ tags })),
  ),
  attack(
    70,
    "invalid batches, and a batch of 50",
    [200],
    ["0", "-1", "1.5", '"3"', "null", "50"].map((text) => task({ tags: ofType("batch", text) })),
  ),
  attack(
    71,
    "concurrencies out of range",
    [200],
    ["-1", "0", "1000000000", "2.5", "true"].map((text) => task({ settings: `{"concurrency":${text}}` })),
  ),
  attack(
    72,
    "seeds at the edges",
    [200],
    ["-1", "0", "2147483648", "9007199254740993", "9223372036854775807"].map((seed) =>
      task({ tags: ofType("seed", seed) })
    ),
  ),
  attack(
    73,
    "invalid ratios",
    [200],
    ["0:1", "1:0", ":", "99999:1", "16/9", "a:b", "-1:1"].map((ratio) =>
      task({ tags: ofType("ratio", `"${ratio}"`) })
    ),
  ),
  attack(74, "client_args with another URL or token", [200], [
    task({ settings: '{"client_args":{"url":"http://169.254.169.254/","x-token":"y","X_Token":"z"}}' }),
  ]),
  attack(
    75,
    "image URLs, which are stored as text and not fetched",
    [200],
    foreignUrls.map((url) =>
      task({ tags: `[{"type":"element","value":"x","uuid":"u","header_img":"${url}"}]` })
    ),
  ),
  attack(97, "line breaks and escape sequences for the log", [200], [
    task({ name: JSON.stringify('x\n{"level":"error","msg":"forged"}\u001b[31m') }),
  ]),
];
