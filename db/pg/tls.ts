/** TLS on connections to PostgreSQL, with the meaning that libpq gives to `sslmode`. */
import type { Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { AppError } from "../../errors.ts";
import type { DatabaseUrl } from "./connection_url.ts";

/** Contents of the PEM files that a connection URL names. */
export interface TlsFiles {
  ca?: string;
  cert?: string;
  key?: string;
}

function readPem(name: string, path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    const hint = cause instanceof Deno.errors.NotCapable
      ? "this program may read certificates in 'certs' of its working folder, '/etc/ssl' and '/run/secrets'"
      : (cause as Error).message;
    throw new AppError("invalid_config", `reading ${name} '${path}': ${hint}`, {
      cause,
      fields: [{ field: "DATABASE_URL", wanted: `${name} as the path of a readable PEM file` }],
    });
  }
}

/** Reads the PEM files of a connection URL. @throws AppError invalid_config that names the file */
export function readTlsFiles({ mode, rootCert, cert, key }: DatabaseUrl["tls"]): TlsFiles {
  if (mode === "disable") return {};
  return {
    ...(rootCert && rootCert !== "system" ? { ca: readPem("sslrootcert", rootCert) } : {}),
    ...(cert ? { cert: readPem("sslcert", cert) } : {}),
    ...(key ? { key: readPem("sslkey", key) } : {}),
  };
}

/** SSLRequest of the frontend/backend protocol. */
const sslRequest = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);

const failure = (code: string, message: string) => Object.assign(new Error(message), { code });

/** Asks the server for TLS. Resolves to whether it agrees. */
function requestTls(socket: Socket): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  socket.once("data", (bytes: Uint8Array) => {
    socket.pause();
    // More bytes before the handshake would be unencrypted text from somebody in between (CVE-2021-23214).
    if (bytes.length !== 1 || (bytes[0] !== 83 && bytes[0] !== 78)) {
      reject(failure("TLS_UNEXPECTED_ANSWER", "the server answers the request for TLS with something else"));
    } else resolve(bytes[0] === 83);
  });
  socket.once("close", () => reject(failure("CONNECTION_CLOSED", "the server closed the connection")));
  socket.once("error", reject);
  socket.write(sslRequest);
  return promise.finally(() => socket.removeAllListeners());
}

function optionsOf({ mode }: DatabaseUrl["tls"], { ca, cert, key }: TlsFiles): ConnectionOptions {
  // libpq: a root certificate turns `require` into `verify-ca`.
  const verifies = mode.startsWith("verify") || mode === "require" && ca !== undefined;
  return {
    rejectUnauthorized: verifies,
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/**
 * Encrypts a connected socket as the connection URL demands.
 *
 * @param host the server's name, which `verify-full` compares with its certificate
 * @returns the encrypted socket, or the same socket where the URL permits plain text and the server offers no TLS
 * @throws Error with code TLS_REFUSED if the server has no TLS, or the TLS library's error
 */
export async function startTls(
  socket: Socket,
  host: string,
  tls: DatabaseUrl["tls"],
  files: TlsFiles,
): Promise<Socket> {
  if (!tls.direct && !await requestTls(socket)) {
    if (tls.mode === "prefer" || tls.mode === "allow") return socket;
    throw failure("TLS_REFUSED", `the server offers no TLS, but sslmode=${tls.mode} demands it`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const isName = !/^[\d.]+$|:/.test(host);
  const secure = connectTls({
    socket,
    ...(isName ? { servername: host } : {}),
    host,
    ...optionsOf(tls, files),
    ...(tls.direct ? { ALPNProtocols: ["postgresql"] } : {}),
  }, () => resolve(secure));
  secure.once("error", reject);
  await promise.finally(() => secure.off("error", reject));
  return secure;
}
