/** Hosts that the console shows images from, by the setting IMAGE_HOSTS. */

/**
 * Returns an entry of IMAGE_HOSTS as a source of a content security policy, or undefined if it is malformed. An entry
 * without a scheme means https.
 *
 * @example
 * ```ts
 * import { imageSourceOf } from "./image_hosts.ts";
 * if (imageSourceOf("*.images.example") !== "https://*.images.example") throw new Error("all hosts of the domain");
 * if (imageSourceOf("https://images.example/folder") !== undefined) throw new Error("a host only");
 * ```
 */
export function imageSourceOf(entry: string): string | undefined {
  const [, scheme = "https://", star = "", host = ""] =
    /^(https?:\/\/)?(\*\.)?([^*/\s;,'"]+)$/i.exec(entry) ??
      [];
  const text = scheme.toLowerCase() + host;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && url.username + url.password + url.search + url.hash === ""
    ? `${url.protocol}//${star}${url.host}`
    : undefined;
}

/** Returns the sources of images: those of IMAGE_HOSTS or, if there are none, the image APIs. */
export function listImageSources(
  { IMAGE_HOSTS, IMAGE_API_URL, LUMINA_API_URL }: {
    IMAGE_HOSTS: readonly string[];
    IMAGE_API_URL: string;
    LUMINA_API_URL: string;
  },
): string[] {
  const apis = [IMAGE_API_URL, LUMINA_API_URL].filter((url) => url !== "").map((url) => new URL(url).origin);
  const entries = IMAGE_HOSTS.length > 0 ? IMAGE_HOSTS : apis;
  return [...new Set(entries.flatMap((entry) => imageSourceOf(entry) ?? []))];
}
