/** UUIDs, the ids of tasks, subtasks and all v2 resources. */

const lowerCase = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const anyCase = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reports whether `text` is a UUID as PostgreSQL writes it: lower case with hyphens. */
export const isUuid = (text: string): boolean => lowerCase.test(text);

/** Reports whether `text` is a UUID with hyphens in lower or upper case, as a person may type it. */
export const isUuidOfAnyCase = (text: string): boolean => anyCase.test(text);
