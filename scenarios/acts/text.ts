/** Bytes as a transcript shows them. */

/** Bytes that are no text show as dots. */
export function printable(bytes: Uint8Array): string {
  const isText = (byte: number) => byte >= 0x20 && byte < 0x7f;
  return [...bytes].map((byte) => (isText(byte) ? String.fromCharCode(byte) : '.')).join('');
}
