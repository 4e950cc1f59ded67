/** The write block of MongoDB 6.0 and later: only accounts with `bypassWriteBlockingMode` may write while it is on. */
import type { Document } from "bson";
import type { MongoClient } from "mongodb";

/** First version with `setUserWriteBlockMode`. */
const versionMin = 6;

/** `userWriteBlockMode` of serverStatus while writes are blocked. */
const enabled = 2;

/** Turns the block on or off. Both may be repeated. */
export async function setWriteBlock(client: MongoClient, isOn: boolean): Promise<void> {
  await client.db("admin").command({ setUserWriteBlockMode: 1, global: isOn });
}

/** Reports whether writes are blocked; false also where the server does not tell, such as mongos. */
export async function isWriteBlocked(client: MongoClient): Promise<boolean> {
  const wanted = { serverStatus: 1, repl: 1, metrics: 0, wiredTiger: 0 };
  const status = await client.db("admin").command(wanted).catch(() => undefined);
  return status?.repl?.userWriteBlockMode === enabled;
}

/** What an account may do about the block. */
export interface BlockRights {
  canBlock: boolean;
  /** Its own writes pass while the block is on. */
  canBypass: boolean;
}

/** Returns what this account may do. A server without authentication lets everybody block, and nobody pass. */
export async function readBlockRights(client: MongoClient, version: string): Promise<BlockRights> {
  if (Number.parseFloat(version) < versionMin) return { canBlock: false, canBypass: false };
  const { authInfo } = await client.db("admin").command({ connectionStatus: 1, showPrivileges: true });
  const users = authInfo?.authenticatedUsers ?? [];
  if (users.length === 0) return { canBlock: true, canBypass: false };
  const privileges: Document[] = authInfo.authenticatedUserPrivileges ?? [];
  const may = (action: string) =>
    privileges.some(({ resource, actions }) =>
      (resource?.cluster === true || resource?.anyResource === true) &&
      (actions.includes(action) || actions.includes("anyAction"))
    );
  return { canBlock: may("setUserWriteBlockMode"), canBypass: may("bypassWriteBlockingMode") };
}
