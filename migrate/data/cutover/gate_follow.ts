/** Checks on the followed source: the sync, its position, and the last verification. */
import { findFollowing, type Following } from "../../../db/migration/following.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import { counted } from "../../../phrases.ts";
import { findFollow, type Follow } from "../sync/state.ts";
import { formatSpan } from "../tools/format.ts";
import { type Rule, verdict } from "./check.ts";
import { type Acceptances, type ExceptionGroup, listExceptionGroups } from "./decisions.ts";

const sync = "start 'deno task migrate data sync --from mongodb'";
const verify = "run 'deno task migrate data verify --live --from mongodb'";

/** Time for which the lag must have been under a second. */
const steadySeconds = 60;
const verifiedSecondsMax = 24 * 3600;
const headroomSecondsMin = 4 * 3600;

/** The last verification that has ended. */
interface LastVerification {
  verdict: "equal" | "different";
  seconds: number;
  differences: number;
  changing: number;
  fingerprint: string;
  /** A gap was found since it began. */
  before_gap: boolean;
}

export interface FollowFacts {
  follow: Follow | undefined;
  following: Following | undefined;
  /** Seconds since the rows were last a second behind. */
  steadySeconds: number;
  openGaps: number;
  verification: LastVerification | undefined;
  groups: ExceptionGroup[];
  acceptances: Acceptances;
}

export async function readFollowFacts(sql: Sql, acceptances: Acceptances): Promise<FollowFacts> {
  const [row] = await sql<{ steady: number | null; gaps: number }[]>`
    select (select extract(epoch from now() - behind_at)::float8 from migration.follows) as steady,
      (select count(*)::float8 from migration.gaps where healed_at is null) as gaps`;
  const [verification] = await sql<LastVerification[]>`
    select v.verdict, extract(epoch from now() - v.started_at)::float8 as seconds, v.differences::float8 as differences,
      v.changing::float8 as changing, v.fingerprint,
      exists (select from migration.gaps g where g.found_at > v.started_at) as before_gap
    from migration.live_verifications v
    where v.ended_at is not null
    order by v.id desc
    limit 1`;
  return {
    follow: await findFollow(sql),
    following: await findFollowing(sql),
    steadySeconds: row!.steady ?? 0,
    openGaps: row!.gaps,
    verification,
    groups: await listExceptionGroups(sql),
    acceptances,
  };
}

const restart = "mend the cause, then run 'sync --restart'";

const listOpen = ({ groups, acceptances }: FollowFacts, kind: string) =>
  groups.filter(({ name, digest }) =>
    name.startsWith(`${kind}:`) && acceptances.digests.get(name) !== digest
  );

const exceptionRule = (name: string, kind: string, todo: string): Rule<FollowFacts> => ({
  name,
  check(facts) {
    const open = listOpen(facts, kind);
    const names = open.map((group) => `${group.name} (${group.documents})`).join(", ");
    const accepts = open.map((group) => `--accept ${group.name}`).join(" ");
    return verdict(
      open.length === 0,
      open.length === 0 ? "none that is not accepted" : names,
      `${todo}, or ${accepts}`,
      open.map((group) => group.name),
    );
  },
});

const syncRules: Rule<FollowFacts>[] = [
  {
    name: "sync_begun",
    check: ({ follow }) =>
      verdict(follow !== undefined, follow ? "a source is followed" : "no source is followed", sync),
  },
  {
    name: "sync_mode",
    check: ({ follow }) =>
      verdict(
        follow?.mode === "stream",
        follow?.mode === "poll" ? "it polls, and finds no deletions" : "change stream",
        "make the server a replica set of one, and follow it with change streams",
      ),
  },
  {
    name: "sync_not_stopped",
    check: ({ follow }) =>
      verdict(follow?.state !== "stopped", follow?.stop_reason ?? "it was not stopped", restart),
  },
  {
    name: "sync_not_ended",
    check: ({ follow }) =>
      verdict(follow?.state !== "ended", follow?.state === "ended" ? "it has ended" : "it goes on", sync),
  },
  {
    name: "copy_complete",
    check: ({ follow }) =>
      verdict(
        follow?.copied_at != null,
        follow?.copied_at ? `since ${follow.copied_at}` : "the first copy is not complete",
        `${sync}, and wait for the copy`,
      ),
  },
  {
    name: "gap_closed",
    check: ({ follow, openGaps }) =>
      verdict(
        openGaps === 0 && follow?.state !== "gap",
        counted(openGaps, "open gap"),
        `${sync}, and wait until both sides are compared`,
      ),
  },
  {
    name: "sync_running",
    check: ({ following }) =>
      verdict(following?.process != null, following?.process?.holder ?? "no process", sync),
  },
  {
    name: "sync_lag",
    check: ({ following, steadySeconds: steady }) => {
      const lag = following?.lag_seconds ?? Infinity;
      const found = `lag ${lag.toFixed(1)} s, under 1 s for ${formatSpan(steady)}`;
      return verdict(
        lag < 1 && steady >= steadySeconds,
        found,
        `wait until the lag is under 1 s for ${steadySeconds} s`,
      );
    },
  },
];

const positionRules: Rule<FollowFacts>[] = [
  {
    name: "oplog_known",
    canAccept: true,
    check: ({ following }) =>
      verdict(
        following?.headroom_seconds != null,
        following?.headroom_seconds == null ? "the oplog cannot be read" : "it is read",
        "let the account read the database 'local'",
      ),
  },
  {
    name: "oplog_headroom",
    canAccept: true,
    check: ({ following }) => {
      const seconds = following?.headroom_seconds ?? Infinity;
      return verdict(
        seconds >= headroomSecondsMin,
        seconds === Infinity ? "not known" : formatSpan(seconds),
        "enlarge the oplog to four hours or more with db.adminCommand({replSetResizeOplog: 1, size: 16000})",
      );
    },
  },
  exceptionRule("waiting_accepted", "waiting", "see 'status', and mend the documents in MongoDB"),
  exceptionRule("quarantine_accepted", "quarantine", "see 'quarantine', and mend the documents in MongoDB"),
];

const verificationRules: Rule<FollowFacts>[] = [
  {
    name: "verified",
    check: ({ verification }) =>
      verdict(
        verification !== undefined,
        verification ? "yes" : "never verified since it is followed",
        verify,
      ),
  },
  {
    name: "verified_equal",
    check: ({ verification }) =>
      verdict(
        verification?.verdict === "equal",
        verification === undefined
          ? "never verified"
          : `${verification.verdict}, ${counted(verification.differences, "difference")}`,
        "see 'why ID', mend the differences, and verify again with --again",
      ),
  },
  {
    name: "verified_recently",
    check: ({ verification }) =>
      verdict(
        verification !== undefined && verification.seconds <= verifiedSecondsMax,
        verification === undefined ? "never verified" : `begun ${formatSpan(verification.seconds)} ago`,
        `${verify}: wanted one of the last 24 hours`,
      ),
  },
  {
    name: "verified_source",
    check: ({ verification, follow }) =>
      verdict(
        verification !== undefined && verification.fingerprint === follow?.fingerprint,
        verification === undefined
          ? "never verified"
          : verification.fingerprint === follow?.fingerprint
          ? "the followed one"
          : "another source was verified",
        verify,
      ),
  },
  {
    name: "verified_after_gap",
    check: ({ verification }) =>
      verdict(
        verification !== undefined && !verification.before_gap,
        verification?.before_gap ? "the position was lost since the verification" : "no gap since then",
        verify,
      ),
  },
];

export const followRules: Rule<FollowFacts>[] = [...syncRules, ...positionRules, ...verificationRules];
