/** UUIDs as ids of tasks, subtasks and everything of v2. */

const lowerCase = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const anyCase = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether `text` is a UUID as PostgreSQL writes it: lower case with hyphens. */
export const isUuid = (text: string): boolean => lowerCase.test(text);

/** The same for a UUID that a person may have typed, in either case. */
export const isUuidOfAnyCase = (text: string): boolean => anyCase.test(text);
