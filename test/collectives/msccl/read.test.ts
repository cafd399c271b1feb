import { describe, expect, it } from 'vitest';
import { type MscclSchedule, readMscclXml } from '../../../collectives/msccl/read.ts';
import { writeMscclXml } from '../../../collectives/msccl/write.ts';
import { verify } from '../../../collectives/verify.ts';
import { algoXml, type GpuWords, nop } from './support.ts';

/** Findings of all placements that the file names. */
function findings({ programs, placements, equalChunks }: MscclSchedule): string[] {
  return placements.flatMap((placement) => {
    const options = { inPlace: placement === 'inPlace', equalChunks, order: 'messages' } as const;
    return verify(programs, options).findings.map(({ message }) => message);
  });
}

const each = (nranks: number, gpu: (rank: number) => GpuWords): GpuWords[] =>
  Array.from({ length: nranks }, (_, rank) => gpu(rank));

const others = (nranks: number, rank: number): number[] =>
  Array.from({ length: nranks }, (_, peer) => peer).filter((peer) => peer !== rank);

describe('readMscclXml', () => {
  it('takes a file without any attribute that only later readers need', () => {
    const xml = algoXml('nchunksperloop="1" coll="allgather" nchannels="1" ngpus="1"', [
      { chunks: [1, 1, 0], blocks: [{ steps: ['cpy i 0 o 0 1'] }] },
    ]).replaceAll(/ (?:depid|deps|hasdep)="[^"]*"/g, '');
    const schedule = readMscclXml(xml);
    expect(schedule).toMatchObject({ name: '', placements: ['outOfPlace'], equalChunks: false });
    expect(schedule.document.attributes).toEqual({
      nchunksperloop: 1,
      coll: 'allgather',
      nchannels: 1,
    });
    expect(findings(schedule)).toEqual([]);
  });

  it.each([
    ['', ['outOfPlace']],
    ['inplace="0"', ['outOfPlace']],
    ['inplace="1"', ['inPlace']],
    ['inplace="1" outofplace="0"', ['inPlace']],
    ['inplace="0" outofplace="1"', ['outOfPlace']],
    ['inplace="1" outofplace="1"', ['outOfPlace', 'inPlace']],
    ['inplace="0" outofplace="0"', ['outOfPlace']],
  ])('takes the attributes "%s" to mean %j', (attributes, placements) => {
    const xml = algoXml(`nchunksperloop="1" coll="allreduce" ${attributes}`, [
      { chunks: [1, 1, 0], blocks: [] },
    ]);
    expect(readMscclXml(xml).placements).toEqual(placements);
  });

  it('takes the buffers of a custom collective for two, whatever its placement is said to be', () => {
    const xml = algoXml(
      'nchunksperloop="1" coll="custom" inplace="1"',
      each(2, (rank) => ({
        chunks: [1, 1, 0],
        blocks: [
          { send: 1 - rank, steps: ['s i 0 o 0'] },
          { recv: 1 - rank, steps: ['r i 0 o 0'] },
        ],
      })),
    );
    expect(readMscclXml(xml).placements).toEqual(['outOfPlace']);
    expect(findings(readMscclXml(xml))).toEqual([]);
  });

  it('takes attributes in any order, single quotes, comments, a declaration and a byte order mark', () => {
    const xml = `\uFEFF<?xml version="1.0" encoding="UTF-8"?>
      <!-- by hand -->
      <algo coll='broadcast' ngpus='2' nchunksperloop='1' name='a &amp; &lt;b&gt; &#33;'
            nchannels='1' proto='LL128'>
        <gpu s_chunks='0' o_chunks='1' i_chunks='0' id='1'>
          <tb chan='0' recv='0' send='-1' id='0'>
            <step hasdep='0' deps='-1' depid='-1' cnt='1' dstoff='0' dstbuf='o' type='r' s='0'></step>
          </tb>
        </gpu><!-- the root comes second -->
        <gpu id='0' i_chunks='1' o_chunks='1' s_chunks='0'>
          <tb id='1' send='-1' recv='-1' chan='-1'><step s='0' type='cpy' srcbuf='i' srcoff='0'
            dstbuf='o' dstoff='0' cnt='1'/></tb>
          <tb id='0' send='1' recv='-1' chan='0'><step s='0' type='s' srcbuf='i' srcoff='0' cnt='1'/></tb>
        </gpu>
      </algo>`;
    const schedule = readMscclXml(xml);
    expect(schedule.name).toBe('a & <b> !');
    expect(schedule.programs[0]).toMatchObject({ root: 0, collective: 'broadcast' });
    expect(findings(schedule)).toEqual([]);
  });

  it('keeps every attribute, known or not, for a file that is written again', () => {
    const xml = algoXml(
      'name="all" proto="LL" nchannels="3" nchunksperloop="2" ngpus="2" coll="allreduce" inplace="1" ' +
        'outofplace="0" minBytes="1" maxBytes="18446744073709551615" redop="sum" nthreadblocks="4" ' +
        'maxcount="7" root="0" author="&quot;a&quot;&#10;b" constructor="y"',
      each(2, (rank) => ({
        chunks: [2, 2, 3],
        copies: [[0, 1]],
        blocks: [
          { send: 1 - rank, recv: 1 - rank, chan: 2, steps: ['s i 0 s 2 1', 'rrc i 0 o 0 1'] },
          { steps: [nop(0, 1), nop(0, 0)] },
        ],
      })),
    ).replaceAll('hasdep="0"', 'hasdep="1" note="kept"');
    const { document } = readMscclXml(xml);
    expect(document.attributes.maxBytes).toBe(2n ** 64n - 1n);
    expect(document.attributes.extra?.['author']).toBe('"a"\nb');
    const written = writeMscclXml(document);
    expect(readMscclXml(written).document).toEqual(document);
    expect(writeMscclXml(readMscclXml(written).document)).toBe(written);
    expect(written).toContain('redop="sum" nthreadblocks="4" maxcount="7"');
    expect(written.match(/note="kept"/g)).toHaveLength(8);
  });

  it('does the copies of a gpu before anything else', () => {
    const xml = algoXml(
      'nchunksperloop="4" coll="alltoall"',
      each(4, (rank) => ({
        chunks: [4, 4, 0],
        copies: [[rank, rank]],
        blocks: others(4, rank).map((peer) => ({
          send: peer,
          recv: peer,
          steps: [`s i ${peer} o ${rank}`, `r i ${rank} o ${peer}`],
        })),
      })),
    );
    const schedule = readMscclXml(xml);
    expect(schedule.programs[0]?.channels.at(-1)).toMatchObject({
      id: 3,
      steps: [{ kind: 'copy', src: { buffer: 'input', chunk: 0 } }],
    });
    expect(schedule.programs[0]?.channels[1]?.steps[0]?.depends).toEqual([{ channel: 3, step: 0 }]);
    expect(schedule.equalChunks).toBe(false);
    expect(findings(schedule)).toEqual([]);
  });

  it('gives nops to the step behind them, and counts dependencies in steps of the file', () => {
    const xml = algoXml('nchunksperloop="3" coll="custom"', [
      {
        chunks: [3, 3, 0],
        blocks: [
          { steps: ['cpy i 0 o 0', nop(2, 0), 'cpy i 1 o 1'] },
          { steps: [nop(0, 0), nop(2, 0), 'cpy i 2 o 2 1 0 2', nop(0, 2)] },
          { steps: ['cpy i 0 o 2'] },
          { steps: ['cpy o 0 o 0 1 1 3', 'cpy o 1 o 1 1 0 1'] },
        ],
      },
    ]);
    const [program] = readMscclXml(xml).programs;
    const depends = program?.channels.map(({ steps }) => steps.map((step) => step.depends));
    expect(depends).toEqual([
      [[], [{ channel: 2, step: 0 }]],
      [
        [
          { channel: 0, step: 1 },
          { channel: 2, step: 0 },
        ],
      ],
      [[]],
      // Behind a nop: what is before it, and what it waits for.
      [
        [
          { channel: 1, step: 0 },
          { channel: 0, step: 1 },
        ],
        [
          { channel: 0, step: 0 },
          { channel: 2, step: 0 },
        ],
      ],
    ]);
  });

  it('says that nops wait for each other in a circle', () => {
    const xml = algoXml('nchunksperloop="1" coll="custom"', [
      {
        chunks: [1, 1, 0],
        blocks: [{ steps: [nop(1, 0)] }, { steps: [nop(0, 0)] }, { steps: ['cpy i 0 o 0 1 1 0'] }],
      },
    ]);
    expect(readMscclXml(xml).objection).toBe(
      'Rank 0 channel 0 tb 0 step 0 (line 4): deadlock: nop waits for nops that wait for each other',
    );
    expect(readMscclXml(xml.replace('depid="0" deps="0"', '')).objection).toBeUndefined();
  });

  it('leaves a dependency on a later step of its own thread block for the verifier to refute', () => {
    const own = (deps: number): string =>
      algoXml('nchunksperloop="1" coll="allreduce"', [
        { chunks: [1, 1, 1], blocks: [{ steps: ['cpy i 0 s 0', `cpy s 0 o 0 1 0 ${deps}`] }] },
      ]);
    expect(findings(readMscclXml(own(0)))).toEqual([]);
    expect(findings(readMscclXml(own(1)))).toHaveLength(1);
  });

  it('knows how each message lands from the step that takes it', () => {
    const xml = algoXml(
      'nchunksperloop="2" coll="allreduce" inplace="1"',
      each(2, (rank) => ({
        chunks: [2, 0, 2],
        blocks: [
          {
            send: 1 - rank,
            recv: 1 - rank,
            steps: [
              `s i ${rank} s 0`,
              `rrc i ${1 - rank} i ${1 - rank}`,
              `s i ${1 - rank} o 9`,
              `r i 9 i ${rank}`,
            ],
          },
        ],
      })),
    );
    const schedule = readMscclXml(xml);
    const landings = schedule.programs[0]?.channels[0]?.steps.map(({ landing }) => landing);
    expect(landings).toEqual([
      { kind: 'slot' },
      undefined,
      { kind: 'place', place: { buffer: 'input', chunk: 1 } },
      undefined,
    ]);
    expect(schedule.programs[0]?.overwritesInput).toBe(true);
    expect(findings(schedule)).toEqual([]);
  });

  it('leaves a message that nobody takes for the verifier to refute', () => {
    const xml = algoXml('nchunksperloop="1" coll="custom"', [
      { chunks: [1, 1, 0], blocks: [{ send: 1, steps: ['s i 0 o 0'] }] },
      { chunks: [1, 1, 0], blocks: [] },
    ]);
    expect(findings(readMscclXml(xml))).toEqual([expect.stringContaining('nobody takes')]);
  });
});

describe('the buffers of a file', () => {
  /** Everybody sends its own block to everybody. */
  const gather = (nranks: number, own: (rank: number) => string, chunks: GpuWords['chunks']) =>
    each(nranks, (rank) => ({
      chunks,
      blocks: others(nranks, rank).map((peer) => ({
        send: peer,
        recv: peer,
        steps: [`s ${own(rank)} o ${rank}`, `r o ${peer} o ${peer}`],
      })),
    }));

  it.each([
    ['its place in the output', (rank: number) => `o ${rank}`, [0, 4, 0]],
    ['the input', () => 'i 0', [1, 4, 0]],
    ['an input that is not declared', () => 'i 0', [0, 4, 0]],
  ] as const)('may name the own block of an all-gather in place as %s', (_, own, chunks) => {
    const xml = algoXml('nchunksperloop="4" coll="allgather" inplace="1"', gather(4, own, chunks));
    expect(findings(readMscclXml(xml))).toEqual([]);
  });

  it('may be all input for a reduce-scatter in place', () => {
    const xml = algoXml(
      'nchunksperloop="2" coll="reduce_scatter" inplace="1"',
      each(2, (rank) => ({
        chunks: [2, 0, 0],
        blocks: [
          {
            send: 1 - rank,
            recv: 1 - rank,
            steps: [`s i ${1 - rank} i ${1 - rank}`, `rrc i ${rank} i ${rank}`],
          },
        ],
      })),
    );
    const schedule = readMscclXml(xml);
    expect(schedule.collective).toBe('reduceScatter');
    expect(findings(schedule)).toEqual([]);
  });

  it.each(['i', 'o'])('may all be %s for a broadcast in place', (buffer) => {
    const xml = algoXml('nchunksperloop="1" coll="broadcast" inplace="1"', [
      { chunks: [1, 1, 0], blocks: [{ recv: 1, steps: [`r ${buffer} 0 ${buffer} 0`] }] },
      { chunks: [1, 1, 0], blocks: [{ send: 0, steps: [`s ${buffer} 0 ${buffer} 0`] }] },
    ]);
    const schedule = readMscclXml(xml);
    expect(schedule.programs[0]?.root).toBe(1);
    expect(findings(schedule)).toEqual([]);
  });

  it.each(['i', 'o'])('may all be %s for a reduce in place along a chain', (buffer) => {
    const at = `${buffer} 0 ${buffer} 0`;
    const xml = algoXml('nchunksperloop="1" coll="reduce" inplace="1"', [
      { chunks: [1, 1, 0], blocks: [{ recv: 1, steps: [`rrc ${at}`] }] },
      { chunks: [1, 1, 0], blocks: [{ recv: 2, send: 0, steps: [`rrcs ${at}`] }] },
      { chunks: [1, 1, 0], blocks: [{ send: 1, steps: [`s ${at}`] }] },
    ]);
    const schedule = readMscclXml(xml);
    expect(schedule.programs[0]?.root).toBe(0);
    expect(findings(schedule)).toEqual([]);
  });

  it.each([
    ['2', [2, 6, 0], [2, 0, 0]],
    ['6', [2, 6, 0], [2, 0, 0]],
  ] as const)('cut a block of gather in two with nchunksperloop %s', (count, root, other) => {
    const xml = algoXml(`nchunksperloop="${count}" coll="gather"`, [
      { chunks: other, blocks: [{ send: 1, steps: ['s i 0 o 0 2'] }] },
      {
        chunks: root,
        blocks: [
          { recv: 0, steps: ['r i 0 o 0 2'] },
          { recv: 2, steps: ['r i 0 o 4 2'] },
          { steps: ['cpy i 0 o 2 2'] },
        ],
      },
      { chunks: other, blocks: [{ send: 1, steps: ['s i 0 o 4 2'] }] },
    ]);
    const schedule = readMscclXml(xml);
    expect(schedule.programs[0]).toMatchObject({ root: 1, chunks: 2 });
    expect(findings(schedule)).toEqual([]);
  });

  it('have scratch chunks of the size of what is stored in them, if that is one size', () => {
    const scratch = (rank: number): number => (rank === 0 ? 1 : 0);
    const file = (place: (rank: number) => number): MscclSchedule =>
      readMscclXml(
        algoXml(
          'nchunksperloop="2" coll="allreduce"',
          each(2, (rank) => ({
            chunks: [2, 2, 2],
            blocks: [
              {
                send: 1 - rank,
                recv: 1 - rank,
                steps: [
                  `s i ${1 - rank} s 0`,
                  `r i 0 s ${place(rank)}`,
                  `cpy i ${rank} o ${rank}`,
                  `re s ${place(rank)} o ${rank}`,
                  `s o ${rank} o ${rank}`,
                  `r o 0 o ${1 - rank}`,
                ],
              },
            ],
          })),
        ),
      );
    const own = file((rank) => rank);
    expect(own.equalChunks).toBe(false);
    expect(own.programs[0]?.scratch).toEqual([0, 1]);
    expect(findings(own)).toEqual([]);
    const crossed = file(scratch);
    expect(crossed.programs[1]?.scratch).toEqual([1, 0]);
    expect(findings(crossed)).toEqual([]);
    const common = file(() => 0);
    expect(common.equalChunks).toBe(true);
    expect(findings(common)).toEqual([]);
  });

  it('cannot hold blocks that are no whole number of chunks', () => {
    const xml = algoXml('nchunksperloop="3" coll="allgather"', [
      { chunks: [1, 3, 0], blocks: [] },
      { chunks: [1, 3, 0], blocks: [] },
    ]);
    expect(readMscclXml(xml)).toMatchObject({
      collective: 'custom',
      objection: 'The 3 chunks of allgather cannot be shared out among 2 ranks',
    });
  });
});
