/** Why no server of a MongoDB can be used, as the driver's errors say. */
import { AppError } from "../../../errors.ts";
import { inflect } from "../../../phrases.ts";
import type { MongoUrl } from "./mongo_url.ts";

/** What messages about a connection need of its URL. */
export type MongoContext = Pick<
  MongoUrl,
  "setting" | "secrets" | "hosts" | "isSrv" | "usesTls" | "replicaSet"
>;

/** A failure of one server. */
interface ServerFailure {
  /** Completes «the old database does not answer (…)». */
  what: string;
  advice: string;
  kind: "unreachable" | "tls";
}

interface DriverError {
  name?: string;
  code?: number | string;
  message?: string;
  cause?: unknown;
}

/** The topology that the driver found. */
interface Topology {
  type: string;
  servers: Map<string, { type: string; error: unknown }>;
}

/** Returns the innermost cause of an error of the driver. */
function innermost(error: unknown): DriverError {
  let found = error as DriverError;
  for (let depth = 0; depth < 5 && found.cause instanceof Error; depth++) found = found.cause as DriverError;
  return found;
}

const nameMismatch = /ALTNAME|does not match certificate|NotValidForName/i;
const certificateFault = /certificate|CERT|UnknownIssuer|UNABLE_TO_|SELF_SIGNED/;

function describeTls(address: string, text: string, setting: string): ServerFailure {
  if (nameMismatch.test(text)) {
    return {
      kind: "tls",
      what: `the certificate of ${address} names another host`,
      advice: `write the name of the certificate into ${setting}, or add tlsAllowInvalidHostnames=true`,
    };
  }
  if (certificateFault.test(text)) {
    return {
      kind: "tls",
      what: `the certificate of ${address} is not accepted: ${text}`,
      advice: `add tlsCAFile=PATH to ${setting}, a PEM file with the certificate of its authority`,
    };
  }
  return {
    kind: "tls",
    what: `${address} does not answer with TLS: ${text}`,
    advice:
      `remove tls=true from ${setting} if it offers no TLS; otherwise it may demand tlsCertificateKeyFile`,
  };
}

/** Describes why one server cannot be used. */
function describeServer(address: string, error: unknown, { setting, usesTls }: MongoContext): ServerFailure {
  const { code = "", message = "" } = innermost(error);
  const start = `start it or correct ${setting}`;
  const unreachable = (what: string, advice = start): ServerFailure => ({
    kind: "unreachable",
    what,
    advice,
  });
  if (code === "ECONNREFUSED") return unreachable(`nothing listens at ${address}`);
  if (code === "ENOENT") return unreachable(`there is no socket ${address}`);
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return unreachable(`there is no host ${address.replace(/:\d+$/, "")}`, `correct the host in ${setting}`);
  }
  if (/timed? ?out/i.test(message)) return unreachable(`${address} is silent: ${message}`);
  if (usesTls) return describeTls(address, message, setting);
  if (/closed|disconnected|ECONNRESET/i.test(`${code} ${message}`)) {
    return unreachable(
      `${address} closes connections without TLS`,
      `add tls=true to ${setting} if it demands TLS, otherwise ${start}`,
    );
  }
  return unreachable(message);
}

const hasName = (address: string, host: string) => {
  const [found, wanted] = [address.toLowerCase(), host.toLowerCase()];
  return found === wanted || found === `${wanted}:27017` || found === decodeURIComponent(wanted);
};

/** Describes a replica set whose name, members or primary are not as expected. */
function describeReplicaSet(
  topology: Topology,
  { hosts, replicaSet, setting }: MongoContext,
): string | undefined {
  const found = [...topology.servers.keys()];
  // The driver removes servers that do not belong together.
  const single = hosts.find((host) => !found.some((address) => hasName(address, host)));
  if (topology.type === "Unknown" && hosts.length > 1 && single !== undefined) {
    return `${single} is a single server, no member of a replica set; wanted it as the only host in ${setting}`;
  }
  if (replicaSet !== undefined && found.length === 0) {
    return `no host of ${setting} belongs to a replica set '${replicaSet}'; wanted its name as replicaSet, or no ` +
      "replicaSet for a single server";
  }
  const isPrimaryMissing = [...topology.servers.values()].some(({ type }) => type === "RSSecondary");
  if (isPrimaryMissing) {
    return "the replica set has no primary that can be reached from here; wait until it has elected one, or add " +
      `directConnection=true to ${setting} to read one host as it is`;
  }
  // The driver replaces the hosts of the URL by the members that the replica set names.
  const named = found.filter((address) => !hosts.some((host) => hasName(address, host)));
  if (!topology.type.startsWith("ReplicaSet") || named.length === 0) return undefined;
  return `the replica set names its ${inflect(found.length, "member", "members")} ${
    found.slice(0, 3).join(", ")
  }, which cannot be reached from here; make the names known, or add directConnection=true to ${setting}`;
}

/** Returns an error that tells why the driver found no server; undefined for another error. */
export function explainUnreachable(
  error: unknown,
  action: string,
  context: MongoContext,
): AppError | undefined {
  const { name = "", message = "" } = error as DriverError;
  const topology = (error as { reason?: Topology }).reason;
  const fail = (code: "database_unreachable" | "database_refused" | "invalid_source", text: string) =>
    new AppError(code, `${action}: ${text}`, { cause: new Error(message) });
  if (name !== "MongoServerSelectionError" || !(topology?.servers instanceof Map)) return undefined;
  const failures = [...topology.servers].filter(([, { error }]) => error)
    .map(([address, { error }]) => describeServer(address, error, context));
  const about = describeReplicaSet(topology, context);
  const tls = failures.find(({ kind }) => kind === "tls");
  if (tls) return fail("database_refused", `${tls.what}; ${tls.advice}`);
  if (about !== undefined) {
    const isMisnamed = topology.servers.size === 0 || topology.type === "Unknown";
    const code = isMisnamed ? "invalid_source" : "database_unreachable";
    return fail(code, about);
  }
  const [first] = failures;
  if (!first) return undefined;
  const whats = [...new Set(failures.map(({ what }) => what))].slice(0, 3).join("; ");
  return fail(
    "database_unreachable",
    `the old database does not answer (${whats}); ${first.advice}, and run the same command again`,
  );
}

/** Returns an error that tells why DNS named no servers; undefined for another error. */
export function explainDns(error: unknown, action: string, context: MongoContext): AppError | undefined {
  const { code = "", message = "" } = error as DriverError;
  const { hosts: [host], isSrv, setting } = context;
  const isDns = /^query(?:Srv|Txt)\b/.test(message) ||
    /^(?:ENOTFOUND|ENODATA|ESERVFAIL|ETIMEOUT)$/.test(`${code}`);
  if (!isSrv || !isDns) return undefined;
  return new AppError(
    "database_unreachable",
    `${action}: DNS has no record '_mongodb._tcp.${host}' (${
      code || message
    }); correct the name in ${setting}, or ` +
      "use the form mongodb:// with hosts and ports, which needs no such record",
    { cause: new Error(message) },
  );
}
