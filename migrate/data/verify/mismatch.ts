/** One place where source and target part. */
export interface Mismatch {
  collection: string;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  /** `ledger_changed`: a note beside the rows; `derived_changed`: a task's counters or owner. */
  kind: "changed" | "missing_row" | "extra_row" | "quarantine_changed" | "ledger_changed" | "derived_changed";
  path: string;
  source_value: string | null;
  row_value: string | null;
  /**
   * Who: `rule` the row is as it was loaded, so a rule changed or is wrong; `new_system` written since, its time says
   * so; `outside_writer` written since by somebody who left its time alone; `deleted`; `not_loaded`; `ledger` the
   * migration's own notes were changed.
   */
  cause: "rule" | "new_system" | "outside_writer" | "deleted" | "not_loaded" | "ledger";
}
