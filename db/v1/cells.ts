/** Subtasks of a v1 detail on their way from the database into packed pieces of JSON text. */
import { Packer, toBytes, toText } from "../pg/json_stream.ts";
import { type Cell, packResult, packSubtask } from "./subtask.ts";

const comma = toBytes(",");
const letterC = 0x63;
const letterF = 0x66;
const letterO = 0x6f;

/** Packs each subtask as it comes: the database goes on with the next ones meanwhile. */
export class Cells {
  /** The subtasks themselves, and their entries of `results.raw`; each joined by commas. */
  readonly items = new Packer();
  readonly raw = new Packer();
  total = 0;
  completed = 0;
  failed = 0;
  readonly #parent: Uint8Array;
  readonly #keys = new Set<string>();
  #last: Uint8Array | string = "";
  #hasItem = false;

  constructor(taskId: string) {
    this.#parent = toBytes(`","parent_task_id":"${taskId}"`);
  }

  /** The legacy id of the last one so far: where the next batch starts. */
  get last(): string {
    return typeof this.#last === "string" ? this.#last : toText(this.#last);
  }

  set last(legacyId: string) {
    this.#last = legacyId;
  }

  /** A subtask with all of its columns. */
  add(cell: Cell): void {
    const status = cell[0]!;
    this.total++;
    if (status[0] === letterF) this.failed++;
    if (status[0] === letterC && status[1] === letterO) this.completed++;
    this.addResult(cell);
    this.addItem(cell);
  }

  addItem(cell: Cell): void {
    this.#last = cell[1]!;
    if (this.#hasItem) this.items.add(comma);
    this.#hasItem = true;
    packSubtask(this.items, cell, this.#parent);
  }

  addResult(cell: Cell): void {
    this.#last = cell[1]!;
    packResult(this.raw, cell, this.#keys);
  }
}
