/** Connection URLs as hosters hand them out, read as libpq reads them. */
import assert from "node:assert/strict";
import { type DatabaseUrl, parseDatabaseUrl } from "../../db/pg/connection_url.ts";
import { AppError } from "../../errors.ts";

const tcp = (host: string, port = 5432) => ({ host, port });

const cases: [string, string, Partial<DatabaseUrl>][] = [
  ["user, password, host, port and database", "postgres://u:p@db.example.com:6432/images", {
    hosts: [tcp("db.example.com", 6432)],
    user: "u",
    password: "p",
    database: "images",
  }],
  ["percent-encoding and a plus sign", "postgresql://u%40x:p%2F%3A+%25@h/d%20b", {
    user: "u@x",
    password: "p/:+%",
    database: "d b",
  }],
  ["an IPv6 address", "postgres://user@[::1]:5433/db", { hosts: [tcp("::1", 5433)] }],
  ["several hosts", "postgres://u@a:1,b,[::2]:3/db", { hosts: [tcp("a", 1), tcp("b"), tcp("::2", 3)] }],
  ["a socket directory", "postgres://u@/db?host=/run/postgresql", {
    hosts: [{ path: "/run/postgresql/.s.PGSQL.5432" }],
  }],
  ["an encoded socket directory", "postgres://u@%2Frun%2Fpg:5433/db", {
    hosts: [{ path: "/run/pg/.s.PGSQL.5433" }],
  }],
  ["hosts and ports as parameters", "postgres:///db?host=a,b&port=1,2&user=u", {
    hosts: [tcp("a", 1), tcp("b", 2)],
    user: "u",
    database: "db",
  }],
  ["no database", "postgres://u@h", { database: "u" }],
  ["nothing but the scheme", "postgres://", { hosts: [tcp("localhost")], user: "postgres" }],
  ["target_session_attrs", "postgres://u@a,b/db?target_session_attrs=read-write", {
    sessionAttributes: "read-write",
  }],
  ["application_name and options", "postgres://u@h/d?application_name=x&options=-c%20geqo%3Doff", {
    startup: { application_name: "x", options: "-c geqo=off" },
  }],
  ["pgbouncer=true as a pooler without prepared statements", "postgres://u@h/d?pgbouncer=true", {
    prepare: false,
  }],
  ["connect_timeout", "postgres://u@h/d?connect_timeout=1", { connectTimeoutMs: 2000 }],
];
for (const [what, text, wanted] of cases) {
  Deno.test(`parseDatabaseUrl() reads ${what}`, () => {
    const url = parseDatabaseUrl(text);
    for (const [key, value] of Object.entries(wanted)) {
      assert.deepEqual(url[key as keyof DatabaseUrl], value, key);
    }
  });
}

const tlsCases: [string, DatabaseUrl["tls"]][] = [
  ["", { mode: "prefer", direct: false }],
  ["sslmode=disable", { mode: "disable", direct: false }],
  ["sslmode=allow", { mode: "allow", direct: false }],
  ["sslmode=require&channel_binding=require", { mode: "require", direct: false }],
  ["ssl=true", { mode: "require", direct: false }],
  ["sslmode=verify-full&sslrootcert=/certs/ca.pem", {
    mode: "verify-full",
    rootCert: "/certs/ca.pem",
    direct: false,
  }],
  ["sslrootcert=system", { mode: "verify-full", rootCert: "system", direct: false }],
  ["sslmode=require&sslcert=a&sslkey=b", { mode: "require", cert: "a", key: "b", direct: false }],
  ["sslmode=require&sslnegotiation=direct", { mode: "require", direct: true }],
];
for (const [query, wanted] of tlsCases) {
  Deno.test(`parseDatabaseUrl() reads TLS from '${query}'`, () => {
    assert.deepEqual(parseDatabaseUrl(`postgres://u@h/d?${query}`).tls, wanted);
  });
}

const ignored = [
  "channel_binding=require",
  "connection_limit=1",
  "schema=public",
  "keepalives=1",
  "gssencmode=disable",
  "load_balance_hosts=random",
  "no_such_word=1",
  "constructor=1",
];
for (const pair of ignored) {
  Deno.test(`parseDatabaseUrl() ignores ${pair} with a reason`, () => {
    const url = parseDatabaseUrl(`postgres://u@h/d?${pair}`);
    assert.deepEqual(url.startup, {});
    assert.equal(url.ignored.length, 1);
    assert.equal(url.ignored[0]!.name, pair.split("=")[0]);
  });
}

const faulty: [string, RegExp][] = [
  ["mysql://u@h/d", /wanted postgres:\/\//],
  ["postgres://u:hunter2@h:port/d", /port from 1 to 65535, found 'port'/],
  ["postgres://u:hunter2@h:70000/d", /port from 1 to 65535, found '70000'/],
  ["postgres://u:hunter2@::1/d", /brackets/],
  ["postgres://u:hunter2@h/d?sslmode=maybe", /sslmode as one of disable, allow/],
  ["postgres://u:hunter2@h/d?target_session_attrs=any-thing", /target_session_attrs as one of/],
  ["postgres://u:hunter2@h/d?service=x", /no service file/],
  ["postgres://u:hunter2@h/d?gssencmode=require", /gssencmode other than require/],
  ["postgres://u:hunter2@h/d?schema=other", /schema=public/],
  ["postgres://u:hunter2@h/d?client_encoding=LATIN1", /client_encoding=UTF8/],
  ["postgres://u:hunter2%@h/d", /percent-encoding/],
  ["postgres://u:hunter2@h/d?port=1,2,3", /as many ports as hosts/],
];
for (const [text, wanted] of faulty) {
  Deno.test(`parseDatabaseUrl() refuses '${text.replace("hunter2", "…")}'`, () => {
    assert.throws(() => parseDatabaseUrl(text), (error) => {
      assert.ok(error instanceof AppError);
      const shown = error.fields.map(({ wanted }) => `wanted ${wanted}`).join("\n");
      assert.match(shown, wanted);
      assert.doesNotMatch(shown + error.message, /hunter2/);
      return true;
    });
  });
}

Deno.test("parseDatabaseUrl() takes what the URL does not say from libpq's environment variables", () => {
  const environment = {
    PGHOST: "h",
    PGPORT: "1",
    PGUSER: "u",
    PGPASSWORD: "p",
    PGDATABASE: "d",
    PGSSLMODE: "require",
  };
  const { hosts, user, password, database, tls } = parseDatabaseUrl("postgres://", environment);
  assert.deepEqual({ hosts, user, password, database, mode: tls.mode }, {
    hosts: [tcp("h", 1)],
    user: "u",
    password: "p",
    database: "d",
    mode: "require",
  });
});
