/** Commits and their temporary checkouts. */
import { AppError } from "../../errors.ts";

/** Runs git. @returns its output @throws AppError usage with its message */
async function git(root: URL, what: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("git", {
    args: ["-C", root.pathname, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new AppError("usage", `${what}: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout).trim();
}

/** Returns the hash of a commit. @throws AppError usage for a name that is no commit */
export async function findCommit(root: URL, name: string): Promise<string> {
  // A name that starts with a dash would be an option of git.
  if (name.startsWith("-")) {
    throw new AppError("usage", `finding commit '${name}': expected a name or a hash`);
  }
  return await git(root, `finding commit '${name}'`, "rev-parse", "--verify", "--quiet", `${name}^{commit}`)
    .catch((cause) => {
      throw new AppError("usage", `finding commit '${name}': the repository has no such commit`, { cause });
    });
}

/** Reports whether the working tree differs from its commit. */
export const isDirty = async (root: URL): Promise<boolean> =>
  await git(root, "reading the working tree", "status", "--porcelain") !== "";

/** A checkout. Disposal removes it. */
export interface Checkout extends AsyncDisposable {
  root: URL;
}

/** Checks a commit out into a temporary folder, beside the working tree. */
export async function checkOut(root: URL, commit: string): Promise<Checkout> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-guard-" });
  // The account of the embedded PostgreSQL reads its program from there.
  await Deno.chmod(folder, 0o755);
  const path = `${folder}/checkout`;
  const remove = async () => {
    await Deno.remove(folder, { recursive: true });
    await git(root, "removing a checkout", "worktree", "prune");
  };
  try {
    await git(root, `checking out ${commit}`, "worktree", "add", "--quiet", "--detach", path, commit);
  } catch (error) {
    await remove();
    throw error;
  }
  return { root: new URL(`file://${path}/`), [Symbol.asyncDispose]: remove };
}
