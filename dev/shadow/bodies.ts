/** Generated request bodies: valid, invalid, and not JSON. The simplest come first, since shrinking moves towards them. */
import fc from "fast-check";

type Body = string | Uint8Array<ArrayBuffer> | null;

/** JSON texts of scalars and small trees, also in forms that JavaScript does not write. */
const unusualJson = fc.oneof(
  fc.constantFrom(
    "null",
    "0",
    "1",
    "-1",
    "1.0",
    "1.5",
    "1e3",
    "12345678901234567890",
    "-0",
    "true",
    "false",
    '""',
    '"x"',
    '"3"',
    "[]",
    "{}",
    "[null]",
    '{"a":1}',
    '{"a":1,"a":2}',
    '{"2":1,"1":2.0}',
    '"\\u0000"',
    '"\\ud83d"',
    '"\\u2028"',
  ),
  fc.string({ maxLength: 12 }).map((text) => JSON.stringify(text)),
  fc.jsonValue({ maxDepth: 2, depthSize: "small" }).map((value) => JSON.stringify(value)),
);

const quoteTexts = (texts: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  texts.map((text) => JSON.stringify(text));

const plainText = quoteTexts(
  fc.oneof(
    { withCrossShrink: true },
    fc.constantFrom("a", "1girl", "樱花", "é̂", "🐱‍👤", "a/b\\c", "line\nbreak", "it's", "％", " ", "<b>"),
    fc.string({ unit: "grapheme", maxLength: 20 }),
  ),
);

/** Generates the text of an object from some of its fields, each valid or unusual. Further keys may follow. */
function objectText(
  fields: Record<string, fc.Arbitrary<string>>,
  options: { required?: string[]; unusual?: fc.Arbitrary<string> } = {},
): fc.Arbitrary<string> {
  const required = options.required ?? [];
  const entries = Object.entries(fields).map(([key, valid]) =>
    fc.oneof(
      { withCrossShrink: true },
      {
        weight: required.includes(key) ? 30 : 1,
        arbitrary: required.includes(key) ? valid : fc.constant(undefined),
      },
      { weight: 5, arbitrary: valid },
      { weight: 1, arbitrary: options.unusual ?? unusualJson },
      { weight: 1, arbitrary: fc.constant(undefined) },
    ).map((text) => text === undefined ? undefined : `${JSON.stringify(key)}:${text}`)
  );
  const more = fc.constantFrom(
    undefined,
    undefined,
    undefined,
    '"createdAt":"2025-05-13T07:40:46.622Z"',
    '"id":1.0',
  );
  return fc.tuple(...entries, more).map((texts) =>
    `{${texts.filter((text) => text !== undefined).join(",")}}`
  );
}

const tagTypes = [
  "prompt",
  "character",
  "element",
  "ratio",
  "batch",
  "seed",
  "polish",
  "ckpt_name",
  "steps",
  "cfg",
];
const tag = objectText({
  id: fc.constantFrom('"1"', "1"),
  type: fc.constantFrom('"prompt"', ...tagTypes.map((type) => `"${type}"`), '"nothing"'),
  isVariable: fc.constant("false"),
  value: fc.oneof(
    { withCrossShrink: true },
    plainText,
    fc.constantFrom('"3:5"', '"77"', '"2"', '"true"', "7", "0.5"),
  ),
  name: plainText,
  weight: fc.constantFrom("1", "1.0", "0.85", "-1"),
}, {
  required: ["id", "type", "isVariable", "value"],
  // A truthy isVariable without a variable would make the old backend store an incomplete task.
  unusual: fc.constantFrom("null", "0", '""', "false"),
});

const variable = fc.tuple(plainText, fc.array(plainText, { maxLength: 3 })).map(([name, values]) =>
  `{"tag_id":"1","name":${name},"values":[${
    values.map((value, index) => `{"id":"${index}","value":${value},"weight":1.0}`).join(",")
  }]}`
);
const variables = fc.uniqueArray(fc.constantFrom("v0", "v1", "v2", "v5"), { maxLength: 3 }).chain((keys) =>
  fc.tuple(...keys.map(() => variable)).map((texts) =>
    `{${keys.map((key, i) => `"${key}":${texts[i]}`).join(",")}}`
  )
);
const settings = fc.oneof(
  fc.constantFrom(
    "{}",
    '{"concurrency":5}',
    '{"concurrency":0}',
    '{"concurrency":999}',
    '{"z":1.0,"a":[1e2,"é"]}',
  ),
  fc.dictionary(fc.constantFrom("a", "b", "1", "__proto__"), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 })
    .map((value) => JSON.stringify(value)),
);
const taskFields = {
  task_name: plainText,
  username: fc.constantFrom('""', '"someone-else"'),
  tags: fc.array(tag, { minLength: 1, maxLength: 3 }).map((texts) => `[${texts.join(",")}]`),
  variables,
  settings,
};

/** A new task, usually a valid one. */
export const taskText = objectText(taskFields, { required: ["task_name", "username", "tags"] });

/** A new task that every backend rejects: its name is missing or not a string. */
export const refusedTaskText = objectText({
  ...taskFields,
  task_name: fc.constantFrom("null", "3", "1.0", "[]", "{}", "true", "12345678901234567890"),
}, { unusual: fc.constantFrom("null", "0", "[]", "{}", "1.5") });

const email = quoteTexts(fc.constantFrom(
  "x",
  "a b@example.com",
  "@example.com",
  "a@",
  "a@b",
  "a@b..c",
  "a.@example.com",
  ".a@example.com",
  "a@example.test",
  "a@localhost",
  "a@-b.com",
  "a@@b.com",
  "a@b.c ",
  "a@[127.0.0.1]",
  '"a b"@example.com',
  "ü@example",
  `${"a".repeat(65)}@example.com`,
  "a@exa_mple.com",
));
const validEmail = fc.tuple(
  fc.constantFrom("new", "New.Name+tag", "ü", "o'neil"),
  fc.nat(9999),
  fc.constantFrom(
    "example.com",
    "EXAMPLE.org",
    "bücher.example.com",
  ),
).map(([name, number, domain]) => JSON.stringify(`${name}${number}@${domain}`));
const bool = fc.constantFrom(
  "true",
  "false",
  "0",
  "1",
  "2",
  "1.0",
  "0.5",
  '"yes"',
  '"off"',
  '"T"',
  '"On"',
  '"maybe"',
  '""',
  "null",
);
const roles = fc.constantFrom(
  '["user"]',
  '["admin","manager"]',
  "[]",
  '["king"]',
  '"admin"',
  '["user","user"]',
  "[null]",
  "null",
  '["User"]',
  '[1,"guest","x"]',
);
const userFields = { fullname: plainText, roles, is_active: bool };
const shortPassword = fc.constantFrom('"1"', '""', '"1234567"', "null", "12345678", '["12345678"]');

/** A new user, usually a valid one. */
export const userText = objectText(
  { email: validEmail, password: fc.constant('"12345678"'), ...userFields },
  { required: ["email", "password"] },
);

/** A new user that every backend rejects: the password is missing, too short or not a string. */
export const refusedUserText = objectText(
  { email: fc.oneof(email, validEmail), password: shortPassword, ...userFields },
  { unusual: fc.constantFrom("null", "0", "[]", "1.0") },
);

/** Changes of a user, valid and invalid. */
export const userChanges = objectText({ ...userFields, password: shortPassword, email });

const bytes = (...values: number[]) => new Uint8Array(values);

/** Bodies that are not a JSON object, or not JSON. */
export const brokenBody: fc.Arbitrary<Body> = fc.oneof(
  { withCrossShrink: true },
  fc.constantFrom<Body>(
    "{",
    "",
    null,
    "[]",
    "null",
    '"x"',
    "3",
    "true",
    "{}x",
    '{"a":1,}',
    "{'a':1}",
    "{a:1}",
    '{"a" 1}',
    '{"a":}',
    "[1,]",
    "[1 2]",
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{"a":"\\u12"}',
    '{"a":"x',
    "//x\n{}",
    "\ufeff{}",
    "{}{}",
    "nul",
    "-",
    "01",
    "1.",
    ".5",
    "+1",
    "樱{",
    "🐱🐱,",
    " ",
    "NaN",
    "[Infinity,",
    bytes(0xff, 0xfe),
    bytes(0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d),
    bytes(0x7b, 0, 0x7d, 0),
    bytes(0xc0, 0xaf),
  ),
  // A truncated text is never JSON, since its last brace is missing.
  fc.tuple(fc.nat(200), refusedTaskText).map(([at, text]) => text.slice(0, 1 + at % (text.length - 1))),
);

const formName = fc.constantFrom(
  "username",
  "password",
  "grant_type",
  "scope",
  "client_id",
  "username[]",
  "Username",
);
const formValue = fc.constantFrom("", "x", "password", "other", "%00", "a%40b.c", "%zz", "+", "%E6%A8%B1");

/** Sign-in forms that are rejected before the password is checked: a field is missing, empty or invalid. */
export const refusedForm: fc.Arbitrary<string> = fc.array(fc.tuple(formName, formValue), { maxLength: 4 })
  .map((fields) =>
    fields.filter(([name]) => name !== "password").map(([name, value]) => `${name}=${value}`).join("&")
  );

/** The same fields as multipart forms with the boundary `B`. */
export const refusedMultipart: fc.Arbitrary<string> = fc.array(
  fc.tuple(formName, fc.constantFrom("", "x", "名")),
  {
    maxLength: 3,
  },
).map((fields) =>
  fields.filter(([name]) => name !== "password").map(([name, value]) =>
    `--B\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  ).join("") + "--B--\r\n"
);
