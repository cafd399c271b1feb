import { describe, expect, it } from 'vitest';
import { withExplicitOrder } from '../../../collectives/explicit-order.ts';
import { mscclDocument } from '../../../collectives/msccl/from-programs.ts';
import { readMscclXml } from '../../../collectives/msccl/read.ts';
import { writeMscclXml } from '../../../collectives/msccl/write.ts';
import type { Program, Step } from '../../../collectives/program.ts';
import { verify } from '../../../collectives/verify.ts';
import { algoXml } from './support.ts';

const input = (chunk: number) => ({ buffer: 'input', chunk }) as const;
const output = (chunk: number) => ({ buffer: 'output', chunk }) as const;
const SLOT = { kind: 'slot' } as const;

/** One channel per rank. */
function programs(chunks: number, steps: readonly (readonly Step[])[]): Program[] {
  return steps.map((own, rank) => ({
    collective: 'custom',
    algorithm: 'by hand',
    nranks: steps.length,
    chunks: 1,
    root: 0,
    scratch: [],
    custom: { input: chunks, output: chunks },
    rank,
    channels: [{ id: 0, lane: 0, steps: own }],
  }));
}

function reread(list: readonly Program[]) {
  const document = mscclDocument(list, { name: 'by hand', placements: ['outOfPlace'] });
  const schedule = readMscclXml(writeMscclXml(document));
  const options = { inPlace: false, equalChunks: true, order: 'program' } as const;
  return { document, schedule, findings: verify(schedule.programs, options).findings };
}

const take = (from: number, chunk: number): Step => {
  return { kind: 'recv', count: 1, recvFrom: from, dst: output(chunk), depends: [] };
};
const give = (to: number, chunk: number): Step => {
  return { kind: 'send', count: 1, sendTo: to, landing: SLOT, src: input(chunk), depends: [] };
};

describe('mscclDocument', () => {
  const pass = (to: number, chunk: number): Step => ({
    kind: 'recvReduceSend',
    count: 1,
    recvFrom: 0,
    sendTo: to,
    landing: { kind: 'place', place: output(chunk) },
    src: input(chunk),
    depends: [],
  });
  const FORK = programs(2, [
    [give(1, 0), give(1, 1), give(1, 0)],
    [pass(2, 0), pass(3, 1), pass(2, 1)],
    [take(1, 0), take(1, 1)],
    [take(1, 1)],
  ]);

  it('gives a thread block to the pair of peers with most steps, and parts the steps of others', () => {
    const { document, findings } = reread(FORK);
    expect(findings).toEqual([]);
    const blocks = document.gpus[1]?.threadBlocks.map(({ send, recv, steps }) => ({
      send,
      recv,
      types: steps.map(({ type }) => type),
    }));
    expect(blocks).toEqual([
      { send: 2, recv: 0, types: ['rrs', 'rrc', 'rrs'] },
      { send: 3, recv: -1, types: ['s'] },
    ]);
  });

  it('keeps what was passed on without being stored in scratch of its own, and waits for it', () => {
    const { document } = reread(FORK);
    expect(document.gpus[1]?.scratchChunks).toBe(1);
    expect(document.gpus[1]?.threadBlocks[0]?.steps[1]).toMatchObject({
      dstbuf: 's',
      dstoff: 0,
      hasdep: 1,
    });
    expect(document.gpus[1]?.threadBlocks[1]?.steps[0]).toMatchObject({
      srcbuf: 's',
      depid: 0,
      deps: 1,
    });
  });

  it('cuts steps of more chunks than readers take, at both ends alike', () => {
    const many = { count: 150, depends: [] };
    const { document, findings } = reread(
      programs(150, [
        [
          {
            kind: 'send',
            ...many,
            sendTo: 1,
            landing: { kind: 'place', place: output(0) },
            src: input(0),
          },
          { kind: 'copy', ...many, src: input(0), dst: output(0) },
        ],
        [{ kind: 'recv', ...many, recvFrom: 0, dst: output(0) }],
      ]),
    );
    expect(findings).toEqual([]);
    const counts = document.gpus.flatMap(({ threadBlocks }) =>
      threadBlocks.flatMap(({ steps }) =>
        steps.map(({ srcoff, dstoff, cnt }) => [srcoff, dstoff, cnt]),
      ),
    );
    const pieces = [
      [0, 0, 71],
      [71, 71, 71],
      [142, 142, 8],
    ];
    expect(counts).toEqual([...pieces, ...pieces, ...pieces]);
  });
});

describe('a file whose order comes about through messages', () => {
  it('can be run by whoever keeps explicit order alone, once that is added', () => {
    const xml = algoXml('nchunksperloop="1" coll="custom"', [
      {
        chunks: [1, 1, 0],
        blocks: [
          { send: 1, chan: 0, steps: ['s i 0 o 0'] },
          { recv: 1, chan: 1, steps: ['r o 0 i 0'] },
        ],
      },
      {
        chunks: [1, 1, 0],
        blocks: [
          { recv: 0, chan: 0, steps: ['r i 0 o 0'] },
          { send: 0, chan: 1, steps: ['s o 0 i 0 1 0 0'] },
        ],
      },
    ]);
    const { programs: read } = readMscclXml(xml);
    const options = { inPlace: false, equalChunks: true } as const;
    expect(verify(read, { ...options, order: 'messages' }).findings).toEqual([]);
    expect(verify(read, { ...options, order: 'program' }).findings).not.toEqual([]);
    const explicit = withExplicitOrder(read, { inPlace: false });
    expect(verify(explicit, { ...options, order: 'program' }).findings).toEqual([]);
  });
});
