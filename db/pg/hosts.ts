/** Chooses among several hosts of a connection URL by `target_session_attrs`, and between plain and encrypted connections. */
import type { SessionAttributes, TlsMode } from "./connection_parameters.ts";
import type { DatabaseUrl } from "./connection_url.ts";

/** State of a server as libpq looks at it. */
interface ServerState {
  isReadOnly: boolean;
  isStandby: boolean;
}

const accepts: Record<SessionAttributes, (state: ServerState) => boolean> = {
  "any": () => true,
  "read-write": ({ isReadOnly }) => !isReadOnly,
  "read-only": ({ isReadOnly }) => isReadOnly,
  "primary": ({ isStandby }) => !isStandby,
  "standby": ({ isStandby }) => isStandby,
  "prefer-standby": ({ isStandby }) => isStandby,
};

/** How long a choice holds. After a failover, connections are made anew and a host is chosen again. */
const choiceMs = 1_000;

/** Where to connect, and whether to encrypt. */
export interface Choice {
  /** Position in the URL's hosts. */
  position: number;
  mode: TlsMode;
}

/**
 * Returns a function that resolves to the host to connect to.
 *
 * Only `target_session_attrs` and `sslmode=allow` ask the hosts: both are decided by what a server answers.
 *
 * @param readState asks one host for its state
 */
export function createHostChooser(
  url: DatabaseUrl,
  readState: (url: DatabaseUrl) => Promise<ServerState>,
): () => Promise<Choice> {
  const { hosts, sessionAttributes, tls } = url;
  // libpq: `allow` encrypts only if the server refuses a plain connection.
  const modes: TlsMode[] = tls.mode === "allow" ? ["disable", "require"] : [tls.mode];
  let latest: { at: number; choice: Promise<Choice> } | undefined;

  async function askHost(position: number): Promise<Choice & { state: ServerState }> {
    let failed: unknown;
    for (const mode of modes) {
      const alone = {
        ...url,
        hosts: [hosts[position]!],
        sessionAttributes: "any" as const,
        tls: { ...tls, mode },
      };
      try {
        return { position, mode, state: await readState(alone) };
      } catch (error) {
        failed = error;
        if ((error as { code?: string }).code !== "28000") break;
      }
    }
    throw failed;
  }

  async function choose(): Promise<Choice> {
    let failed: unknown;
    let reached: Choice | undefined;
    for (const position of hosts.keys()) {
      try {
        const { state, ...choice } = await askHost(position);
        if (accepts[sessionAttributes](state)) return choice;
        reached ??= choice;
      } catch (error) {
        failed ??= error;
      }
    }
    if (reached === undefined) throw failed;
    if (sessionAttributes === "prefer-standby") return reached;
    throw Object.assign(new Error(`no host is ${sessionAttributes}`), { code: "SESSION_ATTRIBUTES" });
  }

  return async () => {
    if (sessionAttributes === "any" && modes.length === 1) return { position: 0, mode: tls.mode };
    if (latest === undefined || performance.now() - latest.at > choiceMs) {
      latest = { at: performance.now(), choice: choose() };
      latest.choice.catch(() => {});
    }
    return await latest.choice;
  };
}
