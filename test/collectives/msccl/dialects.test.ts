import { describe, expect, it } from 'vitest';
import { type MscclSchedule, readMscclXml } from '../../../collectives/msccl/read.ts';
import { writeMscclXml } from '../../../collectives/msccl/write.ts';
import { type Verdict, verify } from '../../../collectives/verify.ts';
import { algoXml, EXCHANGE, type GpuWords, nop } from './support.ts';

function prove(schedule: MscclSchedule, inPlace: boolean): Verdict {
  const { programs, equalChunks, labelOf } = schedule;
  return verify(programs, { inPlace, equalChunks, order: 'messages', labelOf });
}

describe('readMscclXml takes', () => {
  it.each([
    ['capitals', 'type="re" srcbuf="s"', 'type="RE" srcbuf="S"'],
    ['a protocol in capitals', 'proto="Simple"', 'proto="SIMPLE"'],
    ['spaces around numbers', 'nchunksperloop="2"', 'nchunksperloop=" 2\n"'],
    ['a plus sign', 'nchunksperloop="2"', 'nchunksperloop="+2"'],
    ['hexadecimal numbers', 'nchunksperloop="2"', 'nchunksperloop="0x2"'],
    ['a flag in a word', 'inplace="1"', 'inplace="True"'],
    ['attributes that it does not know', '<tb id="0"', '<tb warp="4" hasOwnProperty="x" id="0"'],
    ['an attribute with a special name', '<tb id="0"', '<tb __proto__="x" id="0"'],
    ['instructions', '<gpu id="0"', '<?editor fold?><gpu id="0"'],
    ['line ends of two characters', '\n', '\r\n'],
  ])('%s', (_, from, to) => {
    expect(EXCHANGE).toContain(from);
    const schedule = readMscclXml(EXCHANGE.replaceAll(from, to));
    expect(prove(schedule, true).findings).toEqual([]);
    const again = readMscclXml(writeMscclXml(schedule.document));
    expect(again.document).toEqual(schedule.document);
    expect(again.programs).toEqual(schedule.programs);
  });

  it.each([
    ['AllReduce', 'allReduce'],
    ['all_reduce', 'allReduce'],
    ['ALL-REDUCE', 'allReduce'],
    ['all_gather', 'allGather'],
    ['Reduce_Scatter', 'reduceScatter'],
    ['AllToAll', 'allToAll'],
    ['all_to_all', 'allToAll'],
    ['Custom', 'custom'],
  ])('%s to mean %s', (coll, collective) => {
    const xml = algoXml(`nchunksperloop="1" coll="${coll}"`, [{ chunks: [1, 1, 0], blocks: [] }]);
    expect(readMscclXml(xml).collective).toBe(collective);
  });

  it('the one rank that sends before it has received to be the root of a broadcast', () => {
    // Scatter and all-gather: everybody sends and receives, and all have both buffers.
    const gpus = [0, 1, 2].map((rank): GpuWords => {
      const [next, previous] = [(rank + 1) % 3, (rank + 2) % 3];
      const steps =
        rank === 1
          ? ['s i 0 o 0', 's i 1 o 1', 'r o 0 s 0']
          : rank === 2
            ? ['rcs i 0 o 0', 'rcs i 1 o 1']
            : ['rcs o 0 o 0', 'r o 1 o 1'];
      const own = { steps: ['cpy i 0 o 0 2'] };
      const blocks = [{ send: next, recv: previous, steps }, ...(rank === 1 ? [own] : [])];
      return { chunks: [2, 2, 1], blocks };
    });
    gpus[2] = {
      chunks: [2, 2, 1],
      blocks: [{ send: 0, recv: 1, steps: ['rcs i 0 o 0', 'rcs i 1 o 1'] }],
    };
    const schedule = readMscclXml(algoXml('nchunksperloop="2" coll="broadcast"', gpus));
    expect(schedule.programs[0]?.root).toBe(1);
    expect(prove(schedule, false).findings).toEqual([]);
  });

  it('the one rank that stores into output to be the root of a reduce', () => {
    const gpus = [0, 1].map((rank): GpuWords => {
      const peer = 1 - rank;
      const steps = rank === 0 ? ['s i 0 s 0', 'r s 0 s 0'] : ['rrc i 0 o 0', 's i 0 s 0'];
      return { chunks: [1, 1, 1], blocks: [{ send: peer, recv: peer, steps }] };
    });
    const schedule = readMscclXml(algoXml('nchunksperloop="1" coll="reduce"', gpus));
    expect(schedule.programs[0]?.root).toBe(1);
    expect(prove(schedule, false).findings).toEqual([]);
  });
});

describe('labelOf', () => {
  it('calls steps what the file calls them, nops counted, with channel and line', () => {
    const schedule = readMscclXml(EXCHANGE);
    expect(schedule.labelOf({ rank: 1, channel: 1, step: 1 })).toEqual({
      text: 'rank 1 channel 0 tb 1 step 2',
      channel: 0,
      threadBlock: 1,
      step: 2,
      line: 21,
    });
    expect(EXCHANGE.split('\n')[20]).toContain('<step s="2"');
    expect(schedule.labelOf({ rank: 1, channel: 1, step: 2 })).toBeUndefined();
    expect(schedule.labelOf({ rank: 1, channel: 2, step: 0 })).toBeUndefined();
  });

  it('calls copies copies, which come before all thread blocks', () => {
    const schedule = readMscclXml(
      algoXml('nchunksperloop="1" coll="allgather"', [
        { chunks: [1, 1, 0], copies: [[0, 0]], blocks: [{ chan: 3, steps: [] }] },
      ]),
    );
    expect(schedule.labelOf({ rank: 0, channel: 1, step: 0 })).toEqual({
      text: 'rank 0 copy 0',
      step: 0,
      line: 3,
    });
  });

  it('is what findings say and have', () => {
    const wrong = EXCHANGE.replace(
      'type="re" srcbuf="s" srcoff="1"',
      'type="re" srcbuf="s" srcoff="0"',
    );
    const [finding] = prove(readMscclXml(wrong), true).findings;
    expect(finding?.message).toMatch(
      /^Rank 0 channel 0 tb 1 step 2 chunk 0 \(line 10\): reduce .* adds data of chunk 0 to data of chunk 1$/,
    );
    expect(finding).toMatchObject({ rank: 0, channel: 0, threadBlock: 1, step: 2, line: 10 });
  });
});

describe('verify() of a file', () => {
  it('finds two thread blocks at one end of a connection', () => {
    const lines = EXCHANGE.split('\n');
    const block = lines.slice(2, 6).map((line) => line.replace('tb id="0"', 'tb id="2"'));
    lines.splice(11, 0, ...block);
    const { findings } = prove(readMscclXml(lines.join('\n')), true);
    expect(findings[0]?.kind).toBe('malformed');
    expect(findings[0]?.message).toMatch(
      /tb 2 step 0 chunk 0 \(line 13\): .* on lane 0, as rank 0 channel 0 tb 0 step 0 \(line 4\) does/,
    );
  });

  it('looks at a million outputs that hold nothing without a set for each', () => {
    const gpus = Array.from(
      { length: 1024 },
      (): GpuWords => ({ chunks: [900, 900, 0], blocks: [] }),
    );
    const schedule = readMscclXml(algoXml('nchunksperloop="900" coll="allreduce"', gpus));
    const { findings, omitted } = prove(schedule, false);
    expect(findings[0]?.message).toBe(
      'Rank 0 chunk 0: output ends with nothing in it (allReduce promises otherwise)',
    );
    expect(findings.length + (omitted ?? 0)).toBe(1024 * 900);
  });

  it('names a bounded part of a large circle', () => {
    const nranks = 500;
    const gpus = Array.from({ length: nranks }, (_, rank): GpuWords => {
      const [send, recv] = [(rank + 1) % nranks, (rank + nranks - 1) % nranks];
      return { chunks: [1, 1, 1], blocks: [{ send, recv, steps: ['r i 0 s 0', 's s 0 s 0'] }] };
    });
    const [finding] = prove(readMscclXml(algoXml('nchunksperloop="1"', gpus)), false).findings;
    expect(finding?.message).toContain(', where 485 more wait for each other so');
    expect(finding?.message.length).toBeLessThan(3000);
  });

  it('refuses nops at the end of thread blocks that wait for each other without end', () => {
    const count = 3000;
    const numbers = Array.from({ length: count }, (_, index) => index);
    const xml = algoXml('nchunksperloop="1"', [
      {
        chunks: [1, 1, 0],
        blocks: [
          { steps: numbers.map((index) => nop(1, index)) },
          { steps: numbers.map((index) => nop(0, Math.min(index + 1, count - 1))) },
          { steps: numbers.map(() => `cpy i 0 o 0 1 0 ${count - 1}`) },
        ],
      },
    ]);
    expect(() => readMscclXml(xml)).toThrow(/at most 8388608 waits for steps .* on line \d+/);
  });

  it('refuses more work than can be done, on the line where it is too much', () => {
    const steps = Array.from({ length: 200 }, () => 'cpy i 0 o 0 500000');
    const xml = algoXml('nchunksperloop="500000"', [
      { chunks: [500_000, 500_000, 0], blocks: [{ steps }] },
    ]);
    expect(() => readMscclXml(xml)).toThrow(/at most 67108864 chunks in all on line 138/);
  });
});
