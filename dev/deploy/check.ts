/** Checks manifests and certificates before they are used: settings, hosts, values that are missing, dates. */
import { X509Certificate } from "node:crypto";
import { parseAllDocuments } from "yaml";
import { parseConfig } from "../../config.ts";
import { AppError } from "../../errors.ts";
import { type SettingName, settings } from "../../settings.ts";

/** Something wrong in a file. */
export interface Fault {
  path: string;
  text: string;
}

/** A variable of the environment that a file sets. */
export interface Variable {
  path: string;
  name: string;
  value: string;
}

/** What the files of a folder name. */
interface Facts {
  variables: Variable[];
  /** Names under which programs reach each other: services of compose and Kubernetes. */
  services: Set<string>;
  /** Hosts that configurations of proxies and Prometheus name. */
  hosts: Variable[];
}

/** Variables of other programs in the same files. */
const foreign = /^(POSTGRES|DENO|PG|OTEL|NGINX)_?|^NO_COLOR$/;
const placeholder = /CHANGE-ME|\bcontactsheet\.example\b/;
const warnDays = 14;

async function* listFiles(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* listFiles(`${folder}/${name}`);
    else yield `${folder}/${name}`;
  }
}

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Calls `visit` for each object of a document. */
function visitNodes(value: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(value)) value.forEach((one) => visitNodes(one, visit));
  if (!isNode(value)) return;
  visit(value);
  Object.values(value).forEach((one) => visitNodes(one, visit));
}

function readVariables(path: string, document: Node): Variable[] {
  const found: Variable[] = [];
  const add = (name: string, value: unknown) => found.push({ path, name, value: String(value ?? "") });
  const addAll = (values: unknown) =>
    isNode(values) && Object.entries(values).forEach(([name, value]) => add(name, value));
  if (document.kind === "ConfigMap") addAll(document.data);
  if (document.kind === "Secret") addAll(document.stringData);
  visitNodes(document, (node) => {
    addAll(node.environment);
    const list = Array.isArray(node.env) ? node.env : [];
    for (const entry of list) {
      if (isNode(entry) && typeof entry.name === "string") add(entry.name, entry.value);
    }
  });
  return found.filter(({ name }) => /^[A-Z][A-Z0-9_]*$/.test(name));
}

function readYaml(path: string, text: string, facts: Facts, faults: Fault[]): void {
  for (const parsed of parseAllDocuments(text)) {
    if (parsed.errors.length > 0) {
      faults.push({ path, text: `it is not YAML: ${parsed.errors[0]!.message.split("\n")[0]}` });
      continue;
    }
    const document: unknown = parsed.toJS();
    if (!isNode(document)) continue;
    facts.variables.push(...readVariables(path, document));
    if (isNode(document.services)) Object.keys(document.services).forEach((name) => facts.services.add(name));
    const { name } = isNode(document.metadata) ? document.metadata : {};
    if (document.kind === "Service") facts.services.add(String(name));
    visitNodes(document, ({ targets }) => {
      for (const target of Array.isArray(targets) ? targets : []) {
        if (typeof target === "string") facts.hosts.push({ path, name: "targets", value: target });
      }
    });
  }
}

function readUnit(path: string, text: string, facts: Facts): void {
  for (const [, name, value] of text.matchAll(/^Environment="?([A-Z][A-Z0-9_]*)=([^"\n]*)/gm)) {
    facts.variables.push({ path, name: name!, value: value! });
  }
}

function readNginx(path: string, text: string, facts: Facts): void {
  for (const [, host] of text.matchAll(/^\s*server\s+([\w.-]+:\d+)/gm)) {
    facts.hosts.push({ path, name: "server", value: host! });
  }
}

/** Returns the fault of a certificate and its remedy. */
export function checkCertificate(path: string, pem: string, now = Date.now()): Fault[] {
  if (!pem.includes("BEGIN CERTIFICATE")) return [];
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch (error) {
    return [{ path, text: `it is not a certificate: ${(error as Error).message}` }];
  }
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const day = (time: number) => new Date(time).toISOString().slice(0, 10);
  const remedy = "renew it, put the new one in its place and reload the proxy";
  if (now > to) return [{ path, text: `the certificate expired on ${day(to)}: ${remedy}` }];
  if (now < from) {
    return [{ path, text: `the certificate is valid only from ${day(from)} on: check the clock` }];
  }
  const days = Math.floor((to - now) / 86_400_000);
  return days < warnDays
    ? [{ path, text: `the certificate expires on ${day(to)}, in ${days} days: ${remedy}` }]
    : [];
}

/** Reports whether a value is known: one that contains another variable, or the name of a unit, is not. */
const isFilled = (value: string): boolean => value !== "" && !/\$[{(]|^%i$/.test(value);

function checkVariable({ path, name, value }: Variable): Fault[] {
  if (foreign.test(name)) return [];
  if (!Object.hasOwn(settings, name)) {
    return [{ path, text: `${name} is not a setting: see docs/settings.md` }];
  }
  if (placeholder.test(value)) {
    return [{ path, text: `${name} is not filled in: ${settings[name as SettingName].help}` }];
  }
  if (!isFilled(value)) return [];
  try {
    parseConfig({ [name]: value }, "migrate");
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.fields.filter(({ field }) => field === name)
      .map(({ wanted }) => ({ path, text: `${name} is '${value}': wanted ${wanted}` }));
  }
}

/** Returns the host of a URL or of `host:port`; undefined for what needs no service. */
function localHost(value: string): string | undefined {
  const host = /^(?:[a-z+]+:\/\/)?(?:[^@/]*@)?([A-Za-z0-9.-]+)(?:[:/?]|$)/.exec(value)?.[1];
  if (host === undefined || host === "localhost" || /^[\d.]+$/.test(host)) return undefined;
  const [name, ...domain] = host.split(".");
  const isOwn = domain.length === 0 || domain[1] === "svc" || domain.join(".") === "contactsheet";
  return isOwn ? name : undefined;
}

function checkHost({ path, name, value }: Variable, services: Set<string>): Fault[] {
  const host = localHost(value);
  if (host === undefined || services.has(host) || placeholder.test(value)) return [];
  const known = [...services].toSorted().join(", ");
  return [{
    path,
    text: `${name} names the host '${host}', which no service has: the services are ${known}`,
  }];
}

/**
 * Checks all files of a folder.
 *
 * @throws AppError source_missing
 */
export async function checkFiles(
  folder: string,
): Promise<{ faults: Fault[]; files: number; variables: Variable[] }> {
  const facts: Facts = { variables: [], services: new Set(), hosts: [] };
  const faults: Fault[] = [];
  let files = 0;
  try {
    for await (const path of listFiles(folder.replace(/\/$/, ""))) {
      const ending = /\.(\w+)$/.exec(path)?.[1];
      if (!["yml", "yaml", "conf", "service", "pem", "crt"].includes(ending ?? "")) continue;
      files++;
      const text = await Deno.readTextFile(path);
      if (ending === "yml" || ending === "yaml") readYaml(path, text, facts, faults);
      else if (ending === "conf") readNginx(path, text, facts);
      else if (ending === "service") readUnit(path, text, facts);
      else faults.push(...checkCertificate(path, text));
      const isOpen = ending !== "yml" && ending !== "yaml" || !/kind: Secret/.test(text);
      if (isOpen && /\bcontactsheet\.example\b/.test(text.replaceAll(/#.*$/gm, ""))) {
        faults.push({ path, text: "replace contactsheet.example by the name of the site" });
      }
    }
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new AppError("source_missing", `reading the folder '${folder}': it does not exist`, { cause });
  }
  faults.push(...facts.variables.flatMap(checkVariable));
  const urls = facts.variables.filter(({ name }) => /_URLS?$/.test(name));
  faults.push(...[...urls, ...facts.hosts].flatMap((one) => checkHost(one, facts.services)));
  return { faults, files, variables: facts.variables };
}
