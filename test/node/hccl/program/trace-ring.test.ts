import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  TRACE_RING_BYTES,
  type TraceRecord,
  TraceRing,
} from '../../../../node/hccl/program/trace-ring.ts';

const WINDOW = { firstCall: 2, lastCall: Number.MAX_SAFE_INTEGER, every: 3 };
const OFFSET = 4096;

/** Both ends, as the two threads have them. */
function ends(): { writer: TraceRing; reader: TraceRing } {
  const memory = new SharedArrayBuffer(OFFSET + TRACE_RING_BYTES + 64);
  new Uint8Array(memory).fill(0xa5);
  const reader = new TraceRing(memory, OFFSET);
  reader.prepare(WINDOW);
  return { writer: new TraceRing(memory, OFFSET), reader };
}

const read = (call: number): TraceRecord => ({
  ...{ kind: 'read', call, beginMs: 0.5, endMs: 1, cell: 3, peer: 2, bytes: 64 },
  isReduced: true,
});
const ended = (call: number, name: string): TraceRecord => ({
  ...{ kind: 'call', call, beginMs: 0, endMs: 9, bytes: 128, name },
});

function takeAll(ring: TraceRing): TraceRecord[] {
  const records: TraceRecord[] = [];
  for (let next = ring.take(); next !== undefined; next = ring.take()) records.push(next);
  return records;
}

describe('The notes of a rank on shared memory', () => {
  it('are taken as they were written, in order', () => {
    const { writer, reader } = ends();
    const records: TraceRecord[] = [
      read(1),
      { kind: 'wait', call: 1, beginMs: 1, endMs: 2, peer: 1 },
      ended(1, 'allReduce hierarchical(direct,ring)'),
      read(2),
      ended(2, 'broadcast direct'),
    ];
    for (const record of records) writer.write(record);
    expect(takeAll(reader)).toEqual(records);
    expect(reader.take()).toBeUndefined();
    expect(reader.dropped).toBe(0);
  });

  it('say which calls are wanted', () => {
    expect(ends().writer.window).toEqual(WINDOW);
  });

  it('go on where room has become free, and count what found none', () => {
    const { writer, reader } = ends();
    const room = TRACE_RING_BYTES / 64 - 1;
    for (let call = 1; call <= room + 5; call++) writer.write(read(call));
    expect(reader.dropped).toBe(5);
    expect(takeAll(reader).map(({ call }) => call)).toEqual(
      Array.from({ length: room }, (_, index) => index + 1),
    );
    writer.write(ended(9_999, 'reduce ring'));
    expect(takeAll(reader)).toEqual([ended(9_999, 'reduce ring')]);
  });

  it('are the same however often they are taken', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (takes) => {
        const { writer, reader } = ends();
        const taken: TraceRecord[] = [];
        for (const [call, isTaken] of takes.entries()) {
          writer.write(call % 3 === 0 ? ended(call, `allGather a${call}`) : read(call));
          if (isTaken) taken.push(...takeAll(reader));
        }
        taken.push(...takeAll(reader));
        expect(taken.map(({ call }) => call)).toEqual(takes.map((_, call) => call));
      }),
      { numRuns: 30 },
    );
  });

  it('stay in their place', () => {
    const memory = new SharedArrayBuffer(OFFSET + TRACE_RING_BYTES + 64);
    const ring = new TraceRing(memory, OFFSET);
    ring.prepare(WINDOW);
    for (let call = 1; call < 20_000; call++) ring.write(read(call));
    const bytes = new Uint8Array(memory);
    expect(bytes.subarray(0, OFFSET).some((byte) => byte !== 0)).toBe(false);
    expect(bytes.subarray(OFFSET + TRACE_RING_BYTES).some((byte) => byte !== 0)).toBe(false);
  });
});
