/**
 * The guide: looks at both sides, takes the first stage that is not done, explains it, asks, does it, and looks again.
 * It stores no state of its own beside what its stages leave, so that it can be left at any moment and taken up again,
 * and notices what other commands have done or undone.
 */
import process from "node:process";
import { AppError, describeError } from "../../../errors.ts";
import { findFollow } from "../sync/state.ts";
import { findSchemaFault } from "../cutover/target_facts.ts";
import { type MoveContext, type StageName, stageNames } from "./context.ts";
import { Left } from "./dialogue.ts";
import { type Facts, readFacts } from "./facts.ts";
import { formatReport, formatStages, makeReport, type MoveReport, wrap } from "./format.ts";
import { runAssess, runBackup, runSchema, runSync, runVerify } from "./prepare.ts";
import { findNext, listStages, type Stage } from "./stages.ts";
import {
  chooseEnd,
  mendKilled,
  runCanary,
  runCutover,
  runFinish,
  runRehearse,
  runRollback,
  runShadow,
  runWatch,
} from "./traffic.ts";

/** Maximum number of times that a script performs the same stage, if it becomes open again. */
const attemptsMax = 3;

interface StageAction {
  /** What happens, for a person who has read nothing. */
  about: string;
  run(context: MoveContext, facts: Facts): Promise<void>;
}

const canary = (stage: StageName, users: string): StageAction => ({
  about:
    `${users} read from this system from now on; the old backend still answers every write. A user who has just written ` +
    "reads from the old backend until that write is applied here. It can be taken back at any moment with " +
    "'deno task migrate traffic shadow --reason TEXT'.",
  run: (context, facts) => runCanary(context, facts, stage),
});

const actions: Record<StageName, StageAction> = {
  assess: {
    about: "Reads every document of the old MongoDB and predicts what a copy would do. Writes nothing.",
    run: runAssess,
  },
  backup: {
    about:
      "Saves the tables of this database and all documents of the old MongoDB into a folder on this machine, and " +
      "restores the tables once as a test. It takes about as much disk space as the documents, compressed.",
    run: runBackup,
  },
  schema: { about: "Creates the tables in the database of DATABASE_URL.", run: runSchema },
  sync: {
    about:
      "A process of its own copies all documents and then follows the old MongoDB until the cut-over. The old " +
      "backend goes on as before. This guide waits for it.",
    run: runSync,
  },
  verify: {
    about: "Compares every document with its row, while people go on writing.",
    run: runVerify,
  },
  shadow: {
    about:
      "The API stands before the old backend, which still answers everything; a sample of the answers is compared " +
      "with this system's in the background. Point the clients, or the proxy before them, to the API now.",
    run: runShadow,
  },
  "canary-1": canary("canary-1", "1 % of the users"),
  "canary-5": canary("canary-5", "5 % of the users"),
  "canary-25": canary("canary-25", "25 % of the users"),
  "canary-100": canary("canary-100", "All users"),
  rehearse: {
    about:
      "Does everything of the cut-over but the switch: writes are held for a moment and then go to the old backend. " +
      "Predicts the pause. Everything is as before afterwards.",
    run: runRehearse,
  },
  cutover: {
    about:
      "Puts this system in charge: writes are held for a moment, the last changes are applied, and the held writes " +
      "go on here. Until that moment a failure leaves the old backend in charge.",
    run: runCutover,
  },
  watch: {
    about:
      "A process of its own writes every change made here back to MongoDB, so that one can go back. This guide " +
      "waits while you watch the new system at work. To go back: 'deno task migrate data rollback'.",
    run: runWatch,
  },
  finish: {
    about: "Ends the move: the way back is given up. There is no return to the old backend after that.",
    run: runFinish,
  },
};

/** @throws AppError source_changed when another MongoDB is followed */
async function requireSameSource({ switching: { pool, source } }: MoveContext): Promise<void> {
  if (await findSchemaFault(pool) !== undefined) return;
  const follow = await findFollow(pool);
  if (follow === undefined || follow.source_identity === source.identity) return;
  throw new AppError(
    "source_changed",
    `move: '${source.location}' is not the MongoDB that this database follows; correct MONGODB_URL and DB_NAME, or ` +
      "DATABASE_URL",
  );
}

interface Look {
  facts: Facts;
  stages: Stage[];
  next: Stage | undefined;
}

async function look(context: MoveContext): Promise<Look> {
  const facts = await readFacts(context);
  const stages = listStages(facts, context);
  return { facts, stages, next: findNext(stages, facts) };
}

const columns = (): number => process.stdout.columns ?? 110;

const headingOf = ({ switching: { source } }: MoveContext): string =>
  `move from ${source.location} to this system`;

/** Returns the report without doing anything. */
export async function reportMove(context: MoveContext): Promise<{ report: MoveReport; text: string }> {
  const { facts, stages, next } = await look(context);
  const report = makeReport(facts, stages, next);
  return { report, text: formatReport(report, headingOf(context), columns()) };
}

/** Does a stage. A person may try again after an error. @returns whether the move ends here */
async function runStage(context: MoveContext, stage: Stage, facts: Facts): Promise<boolean> {
  const { dialogue } = context;
  const { about, run } = actions[stage.name];
  dialogue.say(`\n▸ ${wrap(`${stage.name}: ${stage.found}`, columns(), 2)}\n  ${wrap(about, columns(), 2)}`);
  try {
    if (stage.name === "finish" && await chooseEnd(context) === "rollback") {
      await runRollback(context);
      return true;
    }
    if (stage.name !== "finish") await dialogue.ask("Go on?", { y: "yes" });
    await run(context, facts);
  } catch (error) {
    const isOver = dialogue.isScript || !(error instanceof AppError) || error.code === "interrupted" ||
      error.code === "usage";
    if (isOver) throw error;
    dialogue.note(`error: ${describeError(error)}`);
    await dialogue.ask("Nothing else has changed. Look again?", { y: "yes" });
  }
  return false;
}

/**
 * Performs all stages that are not done, up to the last wanted one.
 *
 * @returns whether a person left before the end
 * @throws AppError conflict, busy, source_changed, and errors of the stages
 */
export async function runMove(context: MoveContext): Promise<boolean> {
  const { dialogue, settings: { until } } = context;
  await requireSameSource(context);
  let last: StageName | undefined;
  let attempts = 0;
  try {
    while (true) {
      dialogue.check();
      const { facts, stages, next } = await look(context);
      const killed = facts.target?.cutovers.find(({ state }) => state === "running");
      if (killed !== undefined) {
        await mendKilled(context, killed.id);
        continue;
      }
      if (last === undefined) {
        dialogue.say(`${headingOf(context)}\n\n${formatStages(stages, next, columns())}`);
      }
      if (next === undefined || stageNames.indexOf(next.name) > stageNames.indexOf(until)) return false;
      attempts = next.name === last ? attempts + 1 : 1;
      if (dialogue.isScript && attempts > attemptsMax) {
        throw new AppError(
          "conflict",
          `move: stage '${next.name}' was done and is open again: ${next.found}`,
        );
      }
      last = next.name;
      if (await runStage(context, next, facts)) return true;
    }
  } catch (error) {
    if (error instanceof Left) return true;
    throw error;
  }
}
