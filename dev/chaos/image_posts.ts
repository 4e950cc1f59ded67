/** The POSTs that the fake image API received, grouped by cell. */
import type { ImagePost } from "../servers/image_api.ts";

/** Returns a key from a cell's prompts, which are unique in a run. The row and all POSTs of a cell share it. */
export function cellKey(prompts: string): string {
  return JSON.stringify(JSON.parse(prompts));
}

/** Groups POSTs by the key of their cell, in the order of arrival. */
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
