/** MONGODB_URL in the forms in which hosters, tools and other drivers write it. */
import assert from "node:assert/strict";
import { AppError } from "../../../errors.ts";
import { toAppError } from "../../../migrate/data/sources/mongo_errors.ts";
import { parseMongoUrl } from "../../../migrate/data/sources/mongo_url.ts";

const tlsFile = (name: string) =>
  encodeURIComponent(new URL(`../../data/tls/${name}`, import.meta.url).pathname);

const asked = (url: string): Record<string, string> =>
  Object.fromEntries([...new URL(url.replace(/^[^/]*\/\/[^/]*/, "http://h")).searchParams]);

const parsed: [what: string, url: string, read: object][] = [
  ["host and database", "mongodb://h/old", { shown: "mongodb://h/old", hosts: ["h"], usesTls: false }],
  ["several hosts and a replica set", "mongodb://a:1,b:2/old?replicaSet=rs0", {
    hosts: ["a:1", "b:2"],
    replicaSet: "rs0",
  }],
  ["an IPv6 address", "mongodb://[2001:db8::1]:27018/old", { hosts: ["[2001:db8::1]:27018"] }],
  ["a Unix socket", "mongodb://%2Frun%2Fm%2Fmongodb-27017.sock/old", {
    hosts: ["%2Frun%2Fm%2Fmongodb-27017.sock"],
  }],
  ["Atlas", "mongodb+srv://u:p@c0.ab1.mongodb.net/old?retryWrites=true&w=majority&appName=Cluster0", {
    isSrv: true,
    usesTls: true,
    shown: "mongodb+srv://c0.ab1.mongodb.net/old",
  }],
  ["an SRV name without TLS", "mongodb+srv://c0.ab1.mongodb.net/old?tls=false", { usesTls: false }],
  [
    "Azure",
    "mongodb://a:k%3D%3D@a.example:10255/old?ssl=true&retrywrites=false&maxIdleTimeMS=120000&appName=@a@",
    {
      usesTls: true,
      secrets: ["k==", "k%3D%3D"],
    },
  ],
  ["a user with percent-encoding", "mongodb://us%40er:p%40s%2Fs%3Aw%23%25@h/old", {
    secrets: ["p@s/s:w#%", "p%40s%2Fs%3Aw%23%25"],
  }],
  ["an upper-case scheme", "MONGODB://h/old", { shown: "mongodb://h/old" }],
  ["PyMongo's names for TLS", `mongodb://h/old?ssl_ca_certs=${tlsFile("ca.pem")}&ssl_cert_reqs=CERT_NONE`, {
    usesTls: true,
  }],
];
for (const [what, url, read] of parsed) {
  Deno.test(`parseMongoUrl() reads ${what}`, () => {
    const found: object = parseMongoUrl(url, "");
    for (const [key, value] of Object.entries(read)) assert.deepEqual(Reflect.get(found, key), value, key);
  });
}

const passed: [query: string, options: Record<string, string>][] = [
  ["authSource=admin&authMechanism=SCRAM-SHA-1&directConnection=true", {
    authSource: "admin",
    authMechanism: "SCRAM-SHA-1",
    directConnection: "true",
  }],
  ["AUTHSOURCE=admin&authSource=admin", { authSource: "admin" }],
  ["w=majority&j=true&wtimeout=5", { w: "majority", journal: "true", wTimeoutMS: "5" }],
  ["compressors=zstd,snappy,zlib", { compressors: "zlib" }],
  ["compressors=disabled", {}],
  ["ssl_match_hostname=false", { tlsAllowInvalidHostnames: "true", tls: "true" }],
  ["tls=false&tlsAllowInvalidCertificates=true", { tls: "false", tlsAllowInvalidCertificates: "true" }],
  ["replicaSet=", {}],
];
for (const [query, options] of passed) {
  Deno.test(`parseMongoUrl() passes '${query}' on as the driver knows it`, () => {
    assert.deepEqual(asked(parseMongoUrl(`mongodb://h/old?${query}`, "").url), options);
  });
}

const ignored = [
  "readPreference=secondary",
  "readPreferenceTags=dc:x",
  "maxStalenessSeconds=90",
  "readConcernLevel=local",
  "minPoolSize=5",
  "maxPoolSize=500",
  "socketTimeoutMS=10",
  "timeoutMS=10",
  "uuidRepresentation=standard",
  "tz_aware=true",
  "3t.uriVersion=3",
  "replicaSet=",
];
for (const pair of ignored) {
  Deno.test(`parseMongoUrl() ignores '${pair}' with a reason`, () => {
    const { url, ignored } = parseMongoUrl(`mongodb://h/old?${pair}`, "");
    assert.deepEqual(asked(url), {});
    assert.deepEqual(ignored.map(({ name }) => name), [pair.split("=")[0]]);
  });
}

const encodings =
  /^reading MONGODB_URL: wanted mongodb:\/\/USER:PASSWORD@HOST:PORT\/DATABASE, with .*%2F, %40/;
const refused: [url: string, message: RegExp][] = [
  ["mongodb://u:hunter2@x@h/old", encodings],
  ["mongodb://u:hunter2/x@h/old", encodings],
  ["mongodb://u:hunter2?x@h/old", encodings],
  ["mongodb://u:1?hunter2=x@h/old", encodings],
  ["mongodb://u:hunter2#x@h/old", encodings],
  ["mongodb://u:hunter2:x@h/old", encodings],
  ["mongodb://u:hunter2%@h/old", encodings],
  ["mongodb://u:hunter2@x?y=z@h/old", encodings],
  ["mongodb://:hunter2@h/old", /a user before the password/],
  ["mongodb:///old", /hosts as name:port/],
  ["mongodb:///tmp/mongodb-27017.sock/old", /mongodb:\/\/%2Frun/],
  ["mongodb://u:hunter2@::1/old", /IPv6 address in brackets/],
  ["mongodb://u:hunter2@h:99999/old", /hosts as name:port/],
  ["mongodb://u:hunter2@h:port/old", /hosts as name:port/],
  ["mongodb://u:hunter2@h", /no database is named; wanted mongodb:\/\/h\/DATABASE, or DB_NAME/],
  ["mongodb://u:hunter2@h/?authSource=admin", /no database is named/],
  ["mongodb://u:hunter2@h/old/", /a database name without/],
  ["mongodb+srv://u:hunter2@a.b.c:27017/old", /one name without a port after mongodb\+srv/],
  ["mongodb+srv://u:hunter2@a.b.c,d.e.f/old", /one name without a port/],
  ["mongodb+srv://u:hunter2@a.b.c/old?directConnection=true", /directConnection=true with one host only/],
  ["mongodb://u:hunter2@a,b/old?directConnection=true", /directConnection=true with one host only/],
  ["mongodb://u:hunter2@h/old?srvMaxHosts=2", /only with mongodb\+srv/],
  ["mongodb://u:hunter2@h/old?retries=no", /only options that MongoDB documents, found 'retries'/],
  ["mongodb://u:hunter2@h/old?constructor=1", /found 'constructor'/],
  ["mongodb://u:hunter2@h/old?amp;tls=true", /found 'amp;tls'/],
  ["mongodb://u:hunter2@h/old?tls", /options as name=value/],
  ["mongodb://u:hunter2@h/old?tls=yes", /tls as true or false, found 'yes'/],
  ["mongodb://u:hunter2@h/old?tls=true&ssl=false", /tls once, found two values/],
  ["mongodb://u:hunter2@h/old?connectTimeoutMS=5s", /connectTimeoutMS as a whole number, found '5s'/],
  ["mongodb://u:hunter2@h/old?authMechanism=GSSAPI", /authMechanism as one of DEFAULT, SCRAM/],
  ["mongodb://u:hunter2@h/old?compressors=lz4", /compressors of zlib, snappy, zstd, found 'lz4'/],
  ["mongodb://u:hunter2@h/old?proxyHost=x", /no proxy/],
  [
    "mongodb://u:hunter2@h/old?tlsCAFile=no/such.pem",
    /tlsCAFile as the path of a readable PEM.*does not exist/,
  ],
  ["mongodb://u:hunter2@h/old?tlsCAFile=deno.json", /'deno.json' is none/],
  ["mongodb://u:hunter2@h/old?tlsInsecure=true&tlsAllowInvalidHostnames=true", /either tlsInsecure or/],
  [
    "mongodb://u:hunter2@h/old?tls=yes&tlsCertificateKeyFilePassword=hunter2&retries=1",
    /tls as .*; wanted only/,
  ],
];
for (const [url, message] of refused) {
  Deno.test(`parseMongoUrl() refuses '${url.replaceAll("hunter2", "…")}' in one line`, () => {
    assert.throws(() => parseMongoUrl(url, "", "MONGODB_URL"), (error: AppError) => {
      assert.equal(error.code, "invalid_source");
      assert.match(error.message, /^reading MONGODB_URL: /);
      assert.match(error.message, message);
      assert.doesNotMatch(`${error.message} ${error.stack}`, /hunter2|\n.*\n.*hunter2/);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  });
}

Deno.test("the database of DB_NAME replaces the one of the URL, which accounts are looked up in", () => {
  const { name, url } = parseMongoUrl("mongodb://u:p@h/accounts", "old");
  assert.equal(name, "old");
  assert.match(url, /^mongodb:\/\/u:p@h\/accounts\?$/);
});

/** The driver's error when no server could be selected. */
function selectionError(type: string, servers: Record<string, { type: string; error?: Error }>): Error {
  const reason = { type, servers: new Map(Object.entries(servers)) };
  return Object.assign(new Error("Server selection timed out"), {
    name: "MongoServerSelectionError",
    reason,
  });
}
const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

const unreachable: [what: string, url: string, error: Error, code: string, message: RegExp][] = [
  [
    "members whose names are unknown here",
    "mongodb://db.example.com:27017/old?replicaSet=rs0",
    selectionError("ReplicaSetNoPrimary", {
      "mongo1:27017": { type: "Unknown", error: failure("ENOTFOUND", "getaddrinfo ENOTFOUND mongo1") },
    }),
    "database_unreachable",
    /the replica set names its member mongo1:27017, which cannot be reached.*directConnection=true to MONGODB_URL/,
  ],
  [
    "a replica set without a primary",
    "mongodb://a:27017,b:27017/old",
    selectionError("ReplicaSetNoPrimary", {
      "a:27017": { type: "RSSecondary" },
      "b:27017": { type: "Unknown", error: failure("ECONNREFUSED", "connect ECONNREFUSED") },
    }),
    "database_unreachable",
    /no primary that can be reached/,
  ],
  [
    "several hosts with causes of their own",
    "mongodb://a,b/old",
    selectionError("Unknown", {
      "a:27017": { type: "Unknown", error: failure("ECONNREFUSED", "connect ECONNREFUSED") },
      "b:27017": { type: "Unknown", error: failure("ENOTFOUND", "getaddrinfo ENOTFOUND b") },
    }),
    "database_unreachable",
    /nothing listens at a:27017; there is no host b\); .*MONGODB_URL/,
  ],
  [
    "a silent host",
    "mongodb://a/old",
    selectionError("Unknown", {
      "a:27017": { type: "Unknown", error: new Error("Socket 'connect' timed out after 30000ms") },
    }),
    "database_unreachable",
    /a:27017 is silent/,
  ],
  [
    "an SRV name that DNS does not know",
    "mongodb+srv://u:p@c0.example.invalid/old",
    failure("ENOTFOUND", "querySrv ENOTFOUND _mongodb._tcp.c0.example.invalid"),
    "database_unreachable",
    /DNS has no record '_mongodb\._tcp\.c0\.example\.invalid' \(ENOTFOUND\); correct the name in MONGODB_URL/,
  ],
];
for (const [what, url, error, code, message] of unreachable) {
  Deno.test(`the failure of the driver is explained: ${what}`, () => {
    const shown = toAppError(error, "opening 'x'", parseMongoUrl(url, "", "MONGODB_URL"));
    assert.ok(shown instanceof AppError);
    assert.equal(shown.code, code);
    assert.match(shown.message, message);
  });
}

Deno.test("docs/sources.md names only options that are known", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/sources.md", import.meta.url));
  const [table = ""] = page.split("| part of the URL |")[1]!.split("\n\n");
  const names = table.split("\n").flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`(\w+)`/g)])
    .map(([, name]) => name!);
  assert.ok(names.length > 15);
  for (const name of names) {
    try {
      parseMongoUrl(`mongodb://h/old?${name}=x`, "");
    } catch (error) {
      assert.doesNotMatch((error as Error).message, /only options that MongoDB documents/);
    }
  }
});
