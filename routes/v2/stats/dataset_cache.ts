/** Cells, ratings and votes of the tasks whose statistics were read last. Only what changed since is read again. */
import {
  cellStates,
  findVotesVersion,
  readDataset,
  readDatasetChanges,
  readVotes,
} from "../../../db/views/stats.ts";
import {
  type CellTable,
  type CellVote,
  changeCells,
  createCellTable,
  haveSameImages,
  isComplete,
  unpackVotes,
} from "../../../statistics/dataset.ts";
import type { V2Deps } from "../kit/context.ts";
import { SizedCache } from "./sized_cache.ts";

type Sql = V2Deps["sql"];

/** Cells and ratings of a task at a revision. */
export interface CellSnapshot {
  revision: number;
  table: CellTable;
}

/** Votes between the present images of a table. */
interface KeptVotes {
  version: string;
  table: CellTable;
  votes: CellVote[];
}

interface Kept {
  snapshot: CellSnapshot;
  votes?: KeptVotes;
}

const bytesOf = ({ snapshot: { table: { states, stars } }, votes }: Kept): number =>
  states.length * (5 + stars.size) + (votes?.votes.length ?? 0) * 40;

/** Datasets of one process. */
export class DatasetCache {
  /** By task. */
  readonly #kept: SizedCache<Kept>;

  /** @param bytesMax maximum size of all datasets together */
  constructor(bytesMax = 64_000_000) {
    this.#kept = new SizedCache(bytesMax);
  }

  #keep(id: string, kept: Kept): void {
    this.#kept.set(id, kept, bytesOf(kept));
  }

  /**
   * Reads the cells of a task and, if requested or at hand, their ratings.
   *
   * A database that is behind the kept snapshot, such as a replica or one that was loaded anew, is read completely.
   *
   * @param countCells resolves with the number of cells of the task; undefined if there is no such task
   * @returns undefined if there is no such task
   */
  async read(
    sql: Sql,
    id: string,
    { ratings, countCells }: { ratings: boolean; countCells: Promise<number | undefined> },
  ): Promise<CellSnapshot | undefined> {
    const before = this.#kept.get(id);
    const reading = before
      ? readDatasetChanges(sql, id, before.snapshot.revision)
      : readDataset(sql, id, { ratings });
    const [cells, packed] = await Promise.all([countCells, reading]);
    if (cells === undefined) return undefined;
    if (
      before && packed.revision >= before.snapshot.revision && cells === before.snapshot.table.states.length
    ) {
      const isSame = packed.revision === before.snapshot.revision;
      const snapshot = isSame
        ? before.snapshot
        : { revision: packed.revision, table: changeCells(before.snapshot.table, packed) };
      this.#keep(id, { ...before, snapshot });
      return snapshot;
    }
    const { revision, ...all } = before ? await readDataset(sql, id, { ratings }) : packed;
    const snapshot = { revision, table: changeCells(createCellTable(cells), all) };
    // A cell without a number is numbered later, which does not change its revision.
    if (ratings && isComplete(snapshot.table)) this.#keep(id, { snapshot });
    return snapshot;
  }

  /** Reads the votes between the present images of a task that was read. */
  async readVotes(sql: Sql, id: string, { table }: CellSnapshot): Promise<CellVote[]> {
    const version = await findVotesVersion(sql, id);
    const before = this.#kept.peek(id)?.votes;
    if (before?.version === version && haveSameImages(before.table, table, cellStates.image)) {
      return before.votes;
    }
    const votes = unpackVotes(await readVotes(sql, id));
    const kept = this.#kept.peek(id);
    if (kept) this.#keep(id, { ...kept, votes: { version, table, votes } });
    return votes;
  }
}
