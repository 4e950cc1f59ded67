/** Checks on MongoDB, the old backend, Redis and the clocks. */
import { AppError } from "../../../errors.ts";
import { counted } from "../../../phrases.ts";
import { openRedis } from "../../../redis/connect.ts";
import { checkPermissions } from "../back/preconditions.ts";
import { findFollow } from "../sync/state.ts";
import { isWriteBlocked, readBlockRights } from "../sources/write_block.ts";
import { formatBytes } from "../tools/format.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { type Rule, verdict } from "./check.ts";
import { diskFreeShare } from "./gate_target.ts";
import type { SwitchContext } from "./context.ts";
import type { SwitchOptions } from "./options.ts";
import { isSignedWith, signToken } from "./token.ts";

const skewMsMax = 1000;
const oldMs = 5000;
const oldBytesMax = 1024 * 1024;
const tokenSeconds = 120;
/** Age of the last change up to which a subtask counts as being drawn, in milliseconds. */
const drawnMs = 15 * 60_000;

export interface SourceFacts {
  identity: string;
  wantedIdentity: string | undefined;
  isPrimary: boolean;
  isBlocked: boolean;
  canBlock: boolean;
  /** Why the way back may not write; undefined if it may. */
  writeFault: string | undefined;
  /** Subtasks that the old executor draws. */
  processing: number;
  skewMs: number;
  /** Bytes of the database with its indexes, and what its disk has free; undefined where the server does not tell. */
  sizeBytes: number;
  freeBytes: number | undefined;
  options: SwitchOptions;
}

/** Returns how far a clock is from this machine's. */
async function measureSkew(readMs: () => Promise<number>): Promise<number> {
  const before = Date.now();
  const read = await readMs();
  return Math.round(read - (before + Date.now()) / 2);
}

/** A mongos and some hosted services do not report free disk space. */
async function readDisk({ db }: FollowedMongo): Promise<Pick<SourceFacts, "sizeBytes" | "freeBytes">> {
  const { totalSize, storageSize, fsTotalSize, fsUsedSize } = await db.command({ dbStats: 1 });
  const isTold = typeof fsTotalSize === "number" && typeof fsUsedSize === "number" && fsTotalSize > 0;
  const sizeBytes = Number(totalSize ?? storageSize ?? 0);
  return { sizeBytes, freeBytes: isTold ? fsTotalSize - fsUsedSize : undefined };
}

export async function readSourceFacts(
  { pool, source }: SwitchContext,
  options: SwitchOptions,
): Promise<SourceFacts> {
  const { client, db, version, identity } = source;
  const { isWritablePrimary } = await db.command({ hello: 1 });
  const { canBlock } = await readBlockRights(client, version);
  const isBlocked = await isWriteBlocked(client);
  let writeFault: string | undefined;
  if (isWritablePrimary && !isBlocked) {
    await checkPermissions(source).catch((error) => writeFault = error.message);
  }
  const since = new Date(Date.now() - drawnMs);
  const filter = { status: "processing", updated_at: { $gte: since } };
  return {
    identity,
    wantedIdentity: (await findFollow(pool))?.source_identity,
    isPrimary: isWritablePrimary === true,
    isBlocked,
    canBlock,
    writeFault,
    processing: await db.collection("dramatiq_tasks").countDocuments(filter),
    skewMs: await measureSkew(async () => ((await db.command({ hello: 1 })).localTime as Date).getTime()),
    ...await readDisk(source),
    options,
  };
}

const freezeHint =
  "let the account do it (role 'restore', with which the way back passes the block as well, or 'backup'), or add --freeze-hook URL or " +
  "--freeze-confirmed after you stopped the old backend";

export const sourceRules: Rule<SourceFacts>[] = [
  {
    name: "source_identity",
    check: ({ identity, wantedIdentity }) =>
      verdict(
        wantedIdentity === identity,
        wantedIdentity === identity
          ? "the followed one"
          : `found '${identity}', followed '${wantedIdentity}'`,
        "name the MongoDB that is followed",
      ),
  },
  {
    name: "source_primary",
    check: ({ isPrimary }) =>
      verdict(isPrimary, isPrimary ? "a primary" : "a secondary", "name the whole replica set in the URL"),
  },
  {
    name: "source_not_frozen",
    check: ({ isBlocked }) =>
      verdict(
        !isBlocked,
        isBlocked ? "writes are blocked already" : "it takes writes",
        "unblock it: db.adminCommand({setUserWriteBlockMode: 1, global: false})",
      ),
  },
  {
    name: "freeze_possible",
    check: ({ canBlock, options: { freeze } }) =>
      verdict(
        canBlock || freeze.way !== "mongodb",
        freeze.way === "mongodb"
          ? (canBlock ? "by MongoDB" : "this server or account cannot block writes")
          : freeze.way,
        freezeHint,
      ),
  },
  {
    name: "executor_quiet",
    canAccept: true,
    check: ({ processing, options: { drainMs, freeze } }) =>
      verdict(
        processing === 0 || drainMs !== null || freeze.way === "confirmed",
        `${counted(processing, "subtask")} under way`,
        "add --drain 10m: what is under way at the switch is drawn and paid for again",
      ),
  },
  {
    name: "way_back_writes",
    check: ({ writeFault }) =>
      verdict(
        writeFault === undefined,
        writeFault ?? "the account may write",
        "give it the role 'readWrite'",
      ),
  },
  {
    name: "disk_mongodb",
    canAccept: true,
    check: ({ sizeBytes, freeBytes }) =>
      verdict(
        freeBytes !== undefined && freeBytes >= sizeBytes * diskFreeShare,
        `the database has ${formatBytes(sizeBytes)}; ${
          freeBytes === undefined
            ? "the server does not tell what is free"
            : `${formatBytes(freeBytes)} are free`
        }`,
        `make sure that ${
          formatBytes(sizeBytes * diskFreeShare)
        } or more are free on its disk, for the way back`,
      ),
  },
  {
    name: "clock_mongodb",
    check: ({ skewMs }) =>
      verdict(
        Math.abs(skewMs) < skewMsMax,
        `${skewMs} ms from this machine`,
        "synchronise the clocks by NTP",
      ),
  },
];

export interface OldFacts {
  isSet: boolean;
  /** What is wrong with the old backend; undefined if it answers. */
  fault: string | undefined;
  /** What is wrong with SECRET_KEY; undefined if both backends accept the same tokens. */
  keyFault: string | undefined;
}

async function askOld({ http, config }: SwitchContext, token: string | undefined): Promise<number | string> {
  const result = await http({
    method: "GET",
    url: `${config.LEGACY_API_URL.replace(/\/$/, "")}/api/v1/users/me`,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    timeoutMs: oldMs,
    bodyBytesMax: oldBytesMax,
  });
  if (result.kind === "answer") return result.status;
  return result.kind === "unreachable" ? `it is unreachable (${result.reason})` : `it is ${result.kind}`;
}

/** Returns what is wrong with the old backend; undefined if it answers. */
export async function findOldFault(context: SwitchContext): Promise<string | undefined> {
  if (context.config.LEGACY_API_URL === "") return "LEGACY_API_URL is not set";
  const status = await askOld(context, undefined);
  if (typeof status === "string") return status;
  // Without a token, the old backend refuses.
  return [401, 403].includes(status) ? undefined : `it answers ${status} without a token, wanted 401 or 403`;
}

async function findKeyFault(context: SwitchContext): Promise<string | undefined> {
  const { config: { SECRET_KEY }, oldToken, pool } = context;
  if (SECRET_KEY === "") return "SECRET_KEY is not set";
  if (oldToken !== undefined) {
    return await isSignedWith(oldToken, SECRET_KEY)
      ? undefined
      : "the given token was signed with another key";
  }
  const [user] = await pool<{ email: string; legacy_id: string }[]>`
    select email, legacy_id from users where generation is not null and is_active order by created_at limit 1`;
  if (user === undefined) return "there is no user to sign a token for";
  const token = await signToken({ sub: user.legacy_id, email: user.email }, SECRET_KEY, tokenSeconds);
  const status = await askOld(context, token);
  if (status === 200) return undefined;
  return typeof status === "string" ? status : `the old backend answers ${status} to a token signed with it`;
}

export async function readOldFacts(context: SwitchContext): Promise<OldFacts> {
  const isSet = context.config.LEGACY_API_URL !== "";
  const fault = await findOldFault(context);
  const keyFault = fault === undefined || context.oldToken !== undefined
    ? await findKeyFault(context)
    : "the old backend cannot be asked";
  return { isSet, fault, keyFault };
}

export const oldRules: Rule<OldFacts>[] = [
  {
    name: "old_backend_named",
    check: ({ isSet }) =>
      verdict(
        isSet,
        isSet ? "LEGACY_API_URL is set" : "LEGACY_API_URL is not set",
        "set LEGACY_API_URL here as well",
      ),
  },
  {
    name: "old_backend_up",
    check: ({ fault }) =>
      verdict(fault === undefined, fault ?? "it answers", "start the old backend, or correct LEGACY_API_URL"),
  },
  {
    name: "key_accepted",
    check: ({ keyFault }) =>
      verdict(
        keyFault === undefined,
        keyFault ?? "both backends accept the same tokens",
        "set SECRET_KEY to that of the old backend, or give a token of it with --old-token",
      ),
  },
];

export interface EnvironmentFacts {
  redisFault: string | undefined;
  skewMs: number;
}

async function findRedisFault({ config }: SwitchContext): Promise<string | undefined> {
  try {
    await using connection = openRedis({
      url: config.REDIS_URL,
      restUrl: config.UPSTASH_REDIS_REST_URL,
      restToken: config.UPSTASH_REDIS_REST_TOKEN,
      timeoutMs: oldMs,
    });
    await connection.check();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.message;
  }
}

export async function readEnvironmentFacts(context: SwitchContext): Promise<EnvironmentFacts> {
  const { pool } = context;
  const readMs = async () => {
    const [row] = await pool<
      { ms: number }[]
    >`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
    return row!.ms;
  };
  await readMs();
  return { redisFault: await findRedisFault(context), skewMs: await measureSkew(readMs) };
}

export const environmentRules: Rule<EnvironmentFacts>[] = [
  {
    name: "redis_reachable",
    canAccept: true,
    check: ({ redisFault }) =>
      verdict(redisFault === undefined, redisFault ?? "it answers", "start Redis, or correct REDIS_URL"),
  },
  {
    name: "clock_postgresql",
    check: ({ skewMs }) =>
      verdict(
        Math.abs(skewMs) < skewMsMax,
        `${skewMs} ms from this machine`,
        "synchronise the clocks by NTP",
      ),
  },
];
