/** The constant parts of a subtask in the form that the fast path accepts, as bytes. */
import { ascii, characterTable } from "./json_copier.ts";

const wordCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
export const wordTable = characterTable(`${wordCharacters}-`);
export const wordMax = 40;
export const ratioTable = characterTable(`${wordCharacters}:.`);
export const ratioMax = 20;

export const quote = ascii('"');
export const comma = ascii(",");
export const openBrace = ascii("{");
export const closeBrace = ascii("}");
export const openBracket = ascii("[");
export const closeBracket = ascii("]");
export const nullWord = ascii("null");
export const sqlNull = ascii("\\N");
export const nullElement = ascii("NULL");
export const tab = ascii("\t");
export const lineEnd = ascii("\n");
export const emptyList = ascii("[]");

export const keys = {
  objectId: ascii('{"_id":{"$oid":"'),
  id: ascii('"},"id":"'),
  parent: ascii('","parent_task_id":"'),
  indices: ascii('","variable_indices":'),
  types: ascii(',"variable_types_map":'),
  reverse: ascii(',"type_to_variable":'),
  status: ascii(',"status":"'),
  result: ascii(',"result":'),
  error: ascii(',"error":'),
  retries: ascii(',"retry_count":'),
  prompts: ascii(',"prompts":'),
  ratio: ascii(',"ratio":"'),
  seed: ascii('","seed":'),
  polish: ascii(',"use_polish":'),
  created: ascii(',"created_at":'),
  updated: ascii(',"updated_at":'),
};
export const slotKeys = ["v0", "v1", "v2", "v3", "v4", "v5"].map((name) => ascii(`"${name}":`));
export const resultKeys = {
  url: ascii('{"url":'),
  width: ascii(',"width":'),
  height: ascii(',"height":'),
  seed: ascii(',"seed":'),
  created: ascii(',"created_at":'),
};
export const promptKeys = {
  type: ascii('{"type":"'),
  free: ascii('freetext","weight":'),
  value: ascii(',"value":'),
  uuid: ascii('","uuid":'),
  name: ascii(',"name":'),
  weight: ascii(',"weight":'),
  image: ascii(',"img_url":'),
  middle: ascii(',"domain":"","parent":"","label":null,"sort_index":'),
  last: ascii(',"status":"IN_USE","polymorphi_values":{},"sub_type":null}'),
};
export const states = ["completed", "failed", "cancelled", "pending", "processing"].map((word) => ({
  word: ascii(word),
  quoted: ascii(`${word}"`),
  isTerminal: word !== "pending" && word !== "processing",
}));
export const yes = { word: ascii("true"), flag: ascii("t") };
export const no = { word: ascii("false"), flag: ascii("f") };
export const queues = { lumina: ascii("lumina"), standard: ascii("standard") };
export const generation = ascii("S4");
export const extraKeys = {
  indices: ascii('"variable_indices":'),
  seed: ascii('"seed":'),
  pointZero: ascii(".0"),
};
