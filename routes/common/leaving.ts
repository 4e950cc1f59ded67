/** How a process makes the proxy in front send requests to another one, shortly before it closes its port. */

/** Methods of requests that nginx does not repeat after they were sent. */
const neverRepeated = new Set(["POST", "PATCH", "LOCK"]);

/**
 * Returns whether the proxy in front repeats this request at another process when it is answered with 504.
 *
 * A proxy without health checks, like nginx, goes on connecting until a connection is refused. A connection that the
 * kernel has accepted and the process has not is reset when the port is closed, and a POST on it fails. The proxy says
 * by a header that it can repeat a request (deploy/nginx/proxy.conf). It then leaves the process out in time.
 */
export const isRepeatedElsewhere = ({ method, headers }: Request): boolean =>
  headers.has("x-retry-elsewhere") && !neverRepeated.has(method);

/**
 * Returns the answer to such a request. No other answer of this system has the status 504. Clients see it only where no
 * other process is left.
 */
export const askToRepeatElsewhere = (): Response =>
  Response.json({ detail: "This process stops" }, {
    status: 504,
    headers: { connection: "close", "retry-after": "2" },
  });
