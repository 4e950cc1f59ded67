/** Compression of responses that `Deno.serve` does not compress by itself. */

/** Reports whether a client accepts gzip. @param header its Accept-Encoding */
export const acceptsGzip = (header: string | null | undefined): boolean =>
  /\bgzip\b(?!;\s*q=0(?:\.0*)?(?:,|$))/.test(header ?? "");

/** Compresses bytes. */
export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).bytes();
}
