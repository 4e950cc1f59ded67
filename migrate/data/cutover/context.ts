/** What all parts of a cut-over work with. */
import type { Config } from "../../../config.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import type { Http } from "../../../http.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";

export interface SwitchContext {
  pool: Pool;
  source: FollowedMongo;
  config: Config;
  http: Http;
  /** Who runs it, for the journals. */
  by: string;
  /** Receives a line for the operator. */
  onNote: (note: string) => void;
  /** Aborted by SIGINT and SIGTERM: what is done so far is undone. */
  signal: AbortSignal;
  /** Asks the operator whether something is done. */
  confirm?: (question: string) => Promise<boolean>;
  /** A token that the old backend has signed, if the operator gave one. */
  oldToken?: string | undefined;
}
