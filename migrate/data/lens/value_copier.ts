/** Reads numbers and times from JSON text, plain or with the type tags of canonical Extended JSON. See JsonCopier. */
import { ascii, code, JsonCopier } from "./json_copier.ts";

const quote = code('"');
const openBrace = code("{");
const period = code(".");
const minus = code("-");
const zero = code("0");
const nine = code("9");

const tags = {
  int: ascii('{"$numberInt":"'),
  long: ascii('{"$numberLong":"'),
  double: ascii('{"$numberDouble":"'),
  date: ascii('{"$date":'),
  end: ascii('"}'),
  dateEnd: ascii('"}}'),
  zuluEnd: ascii('Z"}'),
};
const utc = ascii("+00");

/** So few digits that the shortest form of a number is the written one. */
const digitsMax = 15;
const int32Digits = 10;
const fractionMax = 4;
const daysInMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const dayMs = 86_400_000;
/** The end of the year 9999, in milliseconds since 1970. */
const timeEnd = 253_402_300_800_000;
const cachedDaysMax = 10_000;

const isInt32 = (value: number) => value >= -0x80000000 && value <= 0x7fffffff;
const isLeapYear = (year: number) => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

export class ValueCopier extends JsonCopier {
  /** The last number without its fraction. */
  protected value = 0;
  #digits = 0;
  /** Digits after the point of the last number. */
  protected fractionDigits = 0;
  /** Dates by day since 1970, with a space after each. */
  readonly #days = new Map<number, Uint8Array>();

  /** Copies an integer without leading zeros. */
  #digitsOf(max: number): boolean {
    const { input, output } = this;
    let { at, outAt } = this;
    const isNegative = input[at] === minus;
    if (isNegative) output[outAt++] = input[at++]!;
    const first = at;
    let value = 0;
    for (let byte = input[at]!; byte >= zero && byte <= nine; byte = input[++at]!) {
      value = value * 10 + byte - zero;
      output[outAt++] = byte;
    }
    this.#digits = at - first;
    if (this.#digits === 0 || this.#digits > max) return false;
    if (input[first] === zero && (this.#digits > 1 || isNegative)) return false;
    this.value = isNegative ? -value : value;
    this.at = at;
    this.outAt = outAt;
    this.fractionDigits = 0;
    return true;
  }

  /** Copies a fraction without superfluous zeros. */
  #fraction(): boolean {
    const { input } = this;
    const from = this.at++;
    let byte = input[this.at]!;
    while (byte >= zero && byte <= nine) byte = input[++this.at]!;
    const count = this.at - from - 1;
    this.fractionDigits = count;
    this.writeInput(from, this.at);
    const isZero = input[this.at - 1] === zero;
    if (count === 0 || count > fractionMax) return false;
    return isZero ? count === 1 : this.#digits + count <= digitsMax;
  }

  /** Copies an int32, plain or tagged. */
  protected int32(): boolean {
    const isTagged = this.input[this.at] === openBrace;
    if (isTagged && !this.skip(tags.int)) return false;
    return this.#digitsOf(int32Digits) && isInt32(this.value) && (!isTagged || this.skip(tags.end));
  }

  /** Copies a number of any type, plain or tagged. Its type follows from the plain number. */
  protected number(): boolean {
    if (this.input[this.at] !== openBrace) {
      return this.#digitsOf(digitsMax) && (this.input[this.at] !== period || this.#fraction());
    }
    if (this.skip(tags.long)) {
      return this.#digitsOf(digitsMax) && !isInt32(this.value) && this.skip(tags.end);
    }
    if (!this.skip(tags.double)) return this.int32();
    return this.#digitsOf(digitsMax) && this.input[this.at] === period && this.#fraction() &&
      this.skip(tags.end);
  }

  /** Copies a date, given as ISO text or in milliseconds, as PostgreSQL prints it. */
  protected time(): boolean {
    if (!this.skip(tags.date)) return false;
    return this.input[this.at] === quote ? this.#isoTime() : this.#msTime();
  }

  #twoDigits(at: number): number {
    const tens = this.input[at]! - zero;
    const ones = this.input[at + 1]! - zero;
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : NaN;
  }

  #isoTime(): boolean {
    const { input, output } = this;
    const from = this.at + 1;
    const year = this.#twoDigits(from) * 100 + this.#twoDigits(from + 2);
    const month = this.#twoDigits(from + 5);
    const day = this.#twoDigits(from + 8);
    if (!(year > 0 && day > 0 && day <= daysInMonth[month - 1]!)) return false;
    if (month === 2 && day === 29 && !isLeapYear(year)) return false;
    const separators = input[from + 4] === minus && input[from + 7] === minus &&
      input[from + 10] === code("T") &&
      input[from + 13] === code(":") && input[from + 16] === code(":");
    const isClock = this.#twoDigits(from + 11) < 24 && this.#twoDigits(from + 14) < 60 &&
      this.#twoDigits(from + 17) < 60;
    if (!separators || !isClock) return false;
    this.writeInput(from, from + 19);
    output[this.outAt - 9] = code(" ");
    this.at = from + 19;
    if (input[this.at] === period && !this.#milliseconds()) return false;
    this.write(utc);
    return this.skip(tags.zuluEnd);
  }

  /** Copies a point and 1 to 3 digits, without zeros at the end. */
  #milliseconds(): boolean {
    const { input } = this;
    const from = this.at++;
    while (input[this.at]! >= zero && input[this.at]! <= nine) this.at++;
    if (this.at === from + 1 || this.at > from + 4) return false;
    let end = this.at;
    while (input[end - 1] === zero) end--;
    if (end > from + 1) this.writeInput(from, end);
    return true;
  }

  #msTime(): boolean {
    const start = this.outAt;
    if (!this.skip(tags.long) || !this.#digitsOf(digitsMax) || !this.skip(tags.dateEnd)) return false;
    const ms = this.value;
    if (ms < 0 || ms >= timeEnd) return false;
    this.outAt = start;
    const day = Math.floor(ms / dayMs);
    const rest = ms - day * dayMs;
    this.write(this.#dayText(day));
    this.#padded(Math.trunc(rest / 3_600_000), 2, code(":"));
    this.#padded(Math.trunc(rest / 60_000) % 60, 2, code(":"));
    this.#padded(Math.trunc(rest / 1000) % 60, 2, period);
    this.#padded(rest % 1000, 3, 0);
    this.outAt--;
    while (this.output[this.outAt - 1] === zero) this.outAt--;
    if (this.output[this.outAt - 1] === period) this.outAt--;
    this.write(utc);
    return true;
  }

  /** Writes a number with leading zeros and a separator. */
  #padded(value: number, width: number, separator: number): void {
    for (let i = this.outAt + width - 1; i >= this.outAt; i--) {
      this.output[i] = zero + value % 10;
      value = Math.trunc(value / 10);
    }
    this.outAt += width;
    this.output[this.outAt++] = separator;
  }

  #dayText(day: number): Uint8Array {
    let text = this.#days.get(day);
    if (!text) {
      if (this.#days.size >= cachedDaysMax) this.#days.clear();
      text = ascii(`${new Date(day * dayMs).toISOString().slice(0, 10)} `);
      this.#days.set(day, text);
    }
    return text;
  }
}
