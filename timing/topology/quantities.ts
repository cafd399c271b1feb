/** Rates, times and fractions as people write them in topology files: `37.5GB/s`, `100Gb/s`, `1.2us`, `98%`. */

/** What a parameter may be. */
export type Quantity = 'rate' | 'time' | 'fraction';

/** To bytes a second. A small b is a bit; Ki, Mi, Gi are powers of 1024. */
const RATE_UNITS: Readonly<Record<string, number>> = {
  'B/s': 1,
  'kB/s': 1e3,
  'MB/s': 1e6,
  'GB/s': 1e9,
  'TB/s': 1e12,
  'KiB/s': 2 ** 10,
  'MiB/s': 2 ** 20,
  'GiB/s': 2 ** 30,
  'Mb/s': 1e6 / 8,
  'Gb/s': 1e9 / 8,
  'Tb/s': 1e12 / 8,
};

/** To seconds, as divisors: 700 / 1e9 is the double nearest to 700 ns, 700 * 1e-9 is not. */
const TIME_DIVISORS: Readonly<Record<string, number>> = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };

export interface QuantityValue {
  readonly quantity: Quantity;
  /** Bytes a second, seconds, or a plain number. */
  readonly value: number;
}

const NUMBER_AND_UNIT = /^(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*([A-Za-z%][A-Za-z/]*)?$/;

/** `undefined` for what is no quantity. */
export function parseQuantity(text: string): QuantityValue | undefined {
  const match = NUMBER_AND_UNIT.exec(text.trim());
  if (match === null) return undefined;
  const number = Number(match[1]);
  if (!Number.isFinite(number)) return undefined;
  const unit = match[2];
  if (unit === undefined) return { quantity: 'fraction', value: number };
  if (unit === '%') return { quantity: 'fraction', value: number / 100 };
  const rate = own(RATE_UNITS, unit);
  if (rate !== undefined) return { quantity: 'rate', value: number * rate };
  const divisor = own(TIME_DIVISORS, unit);
  if (divisor !== undefined) return { quantity: 'time', value: number / divisor };
  return undefined;
}

/** How a quantity is written, for messages. */
export const QUANTITY_FORMS: Readonly<Record<Quantity, string>> = {
  rate: 'a rate such as 37.5GB/s or 100Gb/s',
  time: 'a time such as 700ns or 1.5us',
  fraction: 'a number such as 0.98 or 98%',
};

/** `262.5 GB/s`: four significant digits, units of 1000. */
export function formatRate(bytesPerSecond: number): string {
  return scaled(bytesPerSecond, [
    [1e12, 'TB/s'],
    [1e9, 'GB/s'],
    [1e6, 'MB/s'],
    [1e3, 'kB/s'],
    [1, 'B/s'],
  ]);
}

/** `1.5 us`: four significant digits. */
export function formatTime(seconds: number): string {
  return scaled(seconds, [
    [1, 's'],
    [1e-3, 'ms'],
    [1e-6, 'us'],
    [1e-9, 'ns'],
  ]);
}

function scaled(value: number, units: readonly (readonly [number, string])[]): string {
  // A little less than a unit is shown as that unit: 999.99995 GB/s is 1 TB/s.
  const unit = units.find(([size]) => value >= size * 0.99995) ?? units.at(-1);
  if (unit === undefined || value === 0) return `0 ${unit?.[1] ?? ''}`.trim();
  return `${Number((value / unit[0]).toPrecision(4))} ${unit[1]}`;
}

function own(table: Readonly<Record<string, number>>, key: string): number | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
