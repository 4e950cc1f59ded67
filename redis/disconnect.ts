/** Why there is no connection to Redis, as the socket's last error and the URL say. */

const certificateFault = /certificate|altname|UnknownIssuer/i;
const protocolFault = /InvalidContentType|wrong version|before secure TLS|ECONNRESET|closed unexpectedly/i;

/** Deno's answer where the program's permissions exclude the path of a socket. */
const permissionFault = /^Requires (?:read|write) access/;

/**
 * Describes a missing connection.
 *
 * @param error text of the last failure to connect; empty if connecting has not ended
 * @param waitedMs how long the caller has waited
 *
 * @example
 * ```ts
 * import { describeDisconnect } from "./disconnect.ts";
 * const text = describeDisconnect("", { usesTls: true, waitedMs: 1000 });
 * if (!text.includes("redis:// instead of rediss://")) throw new Error("a server without TLS is silent");
 * ```
 */
export function describeDisconnect(
  error: string,
  { usesTls, waitedMs }: { usesTls: boolean; waitedMs: number },
): string {
  const said = error === "" ? "" : `: ${error}`;
  const isSilent = error === "" || /timeout/i.test(error);
  if (usesTls && isSilent) {
    return `no answer to the request for TLS within ${waitedMs} ms, as from a server without TLS: if it has none, ` +
      "write redis:// instead of rediss://";
  }
  if (permissionFault.test(error)) return "this program may only connect to sockets in '/run/redis'";
  if (isSilent) return `no connection within ${waitedMs} ms`;
  if (certificateFault.test(error)) {
    return `its certificate is not accepted${said}; name its authority with ssl_ca_certs=PATH`;
  }
  if (usesTls && protocolFault.test(error)) {
    return `it does not answer with TLS${said}; if it has none, write redis:// instead of rediss://`;
  }
  if (!usesTls && protocolFault.test(error)) {
    return `it closes the connection${said}; if it demands TLS, write rediss:// instead of redis://`;
  }
  return `Redis is not connected${said}`;
}
