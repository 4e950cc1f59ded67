/** Reads the settings from the environment. No other file reads it. */
import { parseEnvFile } from "./env_file.ts";
import { imageSourceOf } from "./image_hosts.ts";
import { originOf } from "./webhook_url.ts";
import { AppError, type FieldFault } from "./errors.ts";
import type { Level } from "./log.ts";
import { type Setting, type SettingName, settings } from "./settings.ts";

type Value<N extends SettingName> = (typeof settings)[N]["kind"] extends "int" | "number" ? number
  : (typeof settings)[N]["kind"] extends "flag" ? boolean
  : (typeof settings)[N]["kind"] extends "list" ? string[]
  : string;

/** Parsed settings by environment name. LOG_LEVEL is in lower case. */
export type Config = { [N in SettingName]: N extends "LOG_LEVEL" ? Level : Value<N> };

/** The program that reads the settings. Each program has its own required settings. */
export type Program = "api" | "worker" | "migrate";

const required: Record<Program, readonly SettingName[]> = {
  api: ["DATABASE_URL", "SECRET_KEY"],
  worker: ["DATABASE_URL", "IMAGE_API_URL", "NIETA_XTOKEN"],
  migrate: ["DATABASE_URL"],
};

const secretBytesMin = 32;

function parseValue(name: SettingName, text: string): { value: unknown } | { wanted: string } {
  const setting: Setting = settings[name];
  const { kind, range } = setting;
  if (kind === "list") {
    return { value: text.split(",").map((part) => part.trim()).filter((part) => part !== "") };
  }
  if (kind === "flag") {
    const value =
      { true: true, "1": true, yes: true, false: false, "0": false, no: false }[text.toLowerCase()];
    return value === undefined ? { wanted: "true or false" } : { value };
  }
  if (kind === "text") {
    if (!setting.oneOf) return { value: text };
    const value = setting.oneOf.find((known) => known.toLowerCase() === text.toLowerCase());
    return value === undefined ? { wanted: `one of ${setting.oneOf.join(", ")}` } : { value };
  }
  const value = text.trim() === "" ? NaN : Number(text);
  const [min, max] = range ?? [-Infinity, Infinity];
  const isNumber = kind === "int" ? Number.isSafeInteger(value) : Number.isFinite(value);
  if (isNumber && value >= min && value <= max) return { value };
  const noun = kind === "int" ? "a whole number" : "a number";
  return { wanted: `${noun} from ${min} to ${max}${setting.unit ? ` (${setting.unit})` : ""}` };
}

function checkSecret(config: Config): FieldFault[] {
  const bytes = new TextEncoder().encode(config.SECRET_KEY).length;
  if (bytes >= secretBytesMin || config.SHORT_SECRET_KEY === "allow") return [];
  return [{
    field: "SECRET_KEY",
    wanted:
      `${secretBytesMin} bytes or more, it has ${bytes}; to keep an old key whose tokens are still in use, ` +
      "set SHORT_SECRET_KEY=allow",
  }];
}

function checkUrls(config: Config): FieldFault[] {
  const wanted: [SettingName, string[]][] = [
    ["DATABASE_URL", ["postgres:", "postgresql:"]],
    ["DATABASE_DIRECT_URL", ["postgres:", "postgresql:"]],
    ["DATABASE_READ_URL", ["postgres:", "postgresql:"]],
    ["REDIS_URL", ["redis:", "rediss:", "valkey:", "valkeys:", "unix:"]],
    ["UPSTASH_REDIS_REST_URL", ["http:", "https:"]],
    ["IMAGE_API_URL", ["http:", "https:"]],
    ["LUMINA_API_URL", ["http:", "https:"]],
  ];
  return wanted.flatMap(([name, schemes]) => {
    const text = String(config[name]);
    if (text === "") return [];
    // Connection URLs of PostgreSQL and Unix sockets of Redis need not be URLs by the web's standard.
    const isUrl = URL.canParse(text) || name.startsWith("DATABASE_") || /^unix:/i.test(text);
    const scheme = isUrl ? text.slice(0, text.indexOf(":") + 1).toLowerCase() : "";
    return schemes.includes(scheme)
      ? []
      : [{ field: name, wanted: `a URL that starts with ${schemes.join(" or ")}//` }];
  });
}

/** Behind a pooler that gives the server away after each transaction, notifications and locks of sessions are lost. */
function checkDirectUrl({ DATABASE_URL, DATABASE_DIRECT_URL }: Config): FieldFault[] {
  if (DATABASE_DIRECT_URL !== "" || !/[?&]pgbouncer=true\b/.test(DATABASE_URL)) return [];
  const wanted =
    "the address of PostgreSQL itself, because DATABASE_URL has pgbouncer=true: PgBouncer passes no " +
    "notifications on";
  return [{ field: "DATABASE_DIRECT_URL", wanted }];
}

function checkWebhookHosts({ WEBHOOK_HOSTS }: Config): FieldFault[] {
  return WEBHOOK_HOSTS.filter((entry) => originOf(entry) === undefined)
    .map((value) => ({ field: "WEBHOOK_HOSTS", value, wanted: "host[:port] or http(s)://host[:port]" }));
}

function checkImageHosts({ IMAGE_HOSTS }: Config): FieldFault[] {
  const wanted = "host[:port] or http(s)://host[:port], with *. before a domain for all its hosts";
  return IMAGE_HOSTS.filter((entry) => imageSourceOf(entry) === undefined)
    .map((value) => ({ field: "IMAGE_HOSTS", value, wanted }));
}

/**
 * Parses the settings in `env`. Ignores unknown names. An empty value counts as unset.
 *
 * @throws AppError invalid_config with one field for each fault
 *
 * @example
 * ```ts
 * import { parseConfig } from "./config.ts";
 * const config = parseConfig({ DATABASE_URL: "postgres://u:p@localhost/db" }, "migrate");
 * if (config.PORT !== 8000) throw new Error("the default is 8000");
 * ```
 */
export function parseConfig(env: Record<string, string | undefined>, program: Program): Config {
  const faults: FieldFault[] = [];
  const config: Record<string, unknown> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const setting: Setting = settings[name];
    const given = env[name] ?? "";
    const parsed = parseValue(name, given === "" ? setting.default : given);
    if ("value" in parsed) config[name] = parsed.value;
    else faults.push({ field: name, ...(setting.secret ? {} : { value: given }), wanted: parsed.wanted });
    if (given === "" && setting.default === "" && required[program].includes(name)) {
      faults.push({ field: name, wanted: `to be set: ${setting.help}` });
    }
  }
  const parsed = config as Config;
  const unset = new Set(faults.map(({ field }) => field));
  if (program === "api" && !unset.has("SECRET_KEY")) faults.push(...checkSecret(parsed));
  faults.push(...checkUrls(parsed), ...checkDirectUrl(parsed));
  faults.push(...checkWebhookHosts(parsed), ...checkImageHosts(parsed));
  if (faults.length > 0) {
    throw new AppError("invalid_config", "reading the settings: some values are invalid", { fields: faults });
  }
  config.LOG_LEVEL = parsed.LOG_LEVEL.toLowerCase();
  if (parsed.LUMINA_API_URL === "") config.LUMINA_API_URL = parsed.IMAGE_API_URL;
  return parsed;
}

/** Returns the text of `.env` in the working folder, or an empty text if there is none. */
function readEnvFile(): string {
  try {
    return Deno.readTextFileSync(".env");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw new AppError("invalid_config", `reading '.env': ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Reads the settings of this process: its environment, and for names that are not set there, `.env` in the working
 * folder.
 *
 * @throws AppError invalid_config that names each line of `.env` that cannot be read
 */
export function readEnvironment(): Record<string, string | undefined> {
  const names = Object.keys(settings);
  const environment = Object.fromEntries(names.map((name) => [name, Deno.env.get(name)]));
  const file = parseEnvFile(readEnvFile(), environment);
  return Object.fromEntries(names.map((name) => [name, environment[name] ?? file[name]]));
}

/** libpq's environment variables, which complete a connection URL. */
const libpqNames = ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT"];

/** Returns libpq's environment variables of this process. */
export const readLibpqEnvironment = (): Record<string, string | undefined> =>
  Object.fromEntries(libpqNames.map((name) => [name, Deno.env.get(name)]));
