/** URLs that webhooks may be sent to, by the setting WEBHOOK_HOSTS. */

/** A URL that webhooks may be sent to. */
export interface WebhookTarget {
  url: URL;
  /** Whether WEBHOOK_HOSTS lists the origin with its scheme: then http and private addresses are allowed. */
  trusted: boolean;
}

const withScheme = /^https?:\/\//i;
/** Returns the origin of an entry of WEBHOOK_HOSTS, or undefined if it is malformed. */
export const originOf = (entry: string): string | undefined => {
  const text = withScheme.test(entry) ? entry : `https://${entry}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && url.pathname === "/" && url.search + url.hash + url.username === "" ? url.origin : undefined;
};

/**
 * Parses a webhook's URL and checks it against WEBHOOK_HOSTS.
 *
 * @returns the target, or a text that says what is wanted instead
 *
 * @example
 * ```ts
 * import { readWebhookUrl } from "./webhook_url.ts";
 * const target = readWebhookUrl(["hooks.example.com"], "https://hooks.example.com/a");
 * if (typeof target === "string" || target.trusted) throw new Error("https to a public address");
 * if (readWebhookUrl(["hooks.example.com"], "http://hooks.example.com/a") instanceof Object) throw new Error();
 * ```
 */
export function readWebhookUrl(hosts: readonly string[], text: string): WebhookTarget | string {
  if (!/^https?:\/\/[^\s\0]+$/i.test(text)) return "a URL that starts with https://";
  if (!URL.canParse(text)) return "a URL with a valid host and port";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "" || url.hash !== "") return "a URL without user and fragment";
  const entry = hosts.find((host) => originOf(host) === url.origin);
  return entry === undefined ? "a host of WEBHOOK_HOSTS" : { url, trusted: withScheme.test(entry) };
}
