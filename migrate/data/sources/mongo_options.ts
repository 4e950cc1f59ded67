/** Options of MongoDB's connection URLs, as MongoDB's tools, hosters and other drivers write them. */
import { quoted } from "../../../phrases.ts";

/** `file`: the path of a PEM file. A list: the words that are accepted. */
type Kind = "flag" | "count" | "text" | "file" | readonly string[];

/** An option that has no effect here. */
export interface IgnoredOption {
  name: string;
  reason: string;
}

/** Receives a text that completes «wanted …» for each option that cannot be used. */
type OnFault = (wanted: string) => void;

/** Options that the driver receives. */
const accepted: Record<string, Kind> = {
  appName: "text",
  authMechanism: ["DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN", "MONGODB-X509"],
  authSource: "text",
  compressors: "text",
  connectTimeoutMS: "count",
  directConnection: "flag",
  heartbeatFrequencyMS: "count",
  journal: "flag",
  loadBalanced: "flag",
  localThresholdMS: "count",
  maxConnecting: "count",
  maxIdleTimeMS: "count",
  replicaSet: "text",
  retryReads: "flag",
  retryWrites: "flag",
  serverMonitoringMode: ["auto", "stream", "poll"],
  serverSelectionTimeoutMS: "count",
  srvMaxHosts: "count",
  srvServiceName: "text",
  tls: "flag",
  tlsAllowInvalidCertificates: "flag",
  tlsAllowInvalidHostnames: "flag",
  tlsCAFile: "file",
  tlsCertificateKeyFile: "file",
  tlsCertificateKeyFilePassword: "text",
  tlsCRLFile: "file",
  tlsInsecure: "flag",
  w: "text",
  waitQueueTimeoutMS: "count",
  wTimeoutMS: "count",
  zlibCompressionLevel: "count",
};

/** Older names, and names of other drivers. `not` reverses a flag. */
const renamed: Record<string, { name: string; not?: true }> = {
  ssl: { name: "tls" },
  j: { name: "journal" },
  wtimeout: { name: "wTimeoutMS" },
  ssl_ca_certs: { name: "tlsCAFile" },
  sslCAFile: { name: "tlsCAFile" },
  sslCertificateAuthorityFile: { name: "tlsCAFile" },
  ssl_certfile: { name: "tlsCertificateKeyFile" },
  sslPEMKeyFile: { name: "tlsCertificateKeyFile" },
  sslClientCertificateKeyFile: { name: "tlsCertificateKeyFile" },
  ssl_pem_passphrase: { name: "tlsCertificateKeyFilePassword" },
  sslClientCertificateKeyPassword: { name: "tlsCertificateKeyFilePassword" },
  ssl_crlfile: { name: "tlsCRLFile" },
  ssl_match_hostname: { name: "tlsAllowInvalidHostnames", not: true },
  sslVerifyCertificate: { name: "tlsAllowInvalidCertificates", not: true },
  sslAllowInvalidCertificates: { name: "tlsAllowInvalidCertificates" },
  sslAllowInvalidHostnames: { name: "tlsAllowInvalidHostnames" },
};

const fromPrimary = "the primary is read, because it has every write";
const ownPool = "the number of connections is fixed";
const longReads = "it would end long reads";
const unchangedBytes = "documents are copied byte by byte";
const otherDriver = "it configures another driver";

const ignoredReasons: Record<string, string> = {
  readPreference: fromPrimary,
  readPreferenceTags: fromPrimary,
  maxStalenessSeconds: fromPrimary,
  slaveOk: fromPrimary,
  readConcernLevel: "replica sets are read with read concern majority",
  minPoolSize: ownPool,
  maxPoolSize: ownPool,
  waitQueueMultiple: ownPool,
  socketTimeoutMS: longReads,
  timeoutMS: longReads,
  uuidRepresentation: unchangedBytes,
  tz_aware: unchangedBytes,
  tzinfo: unchangedBytes,
  document_class: unchangedBytes,
  unicode_decode_error_handler: unchangedBytes,
  connect: otherDriver,
  fsync: otherDriver,
  tlsDisableOCSPEndpointCheck: otherDriver,
  tlsDisableCertificateRevocationCheck: otherDriver,
};

const noProxy = "no proxy";
const noKerberos = "no Kerberos";

/** Options whose meaning cannot be kept; a connection without them would be another one. */
const refusedWanted: Record<string, string> = {
  proxyHost: noProxy,
  proxyPort: noProxy,
  proxyUsername: noProxy,
  proxyPassword: noProxy,
  gssapiServiceName: noKerberos,
  authMechanismProperties: "no authMechanismProperties: they configure mechanisms that are not supported",
  ssl_keyfile: "tlsCertificateKeyFile with key and certificate in one file, instead of ssl_keyfile",
};

const byLowerCase = new Map(
  [accepted, renamed, ignoredReasons, refusedWanted].flatMap((table) => Object.keys(table))
    .map((name) => [name.toLowerCase(), name]),
);

/** Checks that a file can be read and holds PEM. */
function checkFile(name: string, path: string, onFault: OnFault): void {
  const wanted = `${name} as the path of a readable PEM file, ${quoted(path)}`;
  try {
    if (!Deno.readTextFileSync(path).includes("-----BEGIN ")) onFault(`${wanted} is none`);
  } catch (error) {
    onFault(
      error instanceof Deno.errors.NotFound
        ? `${wanted} does not exist`
        : `${wanted} cannot be read (${(error as Error).name})`,
    );
  }
}

function checkValue(name: string, value: string, onFault: OnFault): void {
  const kind = accepted[name]!;
  const found = name === "tlsCertificateKeyFilePassword" ? "" : `, found ${quoted(value)}`;
  if (kind === "file") return checkFile(name, value, onFault);
  if (kind === "flag" && !/^(?:true|false)$/.test(value)) onFault(`${name} as true or false${found}`);
  if (kind === "count" && !/^\d{1,9}$/.test(value)) onFault(`${name} as a whole number${found}`);
  if (typeof kind !== "string" && !kind.includes(value)) {
    onFault(`${name} as one of ${kind.join(", ")}${found}`);
  }
}

/** The options of one URL. */
export class MongoOptions {
  /** Options for the driver. */
  readonly passed = new Map<string, string>();
  readonly ignored: IgnoredOption[] = [];
  readonly #onFault: OnFault;

  /**
   * @param query the part of the URL after `?`
   * @throws URIError if the percent-encoding is malformed
   */
  constructor(query: string, onFault: OnFault) {
    this.#onFault = onFault;
    for (const pair of query.split("&").filter((part) => part !== "")) {
      const at = pair.indexOf("=");
      if (at < 1) onFault("options as name=value");
      else this.#add(decodeURIComponent(pair.slice(0, at)), decodeURIComponent(pair.slice(at + 1)));
    }
    this.#impliesTls();
    this.#selectCompressors();
  }

  #add(given: string, value: string): void {
    const name = byLowerCase.get(given.toLowerCase()) ?? given;
    if (given.toLowerCase() === "ssl_cert_reqs") return this.#addRequired(value);
    // Studio 3T adds names of its own to the URLs that it exports.
    if (given.startsWith("3t.")) this.#ignore(given, otherDriver);
    else if (Object.hasOwn(ignoredReasons, name)) {
      if (!/^readPreference=primary$|^readConcernLevel=majority$/i.test(`${name}=${value}`)) {
        this.#ignore(name, ignoredReasons[name]!);
      }
    } else if (value === "") this.#ignore(name, "it has no value");
    else if (Object.hasOwn(refusedWanted, name)) this.#onFault(refusedWanted[name]!);
    else if (Object.hasOwn(renamed, name)) this.#addRenamed(renamed[name]!, value);
    else if (Object.hasOwn(accepted, name)) this.#pass(name, value);
    else this.#onFault(`only options that MongoDB documents, found ${quoted(given)}`);
  }

  /** Adds PyMongo's `ssl_cert_reqs`. */
  #addRequired(value: string): void {
    if (/none/i.test(value)) this.#pass("tlsAllowInvalidCertificates", "true");
  }

  #addRenamed({ name, not }: { name: string; not?: true }, value: string): void {
    const reversed: Record<string, string> = { true: "false", false: "true" };
    this.#pass(name, not ? reversed[value] ?? value : value);
  }

  #pass(name: string, value: string): void {
    checkValue(name, value, this.#onFault);
    const before = this.passed.get(name);
    if (before !== undefined && before !== value) this.#onFault(`${name} once, found two values`);
    this.passed.set(name, value);
  }

  #ignore(name: string, reason: string): void {
    if (!this.ignored.some((option) => option.name === name)) this.ignored.push({ name, reason });
  }

  /** PyMongo: an option that needs TLS turns it on. */
  #impliesTls(): void {
    const needs = [...this.passed.keys()].some((name) => /^tls./.test(name));
    if (needs && !this.passed.has("tls")) this.passed.set("tls", "true");
  }

  /** Only zlib is included. */
  #selectCompressors(): void {
    const given = this.passed.get("compressors");
    if (given === undefined) return;
    const names = given.split(",").map((name) => name.trim());
    const known = ["zlib", "snappy", "zstd", "none", "disabled"];
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined) {
      this.#onFault(`compressors of ${known.slice(0, 3).join(", ")}, found ${quoted(unknown)}`);
    }
    const missing = names.filter((name) => name === "snappy" || name === "zstd");
    if (missing.length > 0) this.#ignore(`compressors=${missing.join()}`, "only zlib is included");
    if (names.includes("zlib")) this.passed.set("compressors", "zlib");
    else this.passed.delete("compressors");
  }
}
