/**
 * Packet sequence numbers: 32 bit, they wrap. Two numbers of one queue pair are never further apart
 * than 2^31, so the sign of their difference tells which is older (serial numbers, RFC 1982).
 */

export function psnAdd(psn: number, count: number): number {
  return (psn + count) >>> 0;
}

/** How many frames `psn` is after `other`; negative if before. */
export function psnDistance(psn: number, other: number): number {
  return (psn - other) | 0;
}
