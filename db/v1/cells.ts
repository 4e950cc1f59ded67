/** Collects the subtasks of a v1 detail as packed JSON text. */
import { Packer, toBytes, toText } from "../pg/json_stream.ts";
import { type Cell, packResult, packSubtask } from "./subtask.ts";

const comma = toBytes(",");
const letterC = 0x63;
const letterF = 0x66;
const letterO = 0x6f;

/** Packs each subtask when its row arrives, while the database sends the next rows. */
export class Cells {
  /** The elements of `dramatiq_tasks`, and the entries of `results.raw`; both separated by commas. */
  readonly items = new Packer();
  readonly raw = new Packer();
  total = 0;
  completed = 0;
  failed = 0;
  #parent = toBytes("");
  readonly #keys = new Set<string>();
  #last: Uint8Array | string = "";
  #hasItem = false;

  /** Sets the id of the subtasks' task. @param taskId JSON text */
  setTask(taskId: Uint8Array): void {
    this.#parent = toBytes(`","parent_task_id":${toText(taskId)}`);
  }

  /** Legacy id of the last subtask so far. The next batch starts after it. */
  get last(): string {
    return typeof this.#last === "string" ? this.#last : toText(this.#last);
  }

  set last(legacyId: string) {
    this.#last = legacyId;
  }

  /** Adds a subtask with all its columns, and counts it. */
  add(cell: Cell): void {
    const status = cell[0]!;
    this.total++;
    if (status[0] === letterF) this.failed++;
    if (status[0] === letterC && status[1] === letterO) this.completed++;
    this.addResult(cell);
    this.addItem(cell);
  }

  /** Adds a subtask to `items` only. */
  addItem(cell: Cell): void {
    this.#last = cell[1]!;
    if (this.#hasItem) this.items.add(comma);
    this.#hasItem = true;
    packSubtask(this.items, cell, this.#parent);
  }

  /** Adds the result of a subtask to `raw` only. */
  addResult(cell: Cell): void {
    this.#last = cell[1]!;
    packResult(this.raw, cell, this.#keys);
  }
}
