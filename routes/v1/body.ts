/**
 * Reads request bodies as FastAPI does: bytes with a limit and a deadline, parsed as JSON by their content
 * type.
 */
import { type Json, JsonLimitError, type JsonObject, JsonSyntaxError, parseJson } from "../../json.ts";
import { readBody } from "../common/read_body.ts";
import { HttpError, ValidationError } from "./http_error.ts";

/**
 * Maximum size in bytes of a body that is parsed before its token is checked. Parsing blocks all other
 * requests.
 */
export const unauthenticatedBytesMax = 256 * 1024;
/**
 * Maximum size of a body in bytes. MongoDB stored documents of up to 16 MiB. The frontend's largest tasks have
 * 3 MiB.
 */
export const bodyBytesMax = 8 * 1024 * 1024;
/** Default maximum time in milliseconds for a body to arrive. */
export const bodyMsDefault = 30_000;
/** Maximum nesting of containers; Python's parser failed at about this depth. */
const depthMax = 960;
/**
 * Maximum number of values of a body. Parsing time depends on them rather than on bytes. The largest tasks of
 * the frontend have 4,000.
 */
const valuesMax = 30_000;

/** Returns the old backend's error for any body that it could not read. */
export const unparsableBody = () => new HttpError(400, "There was an error parsing the body");

/**
 * Reads the bytes of a body.
 *
 * @throws HttpError 413 if the body exceeds `bytesMax`, 408 if it does not arrive within `msMax` milliseconds
 */
export async function readBytes(
  request: Request,
  msMax: number,
  bytesMax = bodyBytesMax,
): Promise<Uint8Array> {
  const read = await readBody(request, { bytesMax, msMax });
  if (read === "too_large") throw new HttpError(413, `Request body too large: at most ${bytesMax} bytes`);
  if (read === "too_slow") throw new HttpError(408, "Request body came too slowly");
  // The client has disconnected and receives no response. The status is only counted.
  if (read === "broken") throw unparsableBody();
  return read;
}

/** Returns `type/subtype` in lower case as Python's email.message does: `text/plain` for any other form. */
export function mediaType(contentType: string): string {
  const type = (contentType.split(";")[0] ?? "").trim().toLowerCase();
  return type.split("/").length === 2 ? type : "text/plain";
}

function isJson(contentType: string | null): boolean {
  if (!contentType) return true;
  const type = mediaType(contentType);
  return type.startsWith("application/") && (type === "application/json" || type.endsWith("+json"));
}

function decodeUtf32(bytes: Uint8Array, littleEndian: boolean): string {
  if (bytes.length % 4 !== 0) throw unparsableBody();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const code = view.getUint32(offset, littleEndian);
    if (code > 0x10ffff) throw unparsableBody();
    text += String.fromCodePoint(code);
  }
  return text;
}

/** Detects the UTF encoding by the first bytes, as Python's json.detect_encoding() does. */
function detectEncoding(bytes: Uint8Array): { name: string; littleEndian?: boolean; skip: number } {
  const starts = (...bom: number[]) => bom.every((byte, index) => bytes[index] === byte);
  if (starts(0, 0, 0xfe, 0xff)) return { name: "utf-32", littleEndian: false, skip: 4 };
  if (starts(0xff, 0xfe, 0, 0)) return { name: "utf-32", littleEndian: true, skip: 4 };
  if (starts(0xfe, 0xff)) return { name: "utf-16be", skip: 2 };
  if (starts(0xff, 0xfe)) return { name: "utf-16le", skip: 2 };
  if (starts(0xef, 0xbb, 0xbf)) return { name: "utf-8", skip: 3 };
  if (bytes.length >= 4) {
    if (bytes[0] === 0) {
      return bytes[1] === 0
        ? { name: "utf-32", littleEndian: false, skip: 0 }
        : { name: "utf-16be", skip: 0 };
    }
    if (bytes[1] === 0) {
      return bytes[2] === 0 && bytes[3] === 0
        ? { name: "utf-32", littleEndian: true, skip: 0 }
        : { name: "utf-16le", skip: 0 };
    }
  } else if (bytes.length === 2) {
    if (bytes[0] === 0) return { name: "utf-16be", skip: 0 };
    if (bytes[1] === 0) return { name: "utf-16le", skip: 0 };
  }
  return { name: "utf-8", skip: 0 };
}

function decodeText(bytes: Uint8Array): string {
  const { name, littleEndian, skip } = detectEncoding(bytes);
  const rest = bytes.subarray(skip);
  if (name === "utf-32") return decodeUtf32(rest, littleEndian ?? false);
  try {
    return new TextDecoder(name, { fatal: true, ignoreBOM: true }).decode(rest);
  } catch {
    throw unparsableBody();
  }
}

/**
 * Returns the body as FastAPI passes it to a model: null if it is empty, parsed if its content type is JSON
 * or absent, and otherwise its bytes as text.
 *
 * @throws ValidationError json_invalid with Python's position and message
 * @throws HttpError 400 if the body is not in a UTF encoding, is nested over 960 levels, or has an integer of
 *   over 4,300 digits; 413 if it has over 30,000 values
 */
export function parseBody(bytes: Uint8Array, contentType: string | null): Json {
  if (bytes.length === 0) return null;
  if (!isJson(contentType)) return new TextDecoder().decode(bytes);
  try {
    return parseJson(decodeText(bytes), depthMax, valuesMax);
  } catch (error) {
    if (error instanceof JsonLimitError && error.limit === "values") {
      throw new HttpError(413, `Request body too large: at most ${valuesMax} values`);
    }
    if (error instanceof JsonLimitError) throw unparsableBody();
    if (!(error instanceof JsonSyntaxError)) throw error;
    const ctx: JsonObject = new Map([["error", error.msg]]);
    const loc = ["body", error.position];
    throw new ValidationError([{
      type: "json_invalid",
      loc,
      msg: "JSON decode error",
      input: new Map(),
      ctx,
    }]);
  }
}
