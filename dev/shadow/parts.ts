/** Generators of the parts of requests: tokens, headers, numbers, filters and ids, in valid and invalid forms. */
import fc from "fast-check";

/** A task id that does not exist. */
export const unknownTask = "00000000-0000-4000-8000-000000000000";
/** A user id that does not exist. */
export const unknownUser = "ffffffffffffffffffffffff";

/** Names and values of headers. */
export type Headers = [string, string][];

const jwtPart = (value: unknown): string =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const forgeToken = (header: unknown, payload: unknown): string =>
  `${jwtPart(header)}.${jwtPart(payload)}.c2lnbmF0dXJl`;
const farExpiry = { sub: "1", email: "admin@example.com", exp: 4102444800 };

const validAuth = fc.constantFrom(
  "Bearer ${token}",
  "bearer ${token}",
  "BEARER  ${token}",
  "Bearer ${other}",
);
const invalidAuth = fc.constantFrom(
  "Bearer abc.def.ghi",
  "Bearer nope",
  "Bearer",
  "Basic YTpi",
  "Token x",
  "Bearer a b",
  "Bearer ${token}x",
  `Bearer ${forgeToken({ alg: "none", typ: "JWT" }, farExpiry)}`,
  `Bearer ${forgeToken({ alg: "HS256", typ: "JWT" }, farExpiry)}`,
  `Bearer ${forgeToken({ alg: "HS512", typ: "JWT" }, farExpiry)}`,
  `Bearer ${forgeToken({ alg: "HS256" }, [])}`,
  "Bearer eyJ",
  "Bearer ..",
);
/** Generates the Authorization header. */
export const withAuth = (value: fc.Arbitrary<string>): fc.Arbitrary<Headers> =>
  value.map((text): Headers => [["Authorization", text]]);
/** No authentication. */
export const noAuth: fc.Arbitrary<Headers> = fc.constant([]);

/** Any authentication, usually a valid one. */
export const anyAuth: fc.Arbitrary<Headers> = fc.oneof(
  { withCrossShrink: true },
  { weight: 12, arbitrary: withAuth(validAuth) },
  { weight: 1, arbitrary: noAuth },
  { weight: 2, arbitrary: withAuth(invalidAuth) },
);
/** Authentication that every backend rejects. */
export const refusedAuth: fc.Arbitrary<Headers> = fc.oneof(noAuth, withAuth(invalidAuth));

/** Headers that should not change the answer, except for CORS. */
export const plainHeaders: fc.Arbitrary<Headers> = fc.oneof(
  { withCrossShrink: true },
  { weight: 6, arbitrary: fc.constant<Headers>([]) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Headers>(
      [["Origin", "http://localhost:3000"]],
      [["Origin", "null"]],
      [["Origin", "https://evil.example"], ["Cookie", "a=b"]],
      [["Cookie", "a=b"]],
      [["X-HTTP-Method-Override", "DELETE"]],
      [["Accept", "text/html"]],
      [["Accept-Language", "zh"]],
      [["X-Forwarded-Host", "evil.example"]],
    ),
  },
);

const unusualInt = fc.constantFrom(
  "",
  "0",
  "01",
  "%2B1",
  "+1",
  "%201%20",
  "1.0",
  "1.00",
  "1.5",
  "1.",
  ".5",
  "1e3",
  "1_000",
  "_1",
  "-0",
  "--1",
  "0x1",
  "abc",
  "null",
  "true",
  "NaN",
  "%D9%A3",
  "%EF%BC%91",
  "1%00",
  "%09%0A1",
  "%C2%A01",
  "9223372036854775807",
  "9223372036854775808",
  `1${"0".repeat(30)}`,
  "1,2",
);
/** Numbers as query text, valid and unusual. */
export const intText = fc.oneof(
  { withCrossShrink: true },
  { weight: 3, arbitrary: fc.constantFrom("1", "2", "3", "10", "100") },
  { weight: 3, arbitrary: fc.integer({ min: -3, max: 120 }).map(String) },
  { weight: 2, arbitrary: unusualInt },
);
/** Generates a query parameter. */
export const param = (name: string, values: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  values.map((value) => `${name}=${value}`);
const unusualParam = fc.constantFrom("unknown=1", "x", "=", "PAGE=2", "page[]=3", "a=%zz", "status", "skip");
/** Generates up to four query parameters, known and unknown ones. */
export const params = (...known: fc.Arbitrary<string>[]): fc.Arbitrary<string[]> =>
  fc.array(
    fc.oneof(...known.map((arbitrary) => ({ weight: 4, arbitrary })), { weight: 1, arbitrary: unusualParam }),
    {
      maxLength: 4,
    },
  );

/** Percent-encodes a text. */
export const encode = (text: string): string => encodeURIComponent(text.toWellFormed());
/** Generates one of the texts, percent-encoded. */
export const encoded = (texts: string[], ...more: string[]): fc.Arbitrary<string> =>
  fc.constantFrom(...texts.map(encode), ...more.map(encode));

/** Status filters, valid and invalid. */
export const statusText = fc.oneof(
  fc.constantFrom("completed", "pending", "processing", "failed", "cancelled"),
  fc.array(fc.constantFrom("completed", "pending", "failed", "nope", "", " completed", "COMPLETED"), {
    maxLength: 4,
  })
    .map((words) => encode(words.join(","))),
);

/** Generates a part of a name, percent-encoded, as it is or in upper case. Parts are cut between code points. */
export const namePart = (names: string[]): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...names, "a"), fc.nat(20), fc.integer({ min: 0, max: 6 }), fc.boolean())
    .map(([name, from, length, upper]) => {
      const letters = [...name];
      const part = letters.slice(
        from % Math.max(1, letters.length),
        from % Math.max(1, letters.length) + length,
      ).join("");
      return encode(upper ? part.toUpperCase() : part);
    });

const unusualIds = [
  "not-a-uuid",
  "nope",
  unknownTask,
  unknownUser,
  "0".repeat(23),
  "0".repeat(25),
  "%00",
  "%zz",
  "..%2f",
  "%2e%2e",
  "%2E%2E%2F",
  "%252e%252e%252f",
  "..",
  ".",
  "%2f",
  "a%2Fb",
  "a%2Fb%2F",
  "a//",
  "a%5C..",
  "%F0%9F%90%B1",
  "me%20",
  "NaN",
  "'%20OR%201=1--",
  "{x}",
  "a".repeat(300),
];
const idForms = [
  (id: string) => id,
  (id: string) => id.toUpperCase(),
  (id: string) => id.replaceAll("-", ""),
  (id: string) => id.slice(0, -1),
  (id: string) => `${id}%20`,
  (id: string) => `${id}%2F`,
  (id: string) => `${id}//`,
  (id: string) => `./${id}`,
];

/** Generates known ids, altered forms of them, and unusual ids. */
export function idOf(ids: string[]): fc.Arbitrary<string> {
  const unusual = fc.constantFrom(...unusualIds);
  if (ids.length === 0) return unusual;
  const known = fc.constantFrom(...ids);
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 6, arbitrary: known },
    { weight: 1, arbitrary: fc.tuple(known, fc.constantFrom(...idForms)).map(([id, form]) => form(id)) },
    { weight: 2, arbitrary: unusual },
  );
}

/** Content types of JSON bodies, valid and invalid. */
export const jsonType = fc.constantFrom<Headers>(
  [["Content-Type", "application/json"]],
  [["Content-Type", "application/json; charset=utf-8"]],
  [["Content-Type", "Application/JSON"]],
  [],
  [["Content-Type", "application/vnd.api+json"]],
  [["Content-Type", "text/plain"]],
  [["Content-Type", "application/x-www-form-urlencoded"]],
  [["Content-Type", "json"]],
);
