/** One difference between a source and the target. */
export interface Mismatch {
  collection: string;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  /** `ledger_changed`: an entry or a count of the ledger. `derived_changed`: a counter or the owner of a task. */
  kind: "changed" | "missing_row" | "extra_row" | "quarantine_changed" | "ledger_changed" | "derived_changed";
  path: string;
  source_value: string | null;
  row_value: string | null;
  /**
   * `rule`: the row is unchanged since the load, so a rule has changed or is wrong. `new_system`: the row was written
   * after the load and its `updated_at` says so. `outside_writer`: the row was written after the load, but its
   * `updated_at` was not set. `deleted`: the row was deleted. `not_loaded`: the source was not loaded. `ledger`: the
   * ledger was changed.
   */
  cause: "rule" | "new_system" | "outside_writer" | "deleted" | "not_loaded" | "ledger";
}

/** Receives differences as they are found. */
export type OnMismatch = (mismatch: Mismatch) => void;
