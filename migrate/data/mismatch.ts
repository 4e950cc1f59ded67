/** One place where source and target part. */
export interface Mismatch {
  collection: string;
  /** Canonical Extended JSON of `_id`. */
  document_id: string;
  kind: "changed" | "missing_row" | "extra_row" | "quarantine_changed";
  path: string;
  source_value: string | null;
  row_value: string | null;
}
