import { describe, expect, it } from 'vitest';
import { buildSchedule } from '../../../collectives/table.ts';
import { chakraFiles } from '../../../timing/export/chakra.ts';
import { exportCases, MEMORY_BYTES_PER_SECOND, trafficOf } from './cases.ts';
import { type ReadOperation, replay } from './replay.ts';

/** A field of a message on the wire: a number, or bytes. protobuf.dev/programming-guides/encoding. */
interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** Enough of protobuf for these files: varints and what has a length. */
class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new Error('The file is cut off');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  delimited(): Uint8Array {
    const length = this.varint();
    const part = this.#bytes.subarray(this.#at, this.#at + length);
    if (part.length !== length) throw new Error('The file is cut off');
    this.#at += length;
    return part;
  }
}

function fieldsOf(message: Uint8Array): Field[] {
  const reader = new WireReader(message);
  const fields: Field[] = [];
  while (!reader.isAtEnd) {
    const key = reader.varint();
    const wireType = key % 8;
    if (wireType !== 0 && wireType !== 2) throw new Error(`Wire type ${wireType}`);
    const value = wireType === 0 ? reader.varint() : reader.delimited();
    fields.push({ number: Math.floor(key / 8), value });
  }
  return fields;
}

const textOf = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array);
const only = (fields: readonly Field[], number: number): Field['value'] | undefined =>
  fields.find((field) => field.number === number)?.value;

/** Attributes by name, with the number of the field that holds the value. */
function attributesOf(fields: readonly Field[]): Record<string, readonly [number, unknown]> {
  const attributes = fields.filter(({ number }) => number === 10);
  return Object.fromEntries(
    attributes.map(({ value }) => {
      const [name, held] = fieldsOf(value as Uint8Array);
      return [textOf(name?.value), [held?.number ?? 0, held?.value ?? 0]];
    }),
  );
}

/** A repeated number, packed as proto3 does. */
function numbersOf(packed: Field['value'] | undefined): number[] {
  if (packed === undefined) return [];
  const reader = new WireReader(packed as Uint8Array);
  const numbers: number[] = [];
  while (!reader.isAtEnd) numbers.push(reader.varint());
  return numbers;
}

const [COMP, SEND, RECV] = [4, 5, 6];
/** Fields of AttributeProto. */
const [INT32, INT64, UINT64, BOOL] = [7, 9, 13, 27];

function readNode(rank: number, message: Uint8Array): ReadOperation {
  const fields = fieldsOf(message);
  const attributes = attributesOf(fields);
  // A value of 0 is not on the wire in proto3, but a member of a oneof is.
  const label = String(only(fields, 1) ?? 0);
  const needs = numbersOf(only(fields, 5)).map(String);
  const type = only(fields, 3);
  expect(attributes['is_cpu_op']).toEqual([BOOL, 0]);
  if (type === COMP) {
    expect(attributes['num_ops']?.[0]).toBe(INT64);
    expect(attributes['tensor_size']?.[0]).toBe(UINT64);
    return { label, kind: 'calc', bytes: Number(attributes['tensor_size']?.[1]), needs };
  }
  const kind = type === SEND ? 'send' : 'recv';
  expect([SEND, RECV]).toContain(type);
  const [source, destination, tag] = ['comm_src', 'comm_dst', 'comm_tag'].map((name) => {
    expect(attributes[name]?.[0]).toBe(INT32);
    return Number(attributes[name]?.[1]);
  });
  expect(attributes['comm_size']?.[0]).toBe(INT64);
  expect(kind === 'send' ? source : destination).toBe(rank);
  const peer = Number(kind === 'send' ? destination : source);
  return {
    label,
    kind,
    bytes: Number(attributes['comm_size']?.[1]),
    peer,
    tag: Number(tag),
    needs,
  };
}

function readChakra(rank: number, bytes: Uint8Array): ReadOperation[] {
  const reader = new WireReader(bytes);
  const metadata = fieldsOf(reader.delimited());
  expect(textOf(only(metadata, 1))).toMatch(/^\d+\.\d+\.\d+$/);
  const operations: ReadOperation[] = [];
  while (!reader.isAtEnd) operations.push(readNode(rank, reader.delimited()));
  return operations;
}

describe('Chakra execution traces', () => {
  it.each(exportCases())('of $name can be carried out, every message taken once', (one) => {
    const files = [...chakraFiles(one.request, one.name)];
    const ranks = files.map(({ rank, bytes }, index) => {
      expect(rank).toBe(index);
      return readChakra(rank, bytes);
    });
    expect(replay(ranks).traffic).toEqual(trafficOf(one.request));
  });

  it('says what is computed, and for how long', () => {
    const topology = { boxes: 2, ranksPerBox: 1 };
    const work = buildSchedule({ collective: 'allReduce', algorithm: 'ring', topology });
    const request = {
      ...{ work, counts: 2000, bytesPerElement: 4 },
      memoryBytesPerSecond: MEMORY_BYTES_PER_SECOND,
    };
    const [file] = [...chakraFiles(request, 'ring')];
    const reader = new WireReader(file?.bytes ?? new Uint8Array());
    const metadata = fieldsOf(reader.delimited());
    expect(metadata.map(({ number }) => number)).toEqual([1, 2, 2]);
    const nodes: Field[][] = [];
    while (!reader.isAtEnd) nodes.push(fieldsOf(reader.delimited()));
    const reduction = nodes.find((fields) => only(fields, 3) === COMP) ?? [];
    // 1000 elements of 4 bytes, three times over the memory at 3 GB/s.
    expect(only(reduction, 7)).toBe(4);
    expect(attributesOf(reduction)).toMatchObject({
      num_ops: [INT64, 1000],
      tensor_size: [UINT64, 4000],
    });
    expect(textOf(only(reduction, 2))).toBe('0.1 reduce');
  });
});
