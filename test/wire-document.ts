/** `docs/wire-protocol.md` and its tables. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { defined } from '../common/assert.ts';

export const text = readFileSync(new URL('../docs/wire-protocol.md', import.meta.url), 'utf8');

type Value = number | bigint | string | number[];

/** The section below a heading, to the next one. */
export function section(heading: string): string {
  const found = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  return defined(found, `a section ${heading}`);
}

/** Texts whose length another field gives; any other text reaches to the end. */
const LENGTH_FIELDS: Readonly<Record<string, string>> = {
  host: 'hostBytes',
  algorithm: 'nameBytes',
};

/** Reads `bytes` by the table of a section; the fields must follow each other without a gap. */
export function readByTable(heading: string, bytes: Uint8Array): Record<string, Value> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Record<string, Value> = {};
  let end = 0;
  const rows = section(heading).matchAll(/^\| (\d+)(?: \+ `(\w+)`)? \| ([^|]+) \| `(\w+)` \|/gm);
  for (const [, fixed, variable, type = '', name = ''] of rows) {
    const offset = Number(fixed) + (variable === undefined ? 0 : Number(fields[variable]));
    expect(offset, `${heading}: offset of ${name}`).toBe(end);
    const given = LENGTH_FIELDS[name];
    const length = given === undefined ? bytes.byteLength - offset : Number(fields[given]);
    const [value, size] = readField(view, type, offset, length);
    fields[name] = value;
    end = offset + size;
  }
  expect(end, `${heading}: length`).toBe(bytes.byteLength);
  return fields;
}

/** The value of a field and how many bytes it has; `length` is that of a field without a size. */
function readField(view: DataView, type: string, offset: number, length: number): [Value, number] {
  switch (type) {
    case 'u8':
      return [view.getUint8(offset), 1];
    case 'u16':
      return [view.getUint16(offset, true), 2];
    case 'u16be':
      return [view.getUint16(offset), 2];
    case 'u32':
      return [view.getUint32(offset, true), 4];
    case 'u64':
      return [view.getBigUint64(offset, true), 8];
    case 'f64':
      return [view.getFloat64(offset, true), 8];
    case 'UTF-8':
      return [new TextDecoder().decode(new Uint8Array(view.buffer, offset, length)), length];
    case 'bytes':
      return [[...new Uint8Array(view.buffer, offset, length)], length];
    default:
      throw new Error(`Expected a type of the document but found ${type}`);
  }
}
