/** Byte counts for people, and the sizes people type. Sizes are binary (K = 1024) as in nccl-tests. */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

const UNITS: Readonly<Record<string, number>> = { '': 1, K: KiB, M: MiB, G: GiB };

/** Reads `8`, `64K`, `16M`, `1G` (any case); `undefined` if the text is not such a size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)([KMG]?)B?$/i.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (UNITS[(match[2] ?? '').toUpperCase()] ?? 1);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `1048576` -> `1 MiB`; exact for whole units, else one decimal. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(1))} ${unit}`;
  }
  return `${bytes} B`;
}

/** Total length of several views. */
export function totalLength(views: readonly Uint8Array[]): number {
  let total = 0;
  for (const view of views) total += view.byteLength;
  return total;
}
