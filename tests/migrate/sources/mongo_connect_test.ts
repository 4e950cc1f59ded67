/** Connections to real servers with each form of MONGODB_URL, by the program with its own permissions. */
import assert from "node:assert/strict";
import { MongoClient } from "mongodb";
import { type LocalMongo, startMongo } from "../../../dev/servers/mongo.ts";
import { findFreePort } from "../../../dev/servers/ports.ts";
import { AppError } from "../../../errors.ts";
import { openLive } from "../../../migrate/data/sources/mongo_live.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { mongod } from "../support/sources.ts";

const testLive = (name: string, fn: (t: Deno.TestContext) => Promise<void>) =>
  Deno.test({ name, ignore: !mongod, fn });

const root = { user: "us@r", password: "p@ss/w:rd%#?&+" };
const encode = encodeURIComponent;
const account = `${encode(root.user)}:${encode(root.password)}@`;
const tlsFile = (name: string) => new URL(`../../data/tls/${name}`, import.meta.url).pathname;
const caFile = `tlsCAFile=${encode(tlsFile("ca.pem"))}`;
/** Shortens the driver's search for a server. */
const soon = "serverSelectionTimeoutMS=700";

async function createCollections(url: string): Promise<void> {
  const client = new MongoClient(url);
  for (const name of collections) await client.db("old").createCollection(name);
  await client.close();
}

/** Reads an empty database once. Returns the notes, or the error as the program shows it. */
async function probe(url: string): Promise<string[] | AppError> {
  try {
    await using source = await openLive(url, "old", "MONGODB_URL");
    assert.equal((await source.survey("users", { rangeBytes: 1 << 20 })).documents, 0);
    return [...source.notes];
  } catch (error) {
    assert.ok(error instanceof AppError, `${error}`);
    assert.ok(!error.message.includes(root.password) && !error.message.includes(encode(root.password)));
    assert.doesNotMatch(error.message, /\n/);
    return error;
  }
}

type Case = [what: string, url: string, code: string, message: RegExp];

async function expectFailures(t: Deno.TestContext, cases: Case[]): Promise<void> {
  for (const [what, url, code, message] of cases) {
    await t.step(`${what} is told in one line`, async () => {
      const error = await probe(url);
      assert.ok(error instanceof AppError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.match(error.message, /MONGODB_URL/);
    });
  }
}

const program = new URL("../../../migrate/main.ts", import.meta.url).pathname;
const config = new URL("../../../deno.json", import.meta.url).pathname;

/** Runs `data load` with the program's own permissions. Without PostgreSQL, it ends after it has opened the source. */
async function runProgram(url: string, cwd: string): Promise<{ code: number; err: string; out: string }> {
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--config",
      config,
      "-P=migrate",
      program,
      "data",
      "load",
      "--from",
      "mongodb",
    ],
    cwd,
    env: { DATABASE_URL: "postgres://u@127.0.0.1:1/x", MONGODB_URL: url, DB_NAME: "old" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, err: text(stderr), out: text(stdout) };
}

testLive("a server without TLS: accounts, addresses, sockets and options", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-mongo-socket-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const server = stack.use(await startMongo(mongod!, { root, ipv6: true, socketFolder: folder }));
  const host = `127.0.0.1:${server.port}`;
  const socket = encode(`${folder}/mongodb-${server.port}.sock`);
  const query = `authSource=admin&${soon}`;
  await createCollections(`mongodb://${account}${host}/?${query}`);
  const good: [what: string, url: string, note?: RegExp][] = [
    ["an encoded password", `mongodb://${account}${host}/?${query}`],
    ["the account's database in the path", `mongodb://${account}${host}/admin?${soon}`],
    ["IPv6", `mongodb://${account}[::1]:${server.port}/?${query}`],
    ["a Unix socket", `mongodb://${account}${socket}/?${query}`],
    ["SCRAM-SHA-1", `mongodb://${account}${host}/?${query}&authMechanism=SCRAM-SHA-1`],
    ["an Atlas query", `mongodb://${account}${host}/?${query}&retryWrites=true&w=majority&appName=Cluster0`],
    ["zlib", `mongodb://${account}${host}/?${query}&compressors=zlib`],
    ["missing compressors", `mongodb://${account}${host}/?${query}&compressors=zstd,snappy`, /only zlib/],
    [
      "a small pool",
      `mongodb://${account}${host}/?${query}&minPoolSize=5`,
      /minPoolSize in MONGODB_URL has no effect/,
    ],
  ];
  for (const [what, url, note] of good) {
    await t.step(`${what} connects`, async () => {
      const notes = await probe(url);
      assert.ok(Array.isArray(notes), String(notes));
      if (note) assert.ok(notes.some((text) => note.test(text)), notes.join("\n"));
    });
  }
  await expectFailures(t, [
    [
      "TLS that the server has not",
      `mongodb://${account}${host}/?${query}&tls=true`,
      "database_refused",
      /does not answer with TLS.*remove tls=true from MONGODB_URL/,
    ],
    [
      "a wrong password",
      `mongodb://${encode(root.user)}:wrong@${host}/?${query}`,
      "database_refused",
      /refuses the user or the password/,
    ],
    [
      "a missing authSource",
      `mongodb://${account}${host}/?${soon}&authSource=old`,
      "database_refused",
      /authSource=admin/,
    ],
    ["a missing account", `mongodb://${host}/?${soon}`, "database_refused", /its account may not read/],
    [
      "a mechanism that the server has not",
      `mongodb://${account}${host}/?${query}&authMechanism=PLAIN`,
      "database_refused",
      /correct authMechanism/,
    ],
    [
      "a replica set that is none",
      `mongodb://${account}${host}/?${query}&replicaSet=rs0`,
      "invalid_source",
      /belongs to a replica set 'rs0'/,
    ],
    [
      "a single server among several hosts",
      `mongodb://${account}127.0.0.1:${findFreePort()},${host}/?${query}`,
      "invalid_source",
      /is a single server.*only host in MONGODB_URL/,
    ],
    [
      "a load balancer that is none",
      `mongodb://${account}${host}/?${query}&loadBalanced=true`,
      "invalid_source",
      /load balancing/,
    ],
    [
      "a refused connection",
      `mongodb://127.0.0.1:${findFreePort()}/?${soon}`,
      "database_unreachable",
      /nothing listens at 127/,
    ],
    [
      "a missing socket",
      `mongodb://${encode(`${folder}/no.sock`)}/?${soon}`,
      "database_unreachable",
      /there is no socket/,
    ],
    [
      "an unknown host",
      `mongodb://no-such-host.invalid/?${soon}`,
      "database_unreachable",
      /no host no-such-host\.invalid/,
    ],
    [
      "an unknown SRV name",
      `mongodb+srv://u:p@no-such-host.example.invalid/?${soon}`,
      "database_unreachable",
      /DNS has no record '_mongodb/,
    ],
  ]);
  await t.step("the permissions of the migrate task suffice for a Unix socket", async () => {
    const { code, err } = await runProgram(`mongodb://${account}${socket}/?${query}`, folder);
    assert.match(err, /connecting to PostgreSQL/);
    assert.equal(code, 69);
  });
  await t.step("the program ends with the documented code and one line", async () => {
    const { code, err } = await runProgram(`mongodb://${account}${host}/?${query}&tls=true`, folder);
    assert.equal(code, 77);
    assert.match(err.trim(), /^[^\n]*does not answer with TLS[^\n]*$/);
    const unknown = await runProgram(`mongodb://${account}${host}/?${query}&retries=no`, folder);
    assert.equal(unknown.code, 65);
    assert.match(unknown.err.trim(), /^[^\n]*reading MONGODB_URL: [^\n]*'retries'[^\n]*$/);
  });
});

/** Starts a server that demands TLS. */
async function startTls(folder: string): Promise<LocalMongo> {
  const certificateKeyFile = `${folder}/server.pem`;
  const parts = await Promise.all(
    ["server.key", "server.pem"].map((name) => Deno.readTextFile(tlsFile(name))),
  );
  await Deno.writeTextFile(certificateKeyFile, parts.join(""));
  const server = await startMongo(mongod!, { tls: { certificateKeyFile, caFile: tlsFile("ca.pem") } });
  await createCollections(server.url);
  const client = new MongoClient(server.url);
  await client.db("admin").command({ setParameter: 1, tlsMode: "requireTLS" });
  await client.close();
  return server;
}

testLive("a server that demands TLS: certificates, names, and the file in a folder", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-mongo-tls-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { port } = stack.use(await startTls(folder));
  const [named, numbered] = [`mongodb://localhost:${port}/?${soon}`, `mongodb://127.0.0.1:${port}/?${soon}`];
  for (
    const url of [
      `${named}&tls=true&${caFile}`,
      `${named}&ssl=true&${caFile}`,
      `${named}&ssl_ca_certs=${encode(tlsFile("ca.pem"))}`,
      `${numbered}&tls=true&${caFile}&tlsAllowInvalidHostnames=true`,
      `${numbered}&tls=true&tlsAllowInvalidCertificates=true`,
      `${numbered}&tlsInsecure=true`,
      `${numbered}&ssl=true&ssl_cert_reqs=CERT_NONE`,
    ]
  ) {
    await t.step(
      `'${url.replace(/.*TimeoutMS=700&/, "").replace(encode(tlsFile("ca.pem")), "FILE")}' connects`,
      async () => {
        assert.ok(Array.isArray(await probe(url)));
      },
    );
  }
  await expectFailures(t, [
    [
      "a URL without TLS",
      named,
      "database_unreachable",
      /closes connections without TLS\); add tls=true to MONGODB_URL/,
    ],
    [
      "an unknown authority",
      `${named}&tls=true`,
      "database_refused",
      /certificate of localhost:\d+ is not accepted.*add tlsCAFile=PATH/,
    ],
    [
      "a name that the certificate lacks",
      `${numbered}&tls=true&${caFile}`,
      "database_refused",
      /names another host/,
    ],
    [
      "a file that does not exist",
      `${named}&tlsCAFile=no/such.pem`,
      "invalid_source",
      /tlsCAFile as the path .* 'no\/such\.pem' does not exist/,
    ],
  ]);
  await t.step(
    "the permissions of the migrate task suffice for a file in 'certs' of the working folder",
    async () => {
      await Deno.mkdir(`${folder}/certs`);
      await Deno.copyFile(tlsFile("ca.pem"), `${folder}/certs/ca.pem`);
      const { code, err } = await runProgram(`${named}&tls=true&tlsCAFile=certs/ca.pem`, folder);
      assert.match(err, /connecting to PostgreSQL/);
      assert.equal(code, 69);
    },
  );
});

testLive(
  "a replica set of two: the primary is read, a secondary only where the URL leads to it",
  async (t) => {
    await using stack = new AsyncDisposableStack();
    const second = stack.use(await startMongo(mongod!, { replicaSet: true, joins: true }));
    const secondaries = [`127.0.0.1:${second.port}`];
    const first = stack.use(await startMongo(mongod!, { replicaSet: true, secondaries }));
    const hosts = `127.0.0.1:${first.port},127.0.0.1:${second.port}`;
    const client = new MongoClient(first.url);
    await createCollections(first.url);
    await client.db("old").collection("marks").insertOne({}, { writeConcern: { w: 2, wtimeoutMS: 30_000 } });
    await client.close();
    const good: [what: string, url: string, note?: RegExp][] = [
      ["all hosts and the name of the set", `mongodb://${hosts}/?replicaSet=rs0`],
      [
        "a host that is down before another",
        `mongodb://127.0.0.1:${findFreePort()},127.0.0.1:${first.port}/?replicaSet=rs0`,
      ],
      ["a secondary and the name of the set", `mongodb://127.0.0.1:${second.port}/?replicaSet=rs0`],
      [
        "readPreference=secondary",
        `mongodb://${hosts}/?replicaSet=rs0&readPreference=secondary`,
        /the primary is read/,
      ],
      [
        "a direct connection to a secondary",
        `mongodb://127.0.0.1:${second.port}/?directConnection=true`,
        /is a secondary: it may lack/,
      ],
    ];
    for (const [what, url, note] of good) {
      await t.step(what, async () => {
        const notes = await probe(`${url}&${soon}0`);
        assert.ok(Array.isArray(notes), String(notes));
        assert.equal(notes.length, note ? 1 : 0);
        if (note) assert.match(notes[0]!, note);
      });
    }
    await expectFailures(t, [
      [
        "the name of another set",
        `mongodb://${hosts}/?replicaSet=other&${soon}`,
        "invalid_source",
        /no host of MONGODB_URL belongs to a replica set 'other'/,
      ],
    ]);
  },
);
