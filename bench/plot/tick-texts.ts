/** Values as the ticks of an axis have them. */
import { round } from './marks.ts';

export function durationText(microseconds: number): string {
  if (microseconds >= 1e6) return `${round(microseconds / 1e6)} s`;
  if (microseconds >= 1e3) return `${round(microseconds / 1e3)} ms`;
  return `${round(microseconds)} us`;
}

export function rateText(gigabytesPerSecond: number): string {
  if (gigabytesPerSecond >= 1) return `${round(gigabytesPerSecond)} GB/s`;
  if (gigabytesPerSecond >= 1e-3) return `${round(gigabytesPerSecond * 1e3)} MB/s`;
  return `${round(gigabytesPerSecond * 1e6)} kB/s`;
}
