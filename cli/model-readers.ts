/** How the numbers of the cost model are written on the command line. */
import type { Reader } from './readers.ts';

/** How many make a second. */
const PER_SECOND: Readonly<Record<string, number>> = { ns: 1e9, us: 1e6, ms: 1e3, s: 1 };
/** Decimal and binary, as data sheets and file systems have them. */
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** Seconds, from `5us`, `0.1ns`, `0s`; the unit must be there. */
export const shortTime: Reader<number> = {
  expected: 'a time such as 5us, 0.1ns or 2ms',
  read(text) {
    const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s)$/.exec(text);
    return match === null ? undefined : Number(match[1]) / (PER_SECOND[match[2] ?? ''] ?? 1);
  },
};

/** Bytes a second, from `10GB/s`, `37.5GB/s`, `1GiB/s`; more than 0. */
export const rate: Reader<number> = {
  expected: 'a rate such as 10GB/s, 500MB/s or 1GiB/s',
  read(text) {
    const match = /^(\d+(?:\.\d+)?)([kKMGT]?i?B)\/s$/.exec(text);
    const unit = BYTES[match?.[2] ?? ''];
    const value = match === null || unit === undefined ? 0 : Number(match[1]) * unit;
    return value > 0 ? value : undefined;
  },
};

/** `1.5e-5` -> `15 us`; four digits that count. */
export function timeText(seconds: number): string {
  if (seconds === 0) return '0 us';
  const units: readonly (readonly [string, number])[] = [
    ['s', 1],
    ['ms', 1e-3],
    ['us', 1e-6],
    ['ns', 0],
  ];
  const [unit] = units.find(([, size]) => seconds >= size) ?? ['ns'];
  return `${Number((seconds * (PER_SECOND[unit] ?? 1)).toPrecision(4))} ${unit}`;
}
