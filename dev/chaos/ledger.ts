/** What the played image API saw, by cell: which POSTs came, which jobs they made. */
import type { ImagePost } from "../servers/image_api.ts";

/** Equal for all POSTs of one cell, and for its row: every cell of a run has prompts of its own. */
export function cellKey(prompts: string): string {
  return JSON.stringify(JSON.parse(prompts));
}

/** POSTs by the key of their cell, in the order of coming. */
export function groupPosts(posts: ImagePost[]): Map<string, ImagePost[]> {
  const groups = new Map<string, ImagePost[]>();
  for (const post of posts) {
    const key = JSON.stringify((JSON.parse(post.body) as { rawPrompt: unknown }).rawPrompt);
    const group = groups.get(key);
    if (group) group.push(post);
    else groups.set(key, [post]);
  }
  return groups;
}
